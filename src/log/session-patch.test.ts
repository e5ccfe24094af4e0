import { expect, test } from "vitest";
import { entries } from "../testing/log-builder.ts";
import { noUsage, type Usage } from "./content.ts";
import type { NewEntry } from "./entry.ts";
import { sessionPatch } from "./session-patch.ts";

const model = { runId: "r", model: "m" } as const;
const runStarted: NewEntry = { ...model, type: "runStarted" };
const runFinished: NewEntry = { type: "runFinished", runId: "r", reason: "turnLimit" };
const called = (attempt: number): NewEntry => ({ ...model, type: "modelCalled", attempt });
const answer = (usage: Usage, costUsd: number | null): NewEntry => ({
  ...model,
  type: "assistantMessage",
  blocks: [],
  stopReason: "endTurn",
  usage,
  costUsd,
  timing: { firstTokenMs: null, totalMs: 1 },
});
const usage: Usage = { input: 1, cacheRead: 2, cacheWrite: 3, output: 4, reasoning: 1 };

const cases: readonly [string, readonly NewEntry[], Partial<ReturnType<typeof sessionPatch>>][] = [
  [
    "a message changes no status",
    [{ type: "userMessage", blocks: [], inboxId: "i" }],
    { status: undefined, consumed: ["i"] },
  ],
  [
    "a stop is taken from the inbox",
    [{ type: "stopRequested", inboxId: "j" }],
    { status: undefined, consumed: ["j"] },
  ],
  ["a run starts", [runStarted], { status: "running", lastRunEnd: undefined }],
  ["a run is resumed", [{ type: "runResumed", runId: "r", nodeId: "n", epoch: 2 }], { status: "running" }],
  ["a run ends", [runFinished], { status: "idle", lastRunEnd: "turnLimit" }],
  [
    "a run fails",
    [{ type: "runFailed", runId: "r", error: { code: "c", message: "m" } }],
    { status: "idle", lastRunEnd: "failed" },
  ],
  ["the last one counts", [runFinished, runStarted], { status: "running", lastRunEnd: "turnLimit" }],
  ["a retry is no new turn", [called(1), called(2), called(1)], { turns: 2, usage: noUsage }],
  [
    "answers add up",
    [answer(usage, 0.5), answer(usage, 0.25)],
    { costUsd: 0.75, usage: { input: 2, cacheRead: 4, cacheWrite: 6, output: 8, reasoning: 2 } },
  ],
  ["a price may be unknown", [answer(usage, null), answer(usage, 0)], { costUsd: 0, unpricedCalls: 1 }],
  ["time is that of the last entry", [runStarted, runFinished], { updatedAt: 1_000 }],
];

test.each(cases)("%s", (_, facts, expected) => {
  expect(sessionPatch(entries(...facts))).toMatchObject(expected);
});
