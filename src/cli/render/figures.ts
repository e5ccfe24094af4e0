import { formatDollars } from "../../lib/units.ts";
import type { Usage } from "../../log/content.ts";

/** Figures as people read them. */

/** "3 ms", "1.2 s", "12 s", "2 min 5 s", "1 h 3 min", "3 d 4 h". */
export function duration(ms: number): string {
  if (ms < 1) return "under 1 ms";
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${trimmed(ms / 1000, ms < 9_950 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3_600) return pair(seconds, 60, "min", 1, "s");
  if (seconds < 86_400) return pair(seconds, 3_600, "h", 60, "min");
  return pair(seconds, 86_400, "d", 3_600, "h");
}

function pair(seconds: number, big: number, bigUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((seconds % big) / small);
  return `${Math.floor(seconds / big)} ${bigUnit}${rest === 0 ? "" : ` ${rest} ${smallUnit}`}`;
}

/** How long ago: one unit, rounded down. "now", "5 s", "3 min", "2 h", "12 d". */
export function age(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return "now";
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** "just now", "5 s ago". */
export function ago(ms: number): string {
  return ms < 1000 ? "just now" : `${age(ms)} ago`;
}

/** "3 model calls", "4 model calls and 1 summary", "4 model calls, 2 summaries and 1 check". */
export function modelCallsText({ modelCalls, summaryCalls, classifierCalls }: CallCounts): string {
  const kinds = [
    plural(modelCalls, "model call"),
    ...(summaryCalls === 0 ? [] : [summaryCalls === 1 ? "1 summary" : `${summaryCalls} summaries`]),
    ...(classifierCalls === 0 ? [] : [plural(classifierCalls, "check")]),
  ];
  const last = kinds.length === 1 ? "" : ` and ${kinds.at(-1)}`;
  return `${kinds.slice(0, Math.max(1, kinds.length - 1)).join(", ")}${last}`;
}

interface CallCounts {
  readonly modelCalls: number;
  readonly summaryCalls: number;
  readonly classifierCalls: number;
}

/** "950", "12.3k", "1.2M". */
export function count(value: number): string {
  if (value < 1_000) return String(value);
  if (value < 999_950) return `${trimmed(value / 1_000, value < 99_950 ? 1 : 0)}k`;
  return `${trimmed(value / 1_000_000, 1)}M`;
}

/** "45.2k in (31k from cache), 2.1k out". */
export function tokens(usage: Usage): string {
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite;
  const cached = usage.cacheRead === 0 ? "" : ` (${count(usage.cacheRead)} from cache)`;
  const reasoning = usage.reasoning === 0 ? "" : ` (${count(usage.reasoning)} for reasoning)`;
  return `${count(prompt)} in${cached}, ${count(usage.output)} out${reasoning}`;
}

/** US dollars: "$0.0042", "$1.25"; "unknown price" for null. */
export function dollars(value: number | null): string {
  if (value === null) return "unknown price";
  if (value === 0) return "$0";
  if (value < 0.0001) return "under $0.0001";
  return formatDollars(value);
}

/** "1 turn", "2 turns". */
export function plural(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? "" : "s"}`;
}

function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}
