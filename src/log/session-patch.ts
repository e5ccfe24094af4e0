import { addUsage, noUsage, type Usage } from "./content.ts";
import type { Entry } from "./entry.ts";

/**
 * What an append changes in its session's summary (`SessionRecord`). Stores apply it together with the entries, so that
 * lists and dashboards need not fold logs.
 */
export interface SessionPatch {
  /** Undefined when the entries neither begin nor end a run, nor its waiting. */
  readonly status: "running" | "waiting" | "idle" | undefined;
  /** Undefined when no run ended. */
  readonly lastRunEnd: string | undefined;
  readonly updatedAt: number;
  /** These four are to be added to the session's sums. */
  readonly turns: number;
  readonly usage: Usage;
  readonly costUsd: number;
  readonly unpricedCalls: number;
  /** The inbox items that these entries move into the log. */
  readonly consumed: readonly string[];
}

/** The item of the inbox that the entry came from. */
export function inboxIdOf(entry: Entry): string | undefined {
  switch (entry.type) {
    case "userMessage":
    case "stopRequested":
    case "interruptResolved":
    case "interruptVoted":
    case "modeChanged":
    case "ruleAdded":
      return entry.inboxId;
    default:
      return undefined;
  }
}

/** @pure */
export function sessionPatch(entries: readonly Entry[]): SessionPatch {
  let status: SessionPatch["status"];
  let lastRunEnd: string | undefined;
  let updatedAt = 0;
  let turns = 0;
  let usage = noUsage;
  let costUsd = 0;
  let unpricedCalls = 0;
  const consumed: string[] = [];

  for (const entry of entries) {
    updatedAt = Math.max(updatedAt, entry.at);
    status = statusAfter(entry, status);
    const inboxId = inboxIdOf(entry);
    if (inboxId !== undefined) consumed.push(inboxId);
    if ("lostCall" in entry && entry.lostCall === true) unpricedCalls += 1;
    switch (entry.type) {
      case "runFinished":
        lastRunEnd = entry.reason;
        break;
      case "runFailed":
        lastRunEnd = "failed";
        break;
      case "modelCalled":
        if (entry.attempt === 1 && entry.purpose === undefined) turns += 1;
        break;
      case "assistantMessage":
      case "compacted":
      case "compactionFailed":
      case "callClassified":
        usage = addUsage(usage, entry.usage);
        if (entry.costUsd === null) unpricedCalls += 1;
        else costUsd += entry.costUsd;
        break;
    }
  }
  return { status, lastRunEnd, updatedAt, turns, usage, costUsd, unpricedCalls, consumed };
}

function statusAfter(entry: Entry, before: SessionPatch["status"]): SessionPatch["status"] {
  switch (entry.type) {
    case "runStarted":
    case "runResumed":
      return "running";
    case "interrupted":
      // One about a call may leave others to go on.
      return "call" in entry.request ? before : "waiting";
    case "runPaused":
      return "waiting";
    case "runFinished":
    case "runFailed":
      return "idle";
    case "stopRequested":
    case "modeChanged":
    case "ruleAdded":
    case "interruptResolved":
      // A run that waited has something to do again.
      return before === "waiting" ? "running" : before;
    default:
      return before;
  }
}
