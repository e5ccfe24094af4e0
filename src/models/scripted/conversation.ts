import { isRecord } from "../../lib/json.ts";
import type { Message, ResultBlock, ToolResultMessage, UserBlock } from "../../log/content.ts";
import type { ModelRequest } from "../model.ts";

/** What a script may ask about a request. */
export interface Conversation {
  readonly system: string;
  /** Number of the answer that is asked for, from 1. */
  readonly turn: number;
  /** The same, counted from the last message of the user. */
  readonly step: number;
  readonly after: "user" | "tool" | undefined;
  readonly userText: string;
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
  let userText = "";
  let turn = 1;
  let step = 1;
  for (const message of messages) {
    switch (message.role) {
      case "user":
        userText = textOf(message.blocks);
        step = 1;
        break;
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
  const last = messages.at(-1)?.role;
  const after = last === "assistant" ? undefined : last;
  return { system, turn, step, after, userText, lastResult, lastResultOf, played };
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
