import type {
  LanguageModelV4FinishReason,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
  SharedV4ProviderMetadata,
} from "@ai-sdk/provider";
import { isRecord } from "../../lib/json.ts";
import type { AssistantBlock, Usage } from "../../log/content.ts";
import type { ModelFailureKind, StopReason } from "../../log/entry.ts";
import type { ModelAnswer, ModelEvent } from "../model.ts";
import { readArguments } from "../tool-arguments.ts";
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
  /** Nothing more is written into it. */
  isComplete: boolean;
}

/** The end of an answer from the blocks that were written, in order. */
export function finish(
  drafts: readonly Draft[],
  { finishReason, usage }: Extract<LanguageModelV4StreamPart, { type: "finish" }>,
  provider: string,
): ModelEvent {
  // What was written so far would be sent again with the next request, which then fits even less.
  if (finishReason.raw === "model_context_window_exceeded") {
    return failed("contextOverflow", "the context window was full before the answer was complete");
  }
  const hasCalls = drafts.some((draft) => draft.type === "toolCall");
  const stopReason = toStopReason(finishReason, hasCalls);
  if (stopReason === undefined)
    return failed("network", "the stream broke off before the answer was complete");
  const written = writeBlocks(drafts, stopReason, provider);
  const isEmpty = written.blocks.length === 0 && (stopReason === "endTurn" || stopReason === "other");
  if (isEmpty) return failed("network", "the answer was empty");
  return { type: "finished", answer: { ...written, stopReason, usage: toUsage(usage) } };
}

/**
 * An answer up to a call that is complete. Undefined when the call's arguments need a repair: whether one may be made is known
 * only at the end, and what was told once must not change.
 */
export function soFar(drafts: readonly Draft[], provider: string): ModelEvent | undefined {
  const written = writeBlocks(drafts, "toolCalls", provider);
  const needsRepair = written.blocks.some(
    (block) => block.type === "toolCall" && block.repaired !== undefined,
  );
  return needsRepair ? undefined : { type: "callCompleted", soFar: written };
}

function failed(kind: ModelFailureKind, message: string): ModelEvent {
  return { type: "failed", failure: { kind, message } };
}

function writeBlocks(
  drafts: readonly Draft[],
  stopReason: StopReason,
  provider: string,
): Pick<ModelAnswer, "blocks" | "sidecar"> {
  const kept = drafts.filter(
    (draft) => draft.type === "toolCall" || draft.text !== "" || draft.metadata !== null,
  );
  const blocks = kept.map((draft) => toBlock(draft, stopReason));
  const sidecar = toSidecar(
    provider,
    kept.map((draft) => draft.metadata),
  );
  return sidecar === undefined ? { blocks } : { blocks, sidecar };
}

function toBlock({ type, id, name, text }: Draft, stopReason: StopReason): AssistantBlock {
  switch (type) {
    case "text":
    case "reasoning":
      return { type, text };
    case "toolCall":
      return { type, callId: id, name, ...readArguments(text, stopReason) };
  }
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

function toUsage({ inputTokens, outputTokens, raw }: LanguageModelV4Usage): Usage {
  const cacheRead = inputTokens.cacheRead ?? 0;
  const cacheWrite = inputTokens.cacheWrite ?? 0;
  const cacheWrite1h = writtenForAnHour(raw);
  return {
    input: inputTokens.noCache ?? Math.max(0, (inputTokens.total ?? 0) - cacheRead - cacheWrite),
    cacheRead,
    cacheWrite,
    ...(cacheWrite1h === 0 ? {} : { cacheWrite1h }),
    output: outputTokens.total ?? (outputTokens.text ?? 0) + (outputTokens.reasoning ?? 0),
    reasoning: outputTokens.reasoning ?? 0,
  };
}

/** Only Anthropic tells it, and the package does not pass it on by a name of its own. */
function writtenForAnHour(raw: unknown): number {
  const written = isRecord(raw) && isRecord(raw.cache_creation) ? raw.cache_creation : {};
  const tokens = written.ephemeral_1h_input_tokens;
  return typeof tokens === "number" ? tokens : 0;
}
