import { addUsage, noUsage, type Usage } from "../../log/content.ts";
import type {
  CallClassified,
  CallPurpose,
  Entry,
  HookDecided,
  InterruptAnswer,
  ModelCalled,
  ModelFailure,
  PrefixBreak,
  ToolOutcome,
} from "../../log/entry.ts";
import { createRunSummary } from "./run-result.ts";

/** Where time, tokens and money of a session went: what happened in its log, in order, and what it adds up to. */
export interface Trace {
  readonly items: readonly TraceItem[];
  readonly totals: TraceTotals;
}

/** Times are milliseconds; `at` since 1970. */
export type TraceItem =
  | { readonly type: "message"; readonly at: number; readonly text: string; readonly actor: string | null }
  | { readonly type: "run"; readonly at: number; readonly runId: string; readonly model: string }
  | TraceCall
  | TraceTool
  | {
      readonly type: "resumed";
      readonly at: number;
      /** How long nobody had worked on the run. */
      readonly awayMs: number;
    }
  | {
      readonly type: "switched";
      readonly at: number;
      readonly from: string;
      readonly to: string;
      readonly why: ModelFailure["kind"];
    }
  | { readonly type: "context"; readonly at: number; readonly cause: PrefixBreak }
  | {
      readonly type: "compaction";
      readonly at: number;
      readonly tier: string;
      readonly tokensBefore: number;
      /** Null when it failed. */
      readonly tokensAfter: number | null;
      readonly reason: string | null;
    }
  | ({ readonly type: "hook"; readonly at: number } & Pick<
      HookDecided,
      "hook" | "point" | "decision" | "durationMs"
    >)
  | ({ readonly type: "classified"; readonly at: number } & Pick<
      CallClassified,
      "callId" | "decision" | "reason" | "durationMs"
    >)
  | { readonly type: "asked"; readonly at: number; readonly message: string }
  | {
      readonly type: "answered";
      readonly at: number;
      readonly answer: InterruptAnswer;
      readonly actor: string | null;
      readonly waitedMs: number;
    }
  | { readonly type: "stopRequested"; readonly at: number; readonly reason: string | null }
  | { readonly type: "runEnd"; readonly at: number; readonly reason: string };

/** One request to a model, and what came of it. */
export interface TraceCall {
  readonly type: "call";
  readonly at: number;
  /** Counts the turns of the session, from 1. */
  readonly turn: number;
  readonly attempt: number;
  readonly purpose: "turn" | CallPurpose;
  readonly model: string;
  /** `lost`: a crash or a stop cut it off. `brokeOff`: only the part with calls that had begun is kept. */
  readonly outcome: "answered" | "brokeOff" | "failed" | "lost" | "underWay";
  readonly failure: ModelFailure | null;
  readonly firstTokenMs: number | null;
  readonly totalMs: number | null;
  readonly usage: Usage;
  readonly costUsd: number | null;
  /** The answer was held to so many tokens by a budget. */
  readonly maxOutputTokens: number | null;
  /** Share of the prompt with which the request before it began, too, 0 to 1; null where that is not known. */
  readonly reusableShare: number | null;
  /** Tokens that the provider could have read from its cache and did not. Null where nothing was counted. */
  readonly wastedTokens: number | null;
  /** Why the request did not go on with the bytes of the one before it. */
  readonly broke: PrefixBreak | null;
}

export interface TraceTool {
  readonly type: "tool";
  readonly at: number;
  readonly callId: string;
  readonly name: string;
  readonly outcome: ToolOutcome;
  readonly durationMs: number;
  /** How often it was started; 0 where it was answered without. */
  readonly attempts: number;
}

export interface TraceTotals {
  readonly runs: number;
  readonly turns: number;
  /** Requests for an answer, all tries. */
  readonly modelCalls: number;
  /** Requests for a summary of older messages, all tries. */
  readonly summaryCalls: number;
  /** Requests whether a call may start. */
  readonly classifierCalls: number;
  readonly failedCalls: number;
  readonly lostCalls: number;
  readonly toolCalls: number;
  /** Those that made the transcript shorter. */
  readonly compactions: number;
  readonly failedCompactions: number;
  readonly usage: Usage;
  /** US dollars of the calls whose price is known. */
  readonly costUsd: number;
  readonly unpricedCalls: number;
  readonly wastedTokens: number;
  /** Of the runs that have ended. Calls that ran at the same time count once each. */
  readonly totalMs: number;
  readonly modelMs: number;
  readonly toolsMs: number;
  readonly overheadMs: number;
  readonly waitingMs: number;
}

