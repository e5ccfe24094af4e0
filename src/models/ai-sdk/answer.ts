import type {
  LanguageModelV4FinishReason,
  LanguageModelV4StreamPart,
  LanguageModelV4ToolCall,
  LanguageModelV4Usage,
  SharedV4ProviderMetadata,
} from "@ai-sdk/provider";
import { isRecord } from "../../lib/json.ts";
import type { AssistantBlock, ToolCallBlock, Usage } from "../../log/content.ts";
import type { ModelFailure, StopReason } from "../../log/entry.ts";
import type { ModelAnswer, ModelEvent } from "../model.ts";
import { toFailure } from "./failure.ts";
import { mergeMetadata, toSidecar } from "./sidecar.ts";

/** Gathers the parts of one stream into an answer. Runs for every chunk, so it does as little as it can. */
export interface AnswerReader {
  /**
   * Takes the next part and emits what watchers see of it. After `finished` or `failed` was emitted, parts are to be left
   * alone.
   */
  take(part: LanguageModelV4StreamPart, emit: (event: ModelEvent) => void): void;
}

interface Draft {
  readonly type: "text" | "reasoning" | "toolCall";
  readonly id: string;
  /** Of a tool call: its arguments as JSON text. */
  text: string;
  readonly name: string;
  metadata: SharedV4ProviderMetadata | null;
}

type Delta = Extract<LanguageModelV4StreamPart, { type: "text-delta" | "reasoning-delta" }>;

export function createAnswerReader(provider: string): AnswerReader {
  /** In the order in which they began. */
  const drafts: Draft[] = [];
  /** Those that may still grow, by the id that the stream gives them. */
  const open = new Map<string, Draft>();
  let hasReasoned = false;

  function begin(type: Draft["type"], id: string, name = ""): Draft {
    const draft: Draft = { type, id, text: "", name, metadata: null };
    drafts.push(draft);
    open.set(keyOf(type, id), draft);
    return draft;
  }

  /** Tolerates a delta without a start: the block begins with it. */
  function current(type: Draft["type"], id: string): Draft {
    return open.get(keyOf(type, id)) ?? begin(type, id);
  }

  function end(type: Draft["type"], id: string, metadata: SharedV4ProviderMetadata | undefined): void {
    const draft = open.get(keyOf(type, id));
    if (draft === undefined) return;
    draft.metadata = mergeMetadata(draft.metadata, metadata);
    open.delete(keyOf(type, id));
  }

  /** Watchers see one text of all thoughts, in which each begins a new paragraph. */
  function takeReasoning(part: Delta, emit: (event: ModelEvent) => void): void {
    const draft = current("reasoning", part.id);
    const isNewThought = draft.text === "" && hasReasoned;
    takeDelta(draft, part);
    if (part.delta === "") return;
    hasReasoned = true;
    emit({ type: "reasoningDelta", text: isNewThought ? `\n\n${part.delta}` : part.delta });
  }

  function takeCall(part: LanguageModelV4ToolCall, emit: (event: ModelEvent) => void): void {
    const { toolCallId: callId, toolName: name, input, providerMetadata } = part;
    let draft = open.get(keyOf("toolCall", callId));
    if (draft === undefined) {
      draft = begin("toolCall", callId, name);
      emit({ type: "toolCallStarted", callId, name });
      if (input !== "") emit({ type: "toolCallDelta", callId, text: input });
    }
    draft.text = input;
    end("toolCall", callId, providerMetadata);
  }

  return {
    take(part, emit) {
      switch (part.type) {
        case "text-delta":
          takeDelta(current("text", part.id), part);
          if (part.delta !== "") emit({ type: "textDelta", text: part.delta });
          return;
        case "reasoning-delta":
          takeReasoning(part, emit);
          return;
        case "tool-input-delta":
          if (part.delta === "" || !open.has(keyOf("toolCall", part.id))) return;
          emit({ type: "toolCallDelta", callId: part.id, text: part.delta });
          return;
        case "text-start":
          begin("text", part.id).metadata = part.providerMetadata ?? null;
          return;
        case "reasoning-start":
          begin("reasoning", part.id).metadata = part.providerMetadata ?? null;
          return;
        case "tool-input-start":
          if (part.providerExecuted) return;
          begin("toolCall", part.id, part.toolName).metadata = part.providerMetadata ?? null;
          emit({ type: "toolCallStarted", callId: part.id, name: part.toolName });
          return;
        case "text-end":
          end("text", part.id, part.providerMetadata);
          return;
        case "reasoning-end":
          end("reasoning", part.id, part.providerMetadata);
          return;
        case "tool-call":
          if (!part.providerExecuted) takeCall(part, emit);
          return;
        case "finish":
          emit(finish(drafts, part.finishReason, part.usage, provider));
          return;
        case "error":
          emit({ type: "failed", failure: toFailure(part.error) });
          return;
        // Of no use here: we send no provider-side tools, and ask for no files, sources or raw chunks.
        case "tool-input-end":
        case "stream-start":
        case "response-metadata":
        case "ping":
        case "raw":
        case "custom":
        case "file":
        case "reasoning-file":
        case "source":
        case "tool-result":
        case "tool-approval-request":
          return;
      }
    },
  };
}

function takeDelta(draft: Draft, part: Delta): void {
  draft.text += part.delta;
  if (part.providerMetadata !== undefined)
    draft.metadata = mergeMetadata(draft.metadata, part.providerMetadata);
}

/** Text, reasoning and calls number their blocks independently. */
function keyOf(type: Draft["type"], id: string): string {
  return `${type}:${id}`;
}

function finish(
  drafts: readonly Draft[],
  reason: LanguageModelV4FinishReason,
  usage: LanguageModelV4Usage,
  provider: string,
): ModelEvent {
  const kept = drafts.filter(
    (draft) => draft.type === "toolCall" || draft.text !== "" || draft.metadata !== null,
  );
  const blocks = kept.map(toBlock);
  const stopReason = toStopReason(
    reason,
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
  const failure: ModelFailure = { kind: "network", message };
  return { type: "failed", failure };
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
