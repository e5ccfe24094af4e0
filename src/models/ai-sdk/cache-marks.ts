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
    const wanted = breakpoint.after === "system" ? 0 : (ends[breakpoint.index] ?? -1);
    const index =
      breakpoint.after === "system" && prompt[0]?.role !== "system" ? -1 : lastMarkable(prompt, wanted);
    if (index < 0) tools = true;
    else messages.add(index);
  }
  return { messages, tools };
}

export function cacheControl({ lifetime }: CachePlan): SharedV4ProviderOptions {
  return {
    anthropic: { cacheControl: { type: "ephemeral", ...(lifetime === "1h" ? { ttl: lifetime } : {}) } },
  };
}

/** The message with the mark on its last part. Thoughts cannot carry one. */
export function withMark(
  message: LanguageModelV4Message,
  mark: SharedV4ProviderOptions,
): LanguageModelV4Message {
  if (message.role !== "assistant") return { ...message, providerOptions: mark };
  const last = markablePart(message);
  const content = message.content.map((part, index) =>
    index === last ? { ...part, providerOptions: mergeOptions(part.providerOptions, mark) } : part,
  );
  return { ...message, content };
}

function lastMarkable(prompt: readonly LanguageModelV4Message[], from: number): number {
  let index = from;
  for (let message = prompt[index]; message !== undefined; message = prompt[--index]) {
    if (message.role !== "assistant" || markablePart(message) >= 0) return index;
  }
  return -1;
}

function markablePart({ content }: Extract<LanguageModelV4Message, { role: "assistant" }>): number {
  return content.findLastIndex((part) => part.type !== "reasoning");
}

function mergeOptions(
  own: SharedV4ProviderOptions | undefined,
  added: SharedV4ProviderOptions,
): SharedV4ProviderOptions {
  const merged: SharedV4ProviderOptions = { ...own };
  for (const [name, fields] of Object.entries(added)) merged[name] = { ...merged[name], ...fields };
  return merged;
}
