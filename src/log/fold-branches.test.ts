import { describe, expect, it, test } from "vitest";
import {
  answerPart,
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
} from "../testing/log-builder.ts";
import { noUsage } from "./content.ts";
import type { ApprovalRequest, InterruptRequest, NewEntry } from "./entry.ts";
import { advance, fold } from "./fold.ts";
import { canWaitInFork, forkedInterrupt, forkedInterruptId } from "./fold-branches.ts";
import { type Draft, isWaiting, type SessionState } from "./state.ts";
import { repaired } from "./transcript.ts";

const spent = {
  usage: { ...noUsage, input: 7 },
  costUsd: 0.5,
  unpricedCalls: 2,
  lostUsd: 0.25,
};
const moved: NewEntry = { type: "headMoved", from: "e99", spent };
const forked: NewEntry = {
  type: "sessionCreated",
  agent: "tester",
  forkedFrom: { sessionId: "p", entryId: "e1" },
};
const waitingFork: NewEntry = { ...forked, waits: true };

const approval: ApprovalRequest = {
  kind: "approval",
  message: "May it?",
  call: { callId: "a", tool: "x", input: {}, risk: { reversibility: "hard", reach: "outside", why: [] } },
  permission: { layer: "mode", by: "default" },
  binding: "b1",
};

function asked(request: InterruptRequest, interruptId = "i1"): NewEntry {
  return { type: "interrupted", runId: "r1", interruptId, request };
}

const calling = [
  created(),
  userSays("hi"),
  runStarts(),
  modelIsCalled(),
  modelSays([call("a", "x"), call("b", "y"), call("c", "z")]),
];

test("a move undoes nothing that people have decided about what calls may do", () => {
  const deny = { scope: "session", list: "deny", rule: "shell" } as const;
  const allow = { scope: "session", list: "allow", rule: "write" } as const;
  const before: readonly NewEntry[] = [created(), { type: "ruleAdded", ...allow }];
  const moveTo = (more: object) => fold(entries(...before, { ...moved, ...more }));
  expect(moveTo({ permissions: { mode: "plan", rules: [allow, deny] } })).toMatchObject({
    mode: "plan",
    rules: [allow, deny],
  });
  expect(moveTo({ permissions: { rules: [allow] } })).toMatchObject({ mode: null, rules: [allow] });
  // Of an earlier release.
  expect(moveTo({})).toMatchObject({ mode: null, rules: [allow] });
});

/** One of everything that can be under way at some point of a session. */
const eventful: readonly NewEntry[] = [
  created(),
  userSays("hi"),
  runStarts(),
  modelIsCalled(),
  answerPart([call("a", "x")]),
  toolStarts("a", "x", "once"),
  toolEnds("a", "x"),
  modelSays([call("a", "x"), call("b", "y")]),
  userSays("meanwhile"),
  toolStarts("b", "y", "readonly"),
  toolEnds("b", "y"),
  modelIsCalled(),
  modelSays([text("done")]),
  runEnds(),
  userSays("more"),
  runStarts("r2"),
];

