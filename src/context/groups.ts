import type { Message } from "../log/content.ts";
import { estimateMessage, sum } from "./estimate.ts";

/**
 * Where the newest groups begin that fit into so many tokens. A group is a message of a person, or an answer with the results
 * of its calls, which are never parted. What no model has answered yet is always among them; with `last`, so is the group
 * before it, whose results no model may have seen. @pure
 */
export function recentGroups(
  messages: readonly Message[],
  tokens: number,
  { last }: { readonly last: boolean },
): number {
  const unanswered = 1 + messages.findLastIndex(({ role }) => role !== "user");
  let from = last ? groupBefore(messages, unanswered) : unanswered;
  let room = tokens - sum(messages.slice(from), estimateMessage);
  while (from > 0) {
    const start = groupBefore(messages, from);
    room -= sum(messages.slice(start, from), estimateMessage);
    if (room < 0) break;
    from = start;
  }
  return from;
}

/** Where the group begins that ends before `messages[end]`. */
function groupBefore(messages: readonly Message[], end: number): number {
  return Math.max(
    0,
    messages.slice(0, end).findLastIndex(({ role }) => role !== "tool"),
  );
}
