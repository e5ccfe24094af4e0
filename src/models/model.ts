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
  /** Stable over a session; providers that route by a cache key use it. */
  readonly sessionId: string;
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
