/**
 * What messages are made of. These are Holdfast's own plain types: no provider's shape enters here. Bytes are base64 so
 * that every block is JSON.
 */
export interface TextBlock {
  readonly type: "text";
  readonly text: string;
}

export interface ImageBlock {
  readonly type: "image";
  /** For example "image/png". */
  readonly mediaType: string;
  /** Base64, without a `data:` prefix. */
  readonly data: string;
}

export interface ReasoningBlock {
  readonly type: "reasoning";
  readonly text: string;
}

export interface ToolCallBlock {
  readonly type: "toolCall";
  /** Unique in the session; binds the call to its result. */
  readonly callId: string;
  readonly name: string;
  /** The arguments as parsed JSON. When they were not JSON: `{}`, and `malformed` holds the text. */
  readonly input: unknown;
  readonly malformed?: string;
  /** What the model wrote, where `input` was read from a certain repair of it (a missing bracket at its end). */
  readonly repaired?: string;
}

export type UserBlock = TextBlock | ImageBlock;
export type AssistantBlock = TextBlock | ReasoningBlock | ToolCallBlock;
export type ResultBlock = TextBlock | ImageBlock;

/**
 * Tokens of one model call. The parts do not overlap, except that `reasoning` is contained in `output`: the prompt is
 * `input + cacheRead + cacheWrite`.
 */
export interface Usage {
  /** Prompt tokens that were neither read from nor written to the provider's cache. */
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  /** The part of `cacheWrite` that is kept for an hour, which costs more. Absent where there is none. */
  readonly cacheWrite1h?: number;
  readonly output: number;
  readonly reasoning: number;
}

export const noUsage: Usage = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };

export function addUsage(a: Usage, b: Usage): Usage {
  const cacheWrite1h = (a.cacheWrite1h ?? 0) + (b.cacheWrite1h ?? 0);
  return {
    input: a.input + b.input,
    cacheRead: a.cacheRead + b.cacheRead,
    cacheWrite: a.cacheWrite + b.cacheWrite,
    ...(cacheWrite1h === 0 ? {} : { cacheWrite1h }),
    output: a.output + b.output,
    reasoning: a.reasoning + b.reasoning,
  };
}

/** The same in whole tokens, none of them negative; what is no number counts as none. */
export function wholeTokens(usage: Usage): Usage {
  const counts = Object.entries(usage).map(([kind, tokens]) => [kind, Math.max(0, Math.round(tokens) || 0)]);
  return Object.fromEntries(counts) as Usage;
}

/**
 * What a provider needs back, byte for byte, with an assistant message (reasoning signatures, item ids). Only the
 * adapter named by `provider` may look inside; others drop it.
 */
export interface Sidecar {
  readonly provider: string;
  readonly data: unknown;
}

/** A transcript as a model sees it. Every tool call is followed by exactly one result. */
export type Message =
  | { readonly role: "user"; readonly blocks: readonly UserBlock[] }
  | {
      readonly role: "assistant";
      readonly blocks: readonly AssistantBlock[];
      /** The id of the model that wrote it, for example "anthropic/claude-sonnet-4-6". */
      readonly model: string;
      readonly sidecar?: Sidecar;
    }
  | { readonly role: "tool"; readonly results: readonly ToolResultMessage[] };

export interface ToolResultMessage {
  readonly callId: string;
  readonly name: string;
  readonly blocks: readonly ResultBlock[];
  readonly isError: boolean;
}
