import { AppError } from "../../lib/errors.ts";
import { addUsage, noUsage, type Usage } from "../../log/content.ts";
import type { Entry, RunEnd, RunFailed } from "../../log/entry.ts";
import type { RunEvent } from "./events.ts";
import type { InterruptRecord } from "./interrupts.ts";
import { isRunEnd } from "./watch.ts";

/** What a run came to, for callers that do not want its events. */
export interface RunResult {
  readonly sessionId: string;
  readonly runId: string;
  /** `waiting`: it has not ended, and goes on when a person has answered `interrupt`. */
  readonly reason: RunEnd | "failed" | "waiting";
  /** Set when `reason` is "failed". */
  readonly error: RunFailed["error"] | null;
  /** Set when `reason` is "waiting". */
  readonly interrupt: InterruptRecord | null;
  /** The text of the model's last answer. */
  readonly text: string;
  readonly usage: Usage;
  /** US dollars; null when the price of a call is not known. */
  readonly costUsd: number | null;
  readonly timing: RunTiming;
}

/** Where the time of a run went, milliseconds of wall clock. Calls that ran at the same time count once each. */
export interface RunTiming {
  readonly totalMs: number;
  readonly modelMs: number;
  readonly toolsMs: number;
  /**
   * What is left of the total when the time during which the model or a tool was at work is taken off: the runtime's own
   * overhead. Time during which no process worked on the run, or it waited for a person, is not in it.
   */
  readonly overheadMs: number;
  /** For a person's answer. */
  readonly waitingMs: number;
  /** Requests for an answer, all tries. */
  readonly modelCalls: number;
  /** Requests for a summary of older messages, all tries. */
  readonly summaryCalls: number;
  /** Requests whether a call may start (mode `auto`). */
  readonly classifierCalls: number;
  readonly toolCalls: number;
}

/**
 * Reads a run's events to the end. `events` as from `Sessions.watchRun`.
 * @throws AppError `cancelled` when they end before the run: the reader left, or the runtime was closed.
 */
export async function collectRun(events: AsyncIterable<RunEvent>): Promise<RunResult> {
  const summary = createRunSummary();
  let last: RunEvent | undefined;
  for await (const event of events) {
    summary.add(event);
    last = event;
  }
  const isWhole = last?.type === "waiting" || (last?.type === "entry" && isRunEnd(last.entry));
  if (isWhole) return summary.result();
  throw new AppError("cancelled", "the reading was ended before the run was");
}

/** Adds up a run while its events pass by, from its start or from a message that it took up later. */
export function createRunSummary(): { add(event: RunEvent): void; result(): RunResult } {
  let tally = createTally();
  return {
    add(event) {
      if (event.type === "waiting") tally.wait(event.interrupt);
      if (event.type !== "entry") return;
      // The message may have come too late for the run that was under way.
      if (event.entry.type === "runStarted") tally = createTally();
      tally.add(event.entry);
    },
    result: () => tally.result(),
  };
}

interface Tally {
  add(entry: Entry): void;
  wait(interrupt: InterruptRecord): void;
  result(): RunResult;
}

