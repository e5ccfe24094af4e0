/**
 * What differs between wires, as far as the mapping has to know. Everything else is the provider package's business.
 *
 * - `anthropic`: the Messages API.
 * - `openai`: the Responses API, without server-side storage: what the model needs back travels in the request.
 * - `chat`: the Chat Completions API of OpenAI-compatible servers.
 * - `package`: whatever an optional provider package speaks.
 */
export type Protocol = "anthropic" | "openai" | "chat" | "package";

export interface Dialect {
  /** The part of the model id before the slash. Sidecars written under this name go back to it, and only to it. */
  readonly provider: string;
  readonly protocol: Protocol;
}

/** Where reasoning that lost its signature is refused or ignored, it is not sent at all. */
export function needsSignedReasoning({ protocol }: Dialect): boolean {
  return protocol !== "chat";
}

/** A tool message of Chat Completions holds text only; its images go into a user message behind it. */
export function takesImagesInResults({ protocol }: Dialect): boolean {
  return protocol !== "chat";
}
