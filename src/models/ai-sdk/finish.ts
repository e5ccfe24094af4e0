import type {
  LanguageModelV4FinishReason,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
  SharedV4ProviderMetadata,
} from "@ai-sdk/provider";
import { isRecord } from "../../lib/json.ts";
import type { AssistantBlock, ToolCallBlock, Usage } from "../../log/content.ts";
import type { StopReason } from "../../log/entry.ts";
import type { ModelAnswer, ModelEvent } from "../model.ts";
import { toSidecar } from "./sidecar.ts";

/** A block that is still being written. */
export interface Draft {
  readonly type: "text" | "reasoning" | "toolCall";
  /** The id of a call; for other blocks, the stream's own name for it. */
  readonly id: string;
  /** The name of a called tool; empty for other blocks. */
  readonly name: string;
  /** The text; of a call, its arguments as JSON. */
  text: string;
  metadata: SharedV4ProviderMetadata | null;
}

/** The end of an answer from the blocks that were written, in order. */
export function finish(
  drafts: readonly Draft[],
  { finishReason, usage }: Extract<LanguageModelV4StreamPart, { type: "finish" }>,
  provider: string,
): ModelEvent {
  const kept = drafts.filter(
    (draft) => draft.type === "toolCall" || draft.text !== "" || draft.metadata !== null,
  );
  const blocks = kept.map(toBlock);
  const stopReason = toStopReason(
    finishReason,
    kept.some((draft) => draft.type === "toolCall"),
  );
  if (stopReason === undefined) return failed("the stream broke off before the answer was complete");
  const isEmpty = blocks.length === 0 && (stopReason === "endTurn" || stopReason === "other");
  if (isEmpty) return failed("the answer was empty");
  const sidecar = toSidecar(
    provider,
    kept.map((draft) => draft.metadata),
  );
  const answer: ModelAnswer = { blocks, stopReason, usage: toUsage(usage) };
  return { type: "finished", answer: sidecar === undefined ? answer : { ...answer, sidecar } };
}

function failed(message: string): ModelEvent {
  return { type: "failed", failure: { kind: "network", message } };
}

function toBlock(draft: Draft): AssistantBlock {
  switch (draft.type) {
    case "text":
    case "reasoning":
      return { type: draft.type, text: draft.text };
    case "toolCall":
      return toCall(draft);
  }
}

/** Tools take objects. Whatever else the model wrote is kept as text, for the message that tells it so. */
function toCall({ id: callId, name, text }: Draft): ToolCallBlock {
  const call = { type: "toolCall", callId, name } as const;
  if (text.trim() === "") return { ...call, input: {} };
  try {
    const input: unknown = JSON.parse(text);
    if (isRecord(input)) return { ...call, input };
  } catch {
    // Falls through to the malformed call.
  }
  return { ...call, input: {}, malformed: text };
}

/** Undefined when the stream ended without the provider's word that the answer is complete. */
function toStopReason({ unified }: LanguageModelV4FinishReason, hasCalls: boolean): StopReason | undefined {
  switch (unified) {
    case "tool-calls":
      return hasCalls ? "toolCalls" : "endTurn";
    // Some servers say "stop" although they call tools.
    case "stop":
      return hasCalls ? "toolCalls" : "endTurn";
    case "other":
      return hasCalls ? "toolCalls" : "other";
    case "length":
      return "maxTokens";
    case "content-filter":
      return "refused";
    case "error":
    case "interrupted":
      return undefined;
  }
}

function toUsage({ inputTokens, outputTokens }: LanguageModelV4Usage): Usage {
  const cacheRead = inputTokens.cacheRead ?? 0;
  const cacheWrite = inputTokens.cacheWrite ?? 0;
  return {
    input: inputTokens.noCache ?? Math.max(0, (inputTokens.total ?? 0) - cacheRead - cacheWrite),
    cacheRead,
    cacheWrite,
    output: outputTokens.total ?? (outputTokens.text ?? 0) + (outputTokens.reasoning ?? 0),
    reasoning: outputTokens.reasoning ?? 0,
  };
}
