import type { JsonSchema } from "../lib/json.ts";
import type { AssistantBlock, Message, Sidecar, Usage } from "../log/content.ts";
import type { ModelFailure, StopReason } from "../log/entry.ts";

/**
 * The port to a language model. An implementation translates to and from one provider's wire; nothing of that wire is
 * seen outside it, except the sidecar that goes back to the provider as it came.
 */
export interface Model {
  /** "provider/name", for example "anthropic/claude-sonnet-4-6". */
  readonly id: string;

  /**
   * One answer to one request. Never throws: the last event is exactly one `finished` or `failed`. When the signal is
   * aborted the request is ended at the socket and the last event is `failed` (kind "unknown"), whose reader knows why.
   */
  stream(request: ModelRequest, signal: AbortSignal): AsyncIterable<ModelEvent>;
}

/** A pure function of the log: the same log gives the same request, byte for byte. */
export interface ModelRequest {
  readonly system: string;
  readonly tools: readonly ToolSpec[];
  readonly messages: readonly Message[];
  readonly maxOutputTokens?: number;
  readonly reasoning?: ReasoningEffort;
  readonly sessionId: string;
  /** What the provider is asked to cache. Absent: whatever it does by itself. */
  readonly cache?: CachePlan;
}

/** How a request is to be cached, in no provider's words. Computed with the request (`context/cache-plan.ts`). */
export interface CachePlan {
  /** Stable over a session: leads its requests to the same cache. At most 64 characters. */
  readonly key: string;
  readonly lifetime: CacheLifetime;
  /** Where a part ends that later requests will repeat, in order; at most four, which is what Anthropic allows. */
  readonly breakpoints: readonly CacheBreakpoint[];
}

export type CacheLifetime = "5m" | "1h";

export type CacheBreakpoint =
  /** Behind tools and system prompt. */
  | { readonly after: "system" }
  /** Behind `messages[index]`. */
  | { readonly after: "message"; readonly index: number };

/** What the runtime needs to know of a model; null where nobody knows. */
export interface ModelFacts {
  /** Tokens of prompt and answer together. */
  readonly contextWindow: number | null;
  /** Tokens of one answer. */
  readonly maxOutput: number | null;
  readonly images: boolean;
}

export type ReasoningEffort = "none" | "low" | "medium" | "high";

export interface ToolSpec {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: JsonSchema;
}

export type ModelEvent =
  | { readonly type: "textDelta"; readonly text: string }
  | { readonly type: "reasoningDelta"; readonly text: string }
  | { readonly type: "toolCallStarted"; readonly callId: string; readonly name: string }
  /** A piece of the arguments' JSON text. */
  | { readonly type: "toolCallDelta"; readonly callId: string; readonly text: string }
  /**
   * A call is complete while the answer goes on: everything complete so far, of which the call is the last block. Its tool
   * may start now. The answer, when it comes, begins with the same blocks; when it fails instead, they are all there is of it.
   * Several calls that became complete at once are told with one event. Not sent for a call with which the answer ends, as
   * far as that can be told in time: a provider that is silent behind its last call is taken to be writing.
   */
  | { readonly type: "callCompleted"; readonly soFar: Pick<ModelAnswer, "blocks" | "sidecar"> }
  | { readonly type: "finished"; readonly answer: ModelAnswer }
  | { readonly type: "failed"; readonly failure: ModelFailure };

export interface ModelAnswer {
  readonly blocks: readonly AssistantBlock[];
  readonly stopReason: StopReason;
  readonly usage: Usage;
  readonly sidecar?: Sidecar;
}

/** Finds the implementation for a model id. @throws AppError `invalid_config` with the nearest known id, or what key is missing. */
export type ModelResolver = (modelId: string) => Model;
