import type { LanguageModelV4Message, SharedV4ProviderOptions } from "@ai-sdk/provider";
import type { CachePlan } from "../model.ts";

/** Where the breakpoints of a plan lie on Anthropic's wire. */
export interface CacheMarks {
  /** Indices of messages of the prompt. */
  readonly messages: ReadonlySet<number>;
  /** Behind the last tool: where there is no system prompt, what never changes ends there. */
  readonly tools: boolean;
}

/**
 * @param ends for each message of the request, the index of the last message of the prompt that came from it, or from one
 * before it where nothing came from it; negative where nothing came from those either.
 * @pure
 */
export function placeMarks(
  { breakpoints }: CachePlan,
  prompt: readonly LanguageModelV4Message[],
  ends: readonly number[],
): CacheMarks {
  const messages = new Set<number>();
  let tools = false;
  for (const breakpoint of breakpoints) {
    const index = breakpoint.after === "system" ? systemIndex(prompt) : (ends[breakpoint.index] ?? -1);
    if (index < 0) tools = true;
    else messages.add(index);
  }
  return { messages, tools };
}

/** What a message carries for a mark on its last part. */
export function cacheControl({ lifetime }: CachePlan): SharedV4ProviderOptions {
  return {
    anthropic: { cacheControl: { type: "ephemeral", ...(lifetime === "1h" ? { ttl: lifetime } : {}) } },
  };
}

function systemIndex(prompt: readonly LanguageModelV4Message[]): number {
  return prompt[0]?.role === "system" ? 0 : -1;
}
