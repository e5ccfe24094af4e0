import type { RunResult } from "../../run/session/run-result.ts";
import type { Style } from "../terminal.ts";
import { dollars, duration, modelCallsText, plural, tokens } from "./figures.ts";
import { oneLine, plain } from "./plain.ts";

export interface ClosingFacts {
  readonly result: RunResult;
  /** The host's directory with the session's files, as the person would write it; null when none was made. */
  readonly workspace: string | null;
  /** What to type to go on: one command, or several of which one is chosen. */
  readonly next: readonly string[];
  readonly style: (style: Style, text: string) => string;
  /** Options that name where the session is. */
  readonly place: readonly string[];
}

/** The block at the end of a run: how it ended, where time and money went, where the results are, how to go on. */
export function closing({ result, workspace, next, style, place }: ClosingFacts): string {
  const { timing, usage, costUsd, sessionId } = result;
  const rows: readonly (readonly [string, string])[] = [
    ["time", timeLine(timing)],
    ["calls", `${modelCallsText(timing)}, ${plural(timing.toolCalls, "tool call")}`],
    ["tokens", tokens(usage)],
    ["cost", dollars(costUsd)],
    ...(workspace === null ? [] : [["files", plain(workspace)] as const]),
    ["session", oneLine(sessionId)],
    ...next.map((command, i) => [i === 0 ? "next" : "", plain(command)] as const),
  ];
  const lines = rows.map(([name, value]) => `  ${style("dim", name.padEnd(8))} ${value}\n`);
  return `\n${ending(result, style, place)}${lines.join("")}`;
}

function timeLine({ totalMs, modelMs, toolsMs, overheadMs, waitingMs }: RunResult["timing"]): string {
  const waiting = waitingMs === 0 ? "" : `, waiting for a person ${duration(waitingMs)}`;
  const parts = `model ${duration(modelMs)}, tools ${duration(toolsMs)}, runtime ${duration(overheadMs)}${waiting}`;
  const rest = totalMs - modelMs - toolsMs - overheadMs - waitingMs;
  const slack = totalMs / 100 + 5;
  if (rest > slack) return `${duration(totalMs)}: ${parts}, without a process ${duration(rest)}`;
  return `${duration(totalMs)}: ${parts}${rest < -slack ? " (some at the same time)" : ""}`;
}

/** How a run ended, in a line. */
export function ending(
  { reason, error }: RunResult,
  style: ClosingFacts["style"],
  place: readonly string[] = [],
): string {
  switch (reason) {
    case "endTurn":
      return `${style(["bold", "green"], "✓ done")}\n`;
    case "stopped":
      return `${style(["bold", "yellow"], "⊘ stopped")}\n`;
    case "turnLimit":
      return `${style(["bold", "yellow"], "⊘ ended at the limit of turns")} (limits.turns in harness.json)\n`;
    case "timeLimit":
      return `${style(["bold", "yellow"], "⊘ ended at the limit of time")} (limits.duration in harness.json)\n`;
    case "maxTokens":
      return `${style(["bold", "yellow"], "⊘ the answer reached the model's limit of output tokens")}\n`;
    case "budget":
      return `${style(["bold", "yellow"], "⊘ ended at its budget")}\n`;
    case "hook":
      return `${style(["bold", "yellow"], "⊘ ended by a hook")}\n`;
    case "abandoned":
      return `${style(["bold", "yellow"], "⊘ given up: nobody answered")} (approvals.abandonAfter in harness.json)\n`;
    case "waiting":
      return `${style(["bold", "yellow"], "⏸ waits for a person")}${whereToLook(place)}\n`;
    case "refused":
      return `${style(["bold", "red"], "✗ the model refused to answer")}\n`;
    case "failed": {
      const hint = error?.hint === undefined ? "" : `  ${oneLine(error.hint)}\n`;
      return `${style(["bold", "red"], "✗ failed:")} ${plain(error?.message ?? "")}\n${hint}`;
    }
  }
}

/** Not for an agent's folder: the list is of all agents of a place, and what to type stands below in any case. */
function whereToLook(place: readonly string[]): string {
  return place.includes("--agent") ? "" : ` (${["holdfast approvals", ...place].join(" ")})`;
}
