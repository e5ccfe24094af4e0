import { isRecord } from "../../lib/json.ts";
import type { Message, ResultBlock, ToolResultMessage, UserBlock } from "../../log/content.ts";
import { isClassificationRequest, isNote, isSummaryRequest } from "../../log/notes.ts";
import type { ModelRequest } from "../model.ts";

/** What a script may ask about a request. */
export interface Conversation {
  readonly system: string;
  /** Number of the answer that is asked for, from 1. */
  readonly turn: number;
  /** The same, counted from the last message of a person. */
  readonly step: number;
  readonly after: "user" | "tool" | undefined;
  /** The last message of a person. Notes of the runtime are passed over, unless there is nothing else to answer. */
  readonly userText: string;
  /** Whether the request asks for a summary of the conversation. Then `userText` is what it says. */
  readonly summary: boolean;
  /** Whether it asks whether a call may start. Then `userText` is what it says. */
  readonly classification: boolean;
  readonly lastResult: ToolResultMessage | undefined;
  readonly lastResultOf: ReadonlyMap<string, ToolResultMessage>;
  /** How often each turn of the script has answered, by the turn's index. */
  readonly played: ReadonlyMap<number, number>;
}

/** Written into every answer. It comes back with the history, so that a script's position is a function of the request. */
export interface ScriptedSidecar {
  /** Index in the script. */
  readonly played: number;
  /** `Conversation.turn` of the answer. Keeps counting when older messages are no longer in the request. */
  readonly turn: number;
}

export function readConversation(request: ModelRequest): Conversation {
  const { system, messages } = request;
  const lastResultOf = new Map<string, ToolResultMessage>();
  const played = new Map<number, number>();
  let lastResult: ToolResultMessage | undefined;
  let userText: string | undefined;
  let noteText = "";
  let turn = 1;
  let step = 1;
  for (const message of messages) {
    switch (message.role) {
      case "user": {
        if (isAllNotes(message)) {
          noteText = textOf(message.blocks);
          break;
        }
        userText = textOf(message.blocks.filter((block) => block.type !== "text" || !isNote(block.text)));
        step = 1;
        break;
      }
      case "assistant": {
        const sidecar = scriptedSidecar(message);
        turn = Math.max(turn, sidecar?.turn ?? 0) + 1;
        step++;
        if (sidecar !== undefined) played.set(sidecar.played, (played.get(sidecar.played) ?? 0) + 1);
        break;
      }
      case "tool":
        for (const result of message.results) {
          lastResult = result;
          lastResultOf.set(result.name, result);
        }
        break;
    }
  }
  const last = messages.at(-1);
  const asks = last?.role === "user" ? textOf(last.blocks) : "";
  const [summary, classification] = [isSummaryRequest(asks), isClassificationRequest(asks)];
  const conversation = { system, turn, lastResult, lastResultOf, played, summary, classification };
  if (summary || classification) return { ...conversation, step: 1, after: "user", userText: asks };
  return { ...conversation, step, after: followed(messages), userText: userText ?? noteText };
}

/** Notes stand in the user's place, but behind results it is the results that the answer follows. */
function followed(messages: readonly Message[]): Conversation["after"] {
  const last = messages.at(-1)?.role;
  if (last !== "user") return last === "assistant" ? undefined : last;
  return messages.findLast((message) => !isAllNotes(message))?.role === "tool" ? "tool" : "user";
}

function isAllNotes(message: Message): boolean {
  return (
    message.role === "user" && message.blocks.every((block) => block.type === "text" && isNote(block.text))
  );
}

export function textOf(blocks: readonly (UserBlock | ResultBlock)[]): string {
  return blocks.map((block) => (block.type === "text" ? block.text : `[${block.mediaType}]`)).join("\n");
}

function scriptedSidecar(message: Message): ScriptedSidecar | undefined {
  if (message.role !== "assistant" || message.sidecar?.provider !== "scripted") return undefined;
  const { data } = message.sidecar;
  if (!isRecord(data) || typeof data.played !== "number" || typeof data.turn !== "number") return undefined;
  return { played: data.played, turn: data.turn };
}