/** @pure */
export function traceOf(entries: Iterable<Entry>): Trace {
  const tracer = createTracer();
  for (const entry of entries) tracer.add(entry);
  return tracer.result();
}

function createTracer(): { add(entry: Entry): void; result(): Trace } {
  const items: TraceItem[] = [];
  const summary = createRunSummary();
  const starts = new Map<string, number>();
  let timing = { totalMs: 0, modelMs: 0, toolsMs: 0, overheadMs: 0 };
  let turn = 0;
  /** Where the call that is under way stands in the list. */
  let open: number | null = null;
  let lastAt = 0;
  /** When each open question was asked, and since when there has been one without a break. */
  const questions = new Map<string, number>();
  let waitingSince: number | null = null;
  let waitingMs = 0;

  function finishCall(found: Partial<TraceCall>): void {
    const call = open === null ? undefined : items[open];
    if (open === null || call?.type !== "call") return;
    items[open] = withWaste({ ...call, ...found });
    open = null;
  }

  function endWaiting(at: number): void {
    waitingMs += waitingSince === null ? 0 : at - waitingSince;
    waitingSince = null;
    questions.clear();
  }

  function endRun(at: number, reason: string, lostCall: boolean): void {
    if (lostCall) finishCall({ outcome: "lost", costUsd: null });
    endWaiting(at);
    items.push({ type: "runEnd", at, reason });
    const ran = summary.result().timing;
    timing = {
      totalMs: timing.totalMs + ran.totalMs,
      modelMs: timing.modelMs + ran.modelMs,
      toolsMs: timing.toolsMs + ran.toolsMs,
      overheadMs: timing.overheadMs + ran.overheadMs,
    };
  }

  function add(entry: Entry): void {
    const { at } = entry;
    summary.add({ type: "entry", entry });
    switch (entry.type) {
      case "userMessage":
        items.push({ type: "message", at, text: textOf(entry.blocks), actor: entry.actor ?? null });
        break;
      case "runStarted":
        items.push({ type: "run", at, runId: entry.runId, model: entry.model });
        break;
      case "runResumed":
        if (entry.lostCall) finishCall({ outcome: "lost", costUsd: null });
        items.push({ type: "resumed", at, awayMs: at - lastAt });
        break;
      case "contextOpened":
        items.push({ type: "context", at, cause: entry.cause });
        break;
      case "modelCalled":
        if (entry.attempt === 1 && entry.purpose === undefined) turn += 1;
        open = items.push(newCall(entry, at, turn)) - 1;
        break;
      case "modelFailed":
        finishCall({
          outcome: "failed",
          failure: entry.failure,
          totalMs: entry.durationMs,
          ...(entry.lostCall ? { costUsd: null } : {}),
        });
        break;
      case "assistantMessage":
        finishCall({
          ...entry.timing,
          outcome: entry.brokeOff ? "brokeOff" : "answered",
          usage: entry.usage,
          costUsd: entry.costUsd,
        });
        break;
      case "compacted":
        finishCall({ outcome: "answered", totalMs: at - lastAt, usage: entry.usage, costUsd: entry.costUsd });
        items.push({ type: "compaction", at, ...sizes(entry), tier: entry.tier, reason: null });
        break;
      case "compactionFailed":
        finishCall({ outcome: "answered", totalMs: at - lastAt, usage: entry.usage, costUsd: entry.costUsd });
        items.push({
          type: "compaction",
          at,
          tier: entry.tier,
          tokensBefore: entry.tokens,
          tokensAfter: null,
          reason: entry.reason,
        });
        break;
      case "resultsCleared":
        items.push({ type: "compaction", at, ...sizes(entry), tier: "results", reason: null });
        break;
      case "modelSwitched":
        items.push({ type: "switched", at, from: entry.from, to: entry.to, why: entry.why });
        break;
      case "toolStarted":
        starts.set(entry.callId, (starts.get(entry.callId) ?? 0) + 1);
        break;
      case "toolFinished": {
        const { callId, name, outcome, durationMs } = entry;
        items.push({
          type: "tool",
          at,
          callId,
          name,
          outcome,
          durationMs,
          attempts: starts.get(callId) ?? 0,
        });
        break;
      }
      case "callClassified": {
        const { callId, decision, reason, usage, costUsd, durationMs } = entry;
        finishCall({ outcome: "answered", totalMs: durationMs, usage, costUsd });
        items.push({ type: "classified", at, callId, decision, reason, durationMs });
        break;
      }
      case "hookDecided": {
        const { hook, point, decision, durationMs } = entry;
        items.push({ type: "hook", at, hook, point, decision, durationMs });
        break;
      }
      case "interrupted":
        questions.set(entry.interruptId, at);
        waitingSince ??= at;
        items.push({ type: "asked", at, message: entry.request.message });
        break;
      case "interruptResolved": {
        const waitedMs = at - (questions.get(entry.interruptId) ?? at);
        questions.delete(entry.interruptId);
        if (questions.size === 0) endWaiting(at);
        items.push({ type: "answered", at, answer: entry.answer, actor: entry.actor ?? null, waitedMs });
        break;
      }
      case "stopRequested":
        items.push({ type: "stopRequested", at, reason: entry.reason ?? null });
        break;
      case "runFinished":
        endRun(at, entry.reason, entry.lostCall === true);
        break;
      case "runFailed":
        endRun(at, `failed: ${entry.error.message}`, false);
        break;
      case "sessionCreated":
      case "contextAdded":
      case "answerPart":
        break;
    }
    lastAt = at;
  }

  return {
    add,
    result: () => ({ items, totals: { ...totalsOf(items), ...timing, waitingMs } }),
  };
}

