import { type Conversation, textOf } from "./conversation.ts";
import type { ScriptCondition, TextPattern } from "./script.ts";

/** Whether everything that the condition names holds. */
export function holds(when: ScriptCondition, conversation: Conversation): boolean {
  return (
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
