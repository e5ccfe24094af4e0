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
  /** The part of the model id before the slash. */
  readonly provider: string;
  readonly protocol: Protocol;
  /** The whole id. Reasoning and sidecars go back to the model that wrote them, and only to it. */
  readonly model: string;
}

/** Where reasoning that lost its signature is refused or ignored, it is not sent at all. */
export function needsSignedReasoning({ protocol }: Dialect): boolean {
  return protocol !== "chat";
}

/** A tool message of Chat Completions holds text only; its images go into a user message behind it. */
export function takesImagesInResults({ protocol }: Dialect): boolean {
  return protocol !== "chat";
}

/** Chat Completions has no field that says that a call failed, so that the text says it. */
export function marksFailedResults({ protocol }: Dialect): boolean {
  return protocol !== "chat";
}

/** Some providers hang a signature on a text without any characters, and want it back. Others refuse such a text. */
export function takesSignedBlankText({ protocol }: Dialect): boolean {
  return protocol === "package";
}

/** Mistral refuses a message of the user right behind results. */
export function takesUserAfterResults({ provider }: Dialect): boolean {
  return provider !== "mistral";
}

/** The ids of calls that the provider accepts. Ids in the log fit nearly always; see `callIdFor`. */
export function callIdPattern({ provider }: Dialect): RegExp {
  return provider === "mistral" ? /^[a-zA-Z0-9]{9}$/ : /^[a-zA-Z0-9_-]{1,64}$/;
}

/**
 * Models that check that nothing in front of a thought has changed since they had it, and refuse the request otherwise.
 * A compaction changes it.
 */
export function bindsThoughtsToPrefix({ protocol, model }: Dialect): boolean {
  return protocol === "anthropic" && model.includes("claude-fable-5-1");
}

/**
 * Models that think only in the older, manual mode. While they do, an answer with calls whose results are sent has to begin
 * with a thought of theirs.
 */
export function wantsThoughtsBeforeCalls({ protocol, model }: Dialect): boolean {
  return protocol === "anthropic" && /claude-(?:3-|(?:opus|sonnet|haiku)-4-(?:[0-5](?!\d)|2025))/.test(model);
}

/** Servers that speak Chat Completions say only at the end which texts and calls are complete. */
export function saysWhatIsComplete({ protocol }: Dialect): boolean {
  return protocol !== "chat";
}