function newCall(
  { attempt, purpose, model, prefix, reservation }: ModelCalled,
  at: number,
  turn: number,
): TraceCall {
  return {
    type: "call",
    at,
    turn,
    attempt,
    purpose: purpose ?? "turn",
    model,
    outcome: "underWay",
    failure: null,
    firstTokenMs: null,
    totalMs: null,
    usage: noUsage,
    costUsd: 0,
    maxOutputTokens: reservation?.maxOutputTokens ?? null,
    reusableShare: prefix === undefined || prefix.tokens === 0 ? null : prefix.reusable / prefix.tokens,
    wastedTokens: null,
    broke: prefix?.broke ?? null,
  };
}

/** The share is an estimate on both sides, so it holds for the provider's own count as well. */
function withWaste(call: TraceCall): TraceCall {
  const { input, cacheRead, cacheWrite } = call.usage;
  const prompt = input + cacheRead + cacheWrite;
  if (call.reusableShare === null || prompt === 0) return call;
  return { ...call, wastedTokens: Math.max(0, Math.round(prompt * call.reusableShare) - cacheRead) };
}

function sizes({
  tokensBefore,
  tokensAfter,
}: {
  readonly tokensBefore: number;
  readonly tokensAfter: number;
}) {
  return { tokensBefore, tokensAfter };
}

function textOf(blocks: readonly { readonly type: string; readonly text?: string }[]): string {
  return blocks.map((block) => block.text ?? `[${block.type}]`).join(" ");
}

type Counted = Omit<TraceTotals, "totalMs" | "modelMs" | "toolsMs" | "overheadMs" | "waitingMs">;

function totalsOf(items: readonly TraceItem[]): Counted {
  const calls = items.filter((item) => item.type === "call");
  const compactions = items.filter((item) => item.type === "compaction");
  const ofType = (type: TraceItem["type"]) => items.filter((item) => item.type === type).length;
  const withOutcome = (outcome: TraceCall["outcome"]) =>
    calls.filter((call) => call.outcome === outcome).length;
  return {
    runs: ofType("run"),
    turns: calls.filter(({ purpose, attempt }) => purpose === "turn" && attempt === 1).length,
    modelCalls: calls.filter(({ purpose }) => purpose === "turn").length,
    summaryCalls: calls.filter(({ purpose }) => purpose === "summary").length,
    classifierCalls: calls.filter(({ purpose }) => purpose === "classification").length,
    failedCalls: withOutcome("failed"),
    lostCalls: withOutcome("lost"),
    toolCalls: ofType("tool"),
    compactions: compactions.filter(({ tokensAfter }) => tokensAfter !== null).length,
    failedCompactions: compactions.filter(({ tokensAfter }) => tokensAfter === null).length,
    usage: calls.reduce((sum, { usage }) => addUsage(sum, usage), noUsage),
    costUsd: calls.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0),
    unpricedCalls: calls.filter(({ costUsd }) => costUsd === null).length,
    wastedTokens: calls.reduce((sum, { wastedTokens }) => sum + (wastedTokens ?? 0), 0),
  };
}
