import { describe, expect, it } from "vitest";
import {
  created,
  entries,
  modelIsCalled,
  modelSays,
  runEnds,
  runStarts,
  text,
  userSays,
} from "../testing/log-builder.ts";
import { noUsage } from "./content.ts";
import type { Entry, NewEntry } from "./entry.ts";
import { fold } from "./fold.ts";
import { sessionPatch } from "./session-patch.ts";
import { carriedState } from "./state.ts";

const running = [created(), userSays("hi"), runStarts()];
const reserved = { ...modelIsCalled(), reservation: { usd: 0.5, budgets: [] } } as NewEntry;
const answers = (costUsd: number | null) => ({ ...modelSays([text("ok")]), costUsd }) as NewEntry;
const fails = (more: object = {}) =>
  ({
    type: "modelFailed",
    runId: "r1",
    model: "m",
    attempt: 1,
    failure: { kind: "network", message: "" },
    durationMs: 1,
    ...more,
  }) as NewEntry;

describe("what a log has cost", () => {
  it.each<[string, readonly NewEntry[], { costUsd: number; unpricedCalls: number; lostUsd: number }]>([
    ["an answer at its price", [reserved, answers(0.2)], { costUsd: 0.2, unpricedCalls: 0, lostUsd: 0 }],
    [
      "one of unknown price, at the most",
      [reserved, answers(null)],
      { costUsd: 0, unpricedCalls: 1, lostUsd: 0.5 },
    ],
    [
      "one without a reservation",
      [modelIsCalled(), answers(null)],
      { costUsd: 0, unpricedCalls: 1, lostUsd: 0 },
    ],
    ["a refusal", [reserved, fails()], { costUsd: 0, unpricedCalls: 0, lostUsd: 0 }],
    [
      "a broken stream",
      [reserved, fails({ lostCall: true })],
      { costUsd: 0, unpricedCalls: 1, lostUsd: 0.5 },
    ],
    [
      "a crash",
      [reserved, { type: "runResumed", runId: "r1", nodeId: "n", epoch: 2, lostCall: true }],
      { costUsd: 0, unpricedCalls: 1, lostUsd: 0.5 },
    ],
    [
      "a stop",
      [reserved, { type: "runFinished", runId: "r1", reason: "stopped", lostCall: true }],
      { costUsd: 0, unpricedCalls: 1, lostUsd: 0.5 },
    ],
    [
      "a call that was settled is not lost again",
      [reserved, answers(0.2), { type: "runFinished", runId: "r1", reason: "endTurn" }],
      { costUsd: 0.2, unpricedCalls: 0, lostUsd: 0 },
    ],
  ])("%s", (_name, facts, expected) => {
    const log = entries(...running, ...facts);
    expect(fold(log)).toMatchObject(expected);
    // Lists say the same without folding.
    const { costUsd, unpricedCalls } = sessionPatch(log);
    expect({ costUsd, unpricedCalls }).toEqual({
      costUsd: expected.costUsd,
      unpricedCalls: expected.unpricedCalls,
    });
  });

  it("is carried over a compaction", () => {
    const before = fold(entries(...running, reserved, answers(null), answers(0.2)));
    const compacted: NewEntry = {
      type: "compacted",
      runId: "r1",
      tier: "summary",
      messages: [],
      carried: carriedState(before),
      tokensBefore: 2,
      tokensAfter: 1,
      usage: noUsage,
      costUsd: 0.25,
    };
    const { costUsd, lostUsd, unpricedCalls, run } = fold(entries(compacted));
    expect({ costUsd, lostUsd, unpricedCalls }).toEqual({ costUsd: 0.45, lostUsd: 0.5, unpricedCalls: 1 });
    expect(run).toMatchObject({ costUsd: 0.45, lostUsd: 0.5 });
  });

  it("is on the account of the session that a fork came from", () => {
    const log = entries(...running, reserved, answers(0.2), runEnds());
    const fork = { ...created(), forkedFrom: { sessionId: "s", entryId: "e4" } } as NewEntry;
    expect(fold([...log, { ...log[0], ...fork } as Entry])).toMatchObject({
      costUsd: 0,
      usage: noUsage,
      lostUsd: 0,
    });
  });
});

it("the time that a run waits for a person is none of its own", () => {
  const budget = { scope: "run", key: "r1", limitUsd: 1, spentUsd: 1, neededUsd: 1 } as const;
  const asked: NewEntry = {
    type: "interrupted",
    runId: "r1",
    interruptId: "i",
    request: { kind: "budget", message: "", budget },
  };
  const answer = { action: "raise", limitUsd: 2 } as const;
  const log = entries(...running, asked, {
    type: "interruptResolved",
    interruptId: "i",
    inboxId: "in-2",
    answer,
  });
  const waited = 3_600_000;
  const late = log.map((entry) =>
    entry.type === "interruptResolved" ? { ...entry, at: entry.at + waited } : entry,
  );
  // Entries of a case are a second apart.
  expect(fold(late).run?.startedAt).toBe((fold(log.slice(0, 3)).run?.startedAt ?? 0) + waited + 1_000);
});
