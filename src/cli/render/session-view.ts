import type { Usage } from "../../log/content.ts";
import { addUsage, noUsage } from "../../log/content.ts";
import type { RunEvent } from "../../run/session/events.ts";
import { createRunSummary, type RunResult } from "../../run/session/run-result.ts";
import { ending } from "./closing.ts";
import { dollars, duration, tokens } from "./figures.ts";
import type { ViewOptions } from "./options.ts";
import { createRunView, type RunView } from "./render.ts";

/** What the runs that were seen came to. */
export interface Totals {
  readonly runs: number;
  readonly modelMs: number;
  readonly toolsMs: number;
  readonly overheadMs: number;
  readonly waitingMs: number;
  readonly modelCalls: number;
  readonly summaryCalls: number;
  readonly classifierCalls: number;
  readonly toolCalls: number;
  readonly usage: Usage;
  /** Null when a price is not known. */
  readonly costUsd: number | null;
}

/** A whole session: its runs one after the other, each with a line on how it ended and what it took. */
export interface SessionView extends Pick<RunView, "add" | "activity" | "close"> {
  /** The run that goes on, or waits, is among them. */
  totals(): Totals;
}

export function createSessionView(options: ViewOptions): SessionView {
  const view = createRunView(options);
  const summary = createRunSummary();
  let isOpen = false;
  let totals: Totals = {
    runs: 0,
    modelMs: 0,
    toolsMs: 0,
    overheadMs: 0,
    waitingMs: 0,
    modelCalls: 0,
    summaryCalls: 0,
    classifierCalls: 0,
    toolCalls: 0,
    usage: noUsage,
    costUsd: 0,
  };

  return {
    add(event) {
      summary.add(event);
      isOpen ||= event.type === "entry" && event.entry.type === "runStarted";
      const text = view.add(event);
      if (!isEnd(event)) return text;
      isOpen = false;
      const result = summary.result();
      totals = addRun(totals, result);
      return `${text}\n${ending(result, options.style, options.place)}  ${options.style("dim", runLine(result))}\n`;
    },
    activity: view.activity,
    close: view.close,
    totals: () => (isOpen ? addRun(totals, summary.result()) : totals),
  };
}

function isEnd(event: RunEvent): boolean {
  return event.type === "entry" && (event.entry.type === "runFinished" || event.entry.type === "runFailed");
}

function addRun(totals: Totals, { timing, usage, costUsd }: RunResult): Totals {
  return {
    runs: totals.runs + 1,
    modelMs: totals.modelMs + timing.modelMs,
    toolsMs: totals.toolsMs + timing.toolsMs,
    overheadMs: totals.overheadMs + timing.overheadMs,
    waitingMs: totals.waitingMs + timing.waitingMs,
    modelCalls: totals.modelCalls + timing.modelCalls,
    summaryCalls: totals.summaryCalls + timing.summaryCalls,
    classifierCalls: totals.classifierCalls + timing.classifierCalls,
    toolCalls: totals.toolCalls + timing.toolCalls,
    usage: addUsage(totals.usage, usage),
    costUsd: totals.costUsd === null || costUsd === null ? null : totals.costUsd + costUsd,
  };
}

function runLine({ timing, usage, costUsd }: RunResult): string {
  const { totalMs, modelMs, toolsMs } = timing;
  // A reader that came in the middle has not seen when the run began.
  const total = totalMs > 1e12 ? "" : `${duration(totalMs)}: `;
  return `${total}model ${duration(modelMs)}, tools ${duration(toolsMs)} · ${tokens(usage)} · ${dollars(costUsd)}`;
}
