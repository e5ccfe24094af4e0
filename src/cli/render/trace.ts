import type { Trace, TraceCall, TraceItem, TraceTotals } from "../../run/session/trace.ts";
import type { Style } from "../terminal.ts";
import { count, dollars, duration, modelCallsText, plural, tokens } from "./figures.ts";
import { cut, oneLine } from "./plain.ts";
import { answerWords } from "./question.ts";

type Styler = (style: Style, text: string) => string;

/** A trace as lines: one for each request to a model, with what happened beside it below. */
export function traceLines({ items, totals }: Trace, style: Styler): readonly string[] {
  const calls = items.filter((item) => item.type === "call").map(callCells);
  const widths = TITLES.map((title, i) =>
    Math.max(title.length, ...calls.map((cells) => cells[i]?.length ?? 0)),
  );
  const row = (cells: readonly string[]) =>
    cells
      .map((cell, i) =>
        i < 2 || i >= FIRST_TEXT ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [
    style("dim", row(TITLES)),
    ...items.map((item) =>
      item.type === "call" ? colour(item, row(callCells(item)), style) : besides(item, style),
    ),
    "",
    ...totalLines(totals, style),
  ];
}

const TITLES = [
  "TURN",
  "MODEL",
  "FIRST",
  "TOTAL",
  "IN",
  "CACHED",
  "WRITTEN",
  "OUT",
  "COST",
  "REUSABLE",
  "WASTED",
  "",
];
/** From here on cells are words. */
const FIRST_TEXT = TITLES.length - 1;

function callCells(call: TraceCall): readonly string[] {
  const { usage } = call;
  const counted = usage.input + usage.cacheRead + usage.cacheWrite > 0;
  const tokensOrNothing = (value: number) => (counted ? count(value) : "-");
  return [
    `${call.purpose === "turn" ? call.turn : PURPOSES[call.purpose]}${call.attempt > 1 ? `.${call.attempt}` : ""}`,
    cut(oneLine(call.model), 40),
    call.firstTokenMs === null ? "-" : duration(call.firstTokenMs),
    call.totalMs === null ? "-" : duration(call.totalMs),
    tokensOrNothing(usage.input + usage.cacheRead + usage.cacheWrite),
    tokensOrNothing(usage.cacheRead),
    tokensOrNothing(usage.cacheWrite),
    tokensOrNothing(usage.output),
    call.costUsd === null ? "?" : dollars(call.costUsd),
    call.reusableShare === null ? "-" : `${Math.floor(call.reusableShare * 100)} %`,
    call.wastedTokens === null ? "-" : count(call.wastedTokens),
    remark(call),
  ];
}

const PURPOSES = { summary: "sum", classification: "chk" };

function remark({ outcome, failure, broke, maxOutputTokens }: TraceCall): string {
  const remarks = [
    ...(outcome === "answered"
      ? []
      : [failure === null ? OUTCOMES[outcome] : `${failure.kind}: ${cut(oneLine(failure.message), 60)}`]),
    ...(broke === null || broke === "start" ? [] : [`prefix broke: ${CAUSES[broke]}`]),
    ...(maxOutputTokens === null ? [] : [`held to ${count(maxOutputTokens)} out by a budget`]),
  ];
  return remarks.join("; ");
}

const OUTCOMES = {
  answered: "",
  brokeOff: "broke off; cost unknown",
  failed: "failed",
  lost: "lost; cost unknown",
  underWay: "under way",
};

const CAUSES = {
  start: "start",
  promptChanged: "system prompt changed",
  toolsChanged: "tools changed",
  modelChanged: "model changed",
  compacted: "compacted",
};

function colour({ outcome }: TraceCall, line: string, style: Styler): string {
  return outcome === "answered" || outcome === "underWay" ? line : style("yellow", line);
}

/** What is no request to a model, in a line. */
function besides(item: Exclude<TraceItem, TraceCall>, style: Styler): string {
  const note = (text: string) => style("dim", `      ${text}`);
  switch (item.type) {
    case "message":
      return `${style(["bold", "blue"], "›")} ${cut(oneLine(item.text), 100)}${item.actor === null ? "" : style("dim", ` (${oneLine(item.actor)})`)}`;
    case "run":
    case "context":
      return note(item.type === "run" ? "run starts" : `context opened (${CAUSES[item.cause]})`);
    case "tool": {
      const again = item.attempts > 1 ? `, started ${item.attempts} times` : "";
      const text = `      ${oneLine(item.name)}  ${duration(item.durationMs)}  ${item.outcome}${again}`;
      return item.outcome === "ok" ? text : style("yellow", text);
    }
    case "resumed":
      return style("yellow", `      resumed after ${duration(item.awayMs)} without a process`);
    case "switched":
      return style(
        "yellow",
        `      ${oneLine(item.from)} given up (${item.why}); on with ${oneLine(item.to)}`,
      );
    case "compaction":
      return note(
        item.tokensAfter === null
          ? `compaction failed (${item.tier}): ${oneLine(item.reason ?? "")}`
          : `compaction (${item.tier}): ${count(item.tokensBefore)} to ${count(item.tokensAfter)} tokens`,
      );
    case "hook":
      return note(
        `hook ${oneLine(item.hook)} at ${item.point}: ${item.decision}, ${duration(item.durationMs)}`,
      );
    case "classified":
      return note(`classifier: ${item.decision}, ${oneLine(item.reason)}`);
    case "asked":
      return style("yellow", `      ⏸ ${oneLine(item.message)}`);
    case "answered": {
      const { done, rest, byNobody } = answerWords(item.answer);
      const who = item.actor === null ? "a person" : oneLine(item.actor);
      const words = byNobody ? done : `${who} ${done}`;
      return style("yellow", `      ▸ ${words} after ${duration(item.waitedMs)}${rest}`);
    }
    case "stopRequested":
      return style(
        "yellow",
        `      stop requested${item.reason === null ? "" : ` (${oneLine(item.reason)})`}`,
      );
    case "runEnd":
      return note(`run ended: ${oneLine(item.reason)}`);
  }
}

function totalLines(totals: TraceTotals, style: Styler): readonly string[] {
  const { totalMs, modelMs, toolsMs, waitingMs, overheadMs, usage } = totals;
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite;
  const share = prompt === 0 ? "" : `, ${Math.round((usage.cacheRead / prompt) * 100)} % read from cache`;
  const extra = [
    ...(totals.failedCalls === 0 ? [] : [`${totals.failedCalls} failed`]),
    ...(totals.lostCalls === 0 ? [] : [`${totals.lostCalls} lost`]),
  ];
  const unpriced =
    totals.unpricedCalls === 0 ? "" : ` + ${plural(totals.unpricedCalls, "call")} of unknown price`;
  const rows: readonly (readonly [string, string])[] = [
    [
      "time",
      `${duration(totalMs)}: model ${duration(modelMs)}, tools ${duration(toolsMs)}, runtime ${duration(overheadMs)}, waiting for a person ${duration(waitingMs)}`,
    ],
    [
      "calls",
      `${modelCallsText(totals)}${extra.length === 0 ? "" : ` (${extra.join(", ")})`} in ${plural(totals.turns, "turn")}, ${plural(totals.toolCalls, "tool call")}, ${plural(totals.compactions, "compaction")}${totals.failedCompactions === 0 ? "" : ` (and ${totals.failedCompactions} failed)`}`,
    ],
    ["tokens", `${tokens(usage)}${share}`],
    ["wasted", `${count(totals.wastedTokens)} tokens that a cache could have served`],
    ["cost", `${dollars(totals.costUsd)}${unpriced}`],
  ];
  return rows.map(([name, value]) => `  ${style("dim", name.padEnd(8))} ${value}`);
}
