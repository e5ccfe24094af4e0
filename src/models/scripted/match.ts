import { type Conversation, textOf } from "./conversation.ts";
import type { ScriptCondition, TextPattern } from "./script.ts";

/**
 * Whether everything that the condition names holds. Whether a call may start is asked beside the conversation, so that only turns
 * that say so answer it.
 */
export function holds(when: ScriptCondition, conversation: Conversation): boolean {
  return (
    (when.classification ?? false) === conversation.classification &&
    (when.turn === undefined || when.turn === conversation.turn) &&
    (when.step === undefined || when.step === conversation.step) &&
    (when.after === undefined || when.after === conversation.after) &&
    (when.summary === undefined || when.summary === conversation.summary) &&
    (when.user === undefined || fits(when.user, conversation.userText)) &&
    (when.system === undefined || fits(when.system, conversation.system)) &&
    (when.result === undefined || resultHolds(when.result, conversation))
  );
}

function resultHolds(when: NonNullable<ScriptCondition["result"]>, conversation: Conversation): boolean {
  const result = when.tool === undefined ? conversation.lastResult : conversation.lastResultOf.get(when.tool);
  if (result === undefined) return false;
  if (when.isError !== undefined && when.isError !== result.isError) return false;
  return when.text === undefined || fits(when.text, textOf(result.blocks));
}

function fits(pattern: TextPattern, text: string): boolean {
  return typeof pattern === "string"
    ? text.toLowerCase().includes(pattern.toLowerCase())
    : new RegExp(pattern.matches).test(text);
}
