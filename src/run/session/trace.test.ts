import { describe, expect, it } from "vitest";
import type { Entry, NewEntry, Prefix } from "../../log/entry.ts";
import {
  call,
  created,
  entries,
  modelIsCalled,
  modelSays,
  runEnds,
  runStarts,
  text,
  toolEnds,
  toolStarts,
  userSays,
} from "../../testing/log-builder.ts";
import { type TraceCall, traceOf } from "./trace.ts";

/** Entries of `entries(...)` are a second apart. */
const SECOND = 1_000;

const running = [created(), userSays("hi"), runStarts()];
const prefix = (tokens: number, reusable: number, more: Partial<Prefix> = {}): Prefix => ({
  hash: "0",
  tokens,
  reusable,
  ...more,
});
const calls = (attempt: number, more: object = {}) => ({ ...modelIsCalled(attempt), ...more }) as NewEntry;
const answers = (more: object = {}) => ({ ...modelSays([text("ok")]), costUsd: 0.5, ...more }) as NewEntry;
const used = (input: number, cacheRead: number) => ({
  input,
  cacheRead,
  cacheWrite: 0,
  output: 10,
  reasoning: 0,
});

function callsOf(...facts: readonly NewEntry[]): readonly TraceCall[] {
  return traceOf(entries(...running, ...facts)).items.filter((item) => item.type === "call");
}

describe("a request to a model", () => {
  it.each<[string, readonly NewEntry[], Partial<TraceCall>]>([
    [
      "has what the provider counted and how long it took",
      [calls(1), answers({ usage: used(100, 900), timing: { firstTokenMs: 3, totalMs: 7 } })],
      { turn: 1, outcome: "answered", costUsd: 0.5, firstTokenMs: 3, totalMs: 7, wastedTokens: null },
    ],
    [
      "wastes what could have come from the cache and did not",
      [calls(1, { prefix: prefix(2_000, 1_800) }), answers({ usage: used(400, 600) })],
      { reusableShare: 0.9, wastedTokens: 300, broke: null },
    ],
    [
      "wastes nothing where the provider read all of it, and more",
      [calls(1, { prefix: prefix(1_000, 500) }), answers({ usage: used(100, 900) })],
      { wastedTokens: 0 },
    ],
    [
      "says why its prefix is not the one before",
      [calls(1, { prefix: prefix(1_000, 0, { broke: "toolsChanged" }) }), answers({ usage: used(1_000, 0) })],
      { broke: "toolsChanged", wastedTokens: 0 },
    ],
    [
      "failed",
      [
        calls(1),
        {
          type: "modelFailed",
          runId: "r1",
          model: "m",
          attempt: 1,
          failure: { kind: "overloaded", message: "no" },
          durationMs: 4,
        },
      ],
      { outcome: "failed", failure: { kind: "overloaded", message: "no" }, totalMs: 4, costUsd: 0 },
    ],
    [
      "was lost in a crash",
      [calls(1), { type: "runResumed", runId: "r1", nodeId: "n", epoch: 2, lostCall: true }],
      { outcome: "lost", costUsd: null },
    ],
    [
      "was cut off by a stop",
      [calls(1), { type: "runFinished", runId: "r1", reason: "stopped", lostCall: true }],
      { outcome: "lost", costUsd: null },
    ],
    [
      "broke off",
      [calls(1), answers({ brokeOff: true, costUsd: null })],
      { outcome: "brokeOff", costUsd: null },
    ],
    ["goes on", [calls(1)], { outcome: "underWay", totalMs: null }],
    [
      "was held short by a budget",
      [calls(1, { reservation: { usd: 1, maxOutputTokens: 500, budgets: [] } }), answers()],
      { maxOutputTokens: 500 },
    ],
  ])("%s", (_name, facts, expected) => {
    expect(callsOf(...facts)).toEqual([expect.objectContaining(expected)]);
  });

  it("is a try of its turn, and the turns count on over the runs", () => {
    const facts = [
      calls(1),
      calls(2),
      answers(),
      runEnds(),
      userSays("more", "in-2"),
      runStarts("r2"),
      calls(1),
    ];
    expect(callsOf(...facts).map(({ turn, attempt }) => [turn, attempt])).toEqual([
      [1, 1],
      [1, 2],
      [2, 1],
    ]);
  });

  it("for a summary is no turn, and what it cost is told with the compaction", () => {
    const compaction: NewEntry = {
      type: "compactionFailed",
      runId: "r1",
      tier: "summary",
      reason: "too long",
      tokens: 9_000,
      usage: used(100, 0),
      costUsd: 0.25,
    };
    const { items, totals } = traceOf(entries(...running, calls(1, { purpose: "summary" }), compaction));
    expect(items).toContainEqual(
      expect.objectContaining({ type: "call", purpose: "summary", costUsd: 0.25 }),
    );
    expect(items).toContainEqual(
      expect.objectContaining({ type: "compaction", tier: "summary", tokensAfter: null, reason: "too long" }),
    );
    expect(totals).toMatchObject({
      turns: 0,
      modelCalls: 0,
      summaryCalls: 1,
      compactions: 0,
      failedCompactions: 1,
      costUsd: 0.25,
    });
  });
});

describe("a trace", () => {
  const story = entries(
    ...running,
    calls(1, { prefix: prefix(100, 0) }),
    { ...modelSays([call("a", "pay")]), costUsd: 0.5, usage: used(100, 0) } as NewEntry,
    toolStarts("a", "pay", "keyed"),
    toolStarts("a", "pay", "keyed", 2),
    toolEnds("a", "pay"),
    {
      type: "interrupted",
      runId: "r1",
      interruptId: "i",
      request: {
        kind: "budget",
        message: "More?",
        budget: { scope: "run", key: "r1", limitUsd: 1, spentUsd: 1, neededUsd: 1 },
      },
    },
    {
      type: "interruptResolved",
      interruptId: "i",
      inboxId: "in-9",
      answer: { action: "raise", limitUsd: 2 },
      actor: "ada",
    },
    calls(1, { prefix: prefix(200, 100) }),
    answers({ usage: used(200, 0), costUsd: null }),
    runEnds(),
  );

  it("has everything in its order", () => {
    expect(traceOf(story).items.map(({ type }) => type)).toEqual([
      "message",
      "run",
      "call",
      "tool",
      "asked",
      "answered",
      "call",
      "runEnd",
    ]);
    expect(traceOf(story).items).toContainEqual(
      expect.objectContaining({ type: "tool", name: "pay", outcome: "ok", attempts: 2 }),
    );
    expect(traceOf(story).items).toContainEqual(
      expect.objectContaining({ type: "answered", actor: "ada", waitedMs: SECOND }),
    );
  });

  it("adds up, and says what it does not know", () => {
    expect(traceOf(story).totals).toMatchObject({
      runs: 1,
      turns: 2,
      modelCalls: 2,
      toolCalls: 1,
      costUsd: 0.5,
      unpricedCalls: 1,
      wastedTokens: 100,
      waitingMs: SECOND,
      usage: { input: 300, output: 20 },
    });
  });

  it("does not count the waiting as the runtime's time", () => {
    const { totalMs, overheadMs, waitingMs } = traceOf(story).totals;
    const without = traceOf(story.filter(({ type }) => !type.startsWith("interrupt")) as Entry[]).totals;
    expect(totalMs).toBe(without.totalMs);
    expect(overheadMs).toBe(without.overheadMs - waitingMs);
  });
});