function createTally(): Tally {
  let sessionId = "";
  let runId = "";
  let end: Pick<RunResult, "reason" | "error" | "interrupt"> = { ...NOTHING, reason: "stopped" };
  let text = "";
  let usage = noUsage;
  let costUsd: number | null = 0;
  let startedAt: number | undefined;
  let endedAt: number | null = null;
  let modelMs = 0;
  let toolsMs = 0;
  const requests = { turn: 0, summary: 0, classification: 0 };
  let waitingMs = 0;
  let toolCalls = 0;
  let lastAt = 0;
  /** When a request was sent that has no answer yet, or had failed and is to be sent again. */
  let askedAt: number | null = null;
  /** Since when there has been an open question without a break. */
  let waitingSince: number | null = null;
  const questions = new Set<string>();
  const busy: Interval[] = [];
  const away: Interval[] = [];

  /** The pause before another try, and the time of a request that was cut off by a stop, were the model's, too. */
  function endRequest(at: number): void {
    if (askedAt === null) return;
    modelMs += at - askedAt;
    busy.push([askedAt, at]);
    askedAt = null;
  }

  function endWaiting(at: number): void {
    if (waitingSince === null) return;
    away.push([waitingSince, at]);
    waitingMs += at - waitingSince;
    waitingSince = null;
  }

  function spend(call: { readonly usage: Usage; readonly costUsd: number | null }): void {
    usage = addUsage(usage, call.usage);
    costUsd = costUsd === null || call.costUsd === null ? null : costUsd + call.costUsd;
  }

  return {
    add(entry) {
      sessionId = entry.sessionId;
      startedAt ??= entry.at;
      if ("runId" in entry) runId = entry.runId;
      switch (entry.type) {
        case "runResumed":
          away.push([lastAt, entry.at]);
          if (entry.lostCall) costUsd = null;
          askedAt = null;
          break;
        case "modelCalled":
          endRequest(entry.at);
          askedAt = entry.at;
          requests[entry.purpose ?? "turn"] += 1;
          break;
        case "assistantMessage": {
          askedAt = null;
          const said = entry.blocks.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("");
          if (said !== "") text = said;
          spend(entry);
          modelMs += entry.timing.totalMs;
          busy.push([entry.at - entry.timing.totalMs, entry.at]);
          break;
        }
        case "compacted":
        case "compactionFailed":
          spend(entry);
          break;
        case "callClassified":
          askedAt = null;
          spend(entry);
          // What failed has been counted with its failure.
          if (entry.failed === true) break;
          modelMs += entry.durationMs;
          busy.push([entry.at - entry.durationMs, entry.at]);
          break;
        case "interrupted":
          questions.add(entry.interruptId);
          waitingSince ??= entry.at;
          break;
        case "interruptResolved":
          questions.delete(entry.interruptId);
          if (questions.size === 0) endWaiting(entry.at);
          break;
        case "modelFailed":
          if (entry.lostCall) costUsd = null;
          askedAt = entry.at;
          modelMs += entry.durationMs;
          busy.push([entry.at - entry.durationMs, entry.at]);
          break;
        case "toolFinished":
          toolCalls += 1;
          toolsMs += entry.durationMs;
          busy.push([entry.at - entry.durationMs, entry.at]);
          break;
        case "runFinished":
          endRequest(entry.at);
          endWaiting(entry.at);
          end = { ...NOTHING, reason: entry.reason };
          if (entry.lostCall) costUsd = null;
          endedAt = entry.at;
          break;
        case "runFailed":
          endRequest(entry.at);
          end = { ...NOTHING, reason: "failed", error: entry.error };
          endedAt = entry.at;
          break;
        case "sessionCreated":
        case "userMessage":
        case "runStarted":
        case "toolStarted":
        case "stopRequested":
          break;
      }
      lastAt = entry.at;
    },
    wait(interrupt) {
      sessionId = interrupt.sessionId;
      runId = interrupt.runId;
      end = { ...NOTHING, reason: "waiting", interrupt };
      endedAt = lastAt;
    },
    result() {
      const until = endedAt ?? lastAt;
      const totalMs = until - (startedAt ?? until);
      const open: readonly Interval[] = waitingSince === null ? [] : [[waitingSince, until]];
      const overheadMs = Math.max(0, totalMs - covered([...busy, ...away, ...open]));
      const timing = {
        totalMs,
        modelMs,
        toolsMs,
        overheadMs,
        waitingMs: waitingMs + covered(open),
        modelCalls: requests.turn,
        summaryCalls: requests.summary,
        classifierCalls: requests.classification,
        toolCalls,
      };
      return { sessionId, runId, ...end, text, usage, costUsd, timing };
    },
  };
}

const NOTHING = { error: null, interrupt: null };

type Interval = readonly [from: number, to: number];

/** The length of the union of the intervals. */
function covered(intervals: readonly Interval[]): number {
  let total = 0;
  let reached = Number.NEGATIVE_INFINITY;
  for (const [from, to] of intervals.toSorted(([a], [b]) => a - b)) {
    total += Math.max(0, to - Math.max(from, reached));
    reached = Math.max(reached, to);
  }
  return total;
}