describe("a session that was moved back", () => {
  it("has what it has cost, and gives no call an id that a branch may have used", () => {
    const state = fold(entries(...calling, moved));
    expect(state).toMatchObject({ ...spent, knowsAllCallIds: false, run: null, openCalls: [] });
    expect(state.headId).toBe("e6");
  });

  it("tells the model that calls which were under way have no result", () => {
    const { messages } = fold(entries(...calling, toolEnds("b", "y", "2"), moved));
    const results = messages.at(-1);
    expect(results?.role === "tool" && results.results.map(({ blocks }) => JSON.stringify(blocks))).toEqual([
      expect.stringContaining("moved back"),
      expect.stringContaining('"2"'),
      expect.stringContaining("moved back"),
    ]);
  });

  it("keeps a budget that was raised before, and asks hooks about a new run's turns", () => {
    const decided: NewEntry = {
      ...{ type: "hookDecided", runId: "r1", hook: "h", point: "beforeModel", subject: "1" },
      ...{ decision: "allow", blocks: false, durationMs: 1 },
    };
    const state = fold(entries(created(), userSays("hi"), runStarts(), decided, moved));
    expect([...state.hooks.keys()]).toEqual([]);
    const raised = fold(entries(created())) as Draft;
    raised.raisedUsd = 3;
    for (const entry of entries(created(), moved).slice(1)) advance(raised, entry);
    expect(raised.raisedUsd).toBe(3);
  });

  test.each(eventful.map((fact, i) => [i + 1, fact.type] as const))(
    "stands, at entry %i (%s), where a fork would: at rest, with a transcript that every provider takes",
    (length) => {
      const before = eventful.slice(0, length);
      const state = fold(entries(...before, moved));
      expect(repaired(state.messages).problems).toEqual([]);
      expect(state).toMatchObject({ run: null, openCalls: [], deferred: [], unanswered: null });
      const fork = fold(entries(...before, forked));
      const words = (each: SessionState) =>
        JSON.stringify(each.messages).replaceAll(/No result: [^"]*/g, "no result");
      expect(words(state)).toBe(words(fork));
    },
  );
});

describe("a fork where people are asked", () => {
  const at = entries(...calling, asked(approval), toolStarts("b", "y", "once"), waitingFork);
  const state = fold(at);
  const forkEntry = at.at(-1)?.id ?? "";

  it("asks them too, under an id of its own", () => {
    expect(state.run?.interrupts).toMatchObject([
      { interruptId: forkedInterruptId(forkEntry, "i1"), request: approval, at: 7_000 },
    ]);
    expect(forkedInterruptId("s", "i1")).toMatch(/^int_[0-9a-f]{26}$/);
    expect(forkedInterruptId("t", "i1")).not.toBe(forkedInterruptId("s", "i1"));
  });

  it("leaves to the other session what is under way there, and keeps open what has not started", () => {
    expect(state.openCalls.map(({ callId, result }) => [callId, result === null])).toEqual([
      ["a", true],
      ["b", false],
      ["c", true],
    ]);
    expect(JSON.stringify(state.openCalls[1]?.result)).toContain("forked");
  });

  it("begins its costs, and the time of its run, where it was forked", () => {
    expect(state).toMatchObject({ costUsd: 0, unpricedCalls: 0, run: { costUsd: 0, askingSince: 7_000 } });
    // It had run for three seconds when it asked.
    expect(7_000 - (state.run?.startedAt ?? 0)).toBe(3_000);
  });

  it("leaves the run behind where that was not wanted, as forks of earlier releases did", () => {
    const plain = fold(entries(...calling, asked(approval), forked));
    expect(plain).toMatchObject({ run: null, openCalls: [] });
  });

  it("is answered by itself, and ends its calls under their ids", () => {
    const answer: NewEntry = {
      ...{ type: "interruptResolved", interruptId: forkedInterruptId(forkEntry, "i1"), inboxId: "in" },
      answer: { action: "approve" },
    };
    const answered = fold(
      entries(...calling, asked(approval), { type: "runPaused", runId: "r1" }, waitingFork, answer),
    );
    expect(answered.run).toMatchObject({ interrupts: [], paused: false });
    expect(answered.openCalls[0]?.approval).toMatchObject({ binding: "b1", answer: { action: "approve" } });
  });

  it("waits at once where the other one waited, and goes on where it would have", () => {
    const paused = fold(
      entries(...calling, asked(approval), { type: "runPaused", runId: "r1" }, waitingFork),
    );
    expect([paused.run, state.run].map((run) => run !== null && isWaiting(run))).toEqual([true, false]);
  });

  it("starts a tool that has asked a question again, as an operation of its own", () => {
    const question: InterruptRequest = { kind: "question", message: "?", call: approval.call };
    const begun = [...calling, toolStarts("a", "x", "once"), asked(question), waitingFork];
    expect(fold(entries(...begun)).openCalls[0]).toMatchObject({
      started: null,
      suspended: true,
      result: null,
    });
    const outcome: InterruptRequest = { kind: "outcome", message: "?", call: approval.call };
    const unknown = fold(entries(...calling, toolStarts("a", "x", "once"), asked(outcome), waitingFork));
    expect(unknown.openCalls[0]).toMatchObject({ started: { operationId: "op-a" }, result: null });
  });

  it("gives people as much time as there was at first", () => {
    const terms = { expiresAt: 2_000, remindAt: [1_500], abandonAt: 9_000 };
    const open = { interruptId: "i", at: 1_000, request: { ...approval, ...terms } };
    expect(forkedInterrupt(open, "s", 101_000).request).toMatchObject({
      expiresAt: 102_000,
      remindAt: [101_500],
      abandonAt: 109_000,
    });
  });

  test.each<[string, readonly NewEntry[], boolean]>([
    ["nothing is asked", calling, false],
    ["a person is asked", [...calling, asked(approval)], true],
    [
      "the answer is still being written",
      [...calling.slice(0, 4), answerPart([call("a", "x")]), asked(approval)],
      false,
    ],
    ["the run was stopped", [...calling, asked(approval), { type: "stopRequested" }], false],
    ["the run has ended", [...calling, asked(approval), runEnds()], false],
  ])("%s", (_, facts, expected) => {
    expect(canWaitInFork(fold(entries(...facts)))).toBe(expected);
  });
});
