import { isRecord } from "../lib/json.ts";
import type { Message } from "../log/content.ts";

/** Tools whose argument `path` is a file that the model works with. */
const FILE_TOOLS: ReadonlySet<string> = new Set(["read", "write", "edit"]);
/** After these calls the transcript shows what is in the file. */
const SHOWING: ReadonlySet<string> = new Set(["read", "write"]);

/**
 * The files that the model read or changed before `messages[keepFrom]`, the last one first, as it wrote their paths; without
 * those whose content still stands in the messages that are kept. @pure
 */
export function recentFiles(messages: readonly Message[], keepFrom: number): readonly string[] {
  const failed = failedCalls(messages);
  const shown = new Set<string>();
  const recent = new Set<string>();
  for (const [i, message] of [...messages.entries()].toReversed()) {
    if (message.role !== "assistant") continue;
    for (const block of message.blocks.toReversed()) {
      if (block.type !== "toolCall" || !FILE_TOOLS.has(block.name) || failed.has(block.callId)) continue;
      const path = isRecord(block.input) ? block.input.path : undefined;
      if (typeof path !== "string") continue;
      if (i >= keepFrom && SHOWING.has(block.name) && !recent.has(path)) shown.add(path);
      else if (!shown.has(path)) recent.add(path);
    }
  }
  return [...recent];
}

function failedCalls(messages: readonly Message[]): ReadonlySet<string> {
  const results = messages.flatMap((message) => (message.role === "tool" ? message.results : []));
  return new Set(results.filter(({ isError }) => isError).map(({ callId }) => callId));
}
