import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { Agent } from "../agents/agent.ts";
import { newContext } from "../context/epoch.ts";
import type { Delivery, InterruptAnswer, ModelFailureKind, NewEntry } from "../log/entry.ts";
import { fold } from "../log/fold.ts";
import type { SessionState } from "../log/state.ts";
import { agentWith } from "../testing/agent-builder.ts";
import {
  answerPart,
  call,
  created,
  entries,
  modelIsCalled,
  modelSays,
  runEnds,
  runStarts,
  stopIsAsked,
  text,
  toolEnds,
  toolStarts,
  userSays,
} from "../testing/log-builder.ts";
import { defineTool } from "../tools/define.ts";
import { nextStep } from "./next-step.ts";

const pay = defineTool({
  name: "pay",
  description: "",
  input: z.object({ amount: z.number() }),
  run: () => "paid",
  reconcile: async () => ({ type: "notStarted" }),
});

const tester = agentWith([pay], {
  model: { id: "scripted", fallback: [], cacheLifetime: "5m" },
});

function decide(facts: readonly NewEntry[], agent = tester, now = 10_000) {
  return nextStep(inContext(fold(entries(...facts)), agent), agent, {
    now,
    facts: () => ({ contextWindow: null, maxOutput: null, images: true }),
    worstCase: () => 0,
    sessionId: "s",
    addedRules: () => [],
    filesSeenAt: 0,
    tenant: { name: "default", dailyUsd: null },
  });
}

function withLimits(limits: Partial<Agent["limits"]>): Agent {
  return { ...tester, limits: { ...tester.limits, ...limits } };
}

/** What stands before the messages has been recorded. */
function inContext(state: SessionState, agent: Agent): SessionState {
  return { ...state, context: newContext("start", state, agent, { now: 0, project: null }) };
}

const asked = [created(), userSays("hi")];
const running = [...asked, runStarts()];
const payCall = (input: unknown = { amount: 1 }) => [
  ...running,
  modelIsCalled(),
  modelSays([call("a", "pay", input)]),
];
const failed = (kind: ModelFailureKind, attempt: number, retryAfterMs?: number): NewEntry => ({
  type: "modelFailed",
  runId: "r1",
  model: "scripted",
  attempt,
  failure: { kind, message: "no", ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
  durationMs: 1,
});

const failing = (kind: ModelFailureKind, times: number, retryAfterMs?: number): readonly NewEntry[] => [
  ...running,
  ...Array.from({ length: times }, (_, i) => [
    modelIsCalled(i + 1),
    failed(kind, i + 1, retryAfterMs),
  ]).flat(),
];
/** The run began 2 s after the log did, and may take a minute. */
const TIME_IS_UP = 62_000;

function switched(from: string, to: string, why: ModelFailureKind): NewEntry {
  return { type: "modelSwitched", runId: "r1", from, to, why };
}

function budgetAsks(): NewEntry {
  const budget = { scope: "run", key: "r1", limitUsd: 1, spentUsd: 1, neededUsd: 1 } as const;
  const request = { kind: "budget", message: "", budget } as const;
  return { type: "interrupted", runId: "r1", interruptId: "i1", request };
}

function personAnswers(answer: InterruptAnswer): NewEntry {
  return { type: "interruptResolved", interruptId: "i1", inboxId: "in-answer", answer };
}

describe("between runs", () => {
  it.each<[string, readonly NewEntry[], object]>([
    ["waits in a new session", [created()], { type: "wait" }],
    ["starts a run for a message", asked, { type: "startRun", model: "scripted" }],
    [
      "with the model that was asked for",
      [created(), { ...userSays("x"), model: "other" } as NewEntry],
      { model: "other" },
    ],
    [
      "waits after the run",
      [...running, modelIsCalled(), modelSays([text("ok")]), runEnds()],
      { type: "wait" },
    ],
  ])("%s", (_name, facts, step) => {
    expect(decide(facts)).toMatchObject(step);
  });
});

describe("in a run", () => {
  it.each<[string, readonly NewEntry[], object]>([
    ["calls the model", running, { type: "callModel", attempt: 1, delay: null }],
    [
      "calls again after a request that was lost in a crash",
      [...running, modelIsCalled()],
      { type: "callModel", attempt: 2 },
    ],
    [
      "ends with the model's answer",
      [...running, modelIsCalled(), modelSays([text("ok")])],
      { type: "stop", reason: "endTurn" },
    ],
    [
      "ends with an empty answer, too",
      [...running, modelIsCalled(), modelSays([])],
      { type: "stop", reason: "endTurn" },
    ],
    [
      "says when the answer was cut",
      [...running, modelIsCalled(), modelSays([text("o")], { stopReason: "maxTokens" })],
      { reason: "maxTokens" },
    ],
    [
      "says when the model refused",
      [...running, modelIsCalled(), modelSays([text("o")], { stopReason: "refused" })],
      { reason: "refused" },
    ],
    [
      "goes on after results",
      [...payCall(), toolStarts("a", "pay", "once"), toolEnds("a", "pay")],
      { type: "callModel", attempt: 1 },
    ],
    ["stops where it was asked to", [...running, stopIsAsked()], { type: "stop", reason: "stopped" }],
    [
      "stops before the retry",
      [...running, modelIsCalled(), failed("overloaded", 1), stopIsAsked()],
      { type: "stop", reason: "stopped" },
    ],
  ])("%s", (_name, facts, step) => {
    expect(decide(facts)).toMatchObject(step);
  });

  it("keeps to the limit of turns, and finishes a turn that a crash interrupted", () => {
    const oneTurn = withLimits({ turns: 1 });
    const after = [...payCall(), toolStarts("a", "pay", "once"), toolEnds("a", "pay")];
    expect(decide(after, oneTurn)).toEqual({ type: "stop", reason: "turnLimit" });
    expect(decide([...running, modelIsCalled()], oneTurn)).toMatchObject({ type: "callModel", attempt: 2 });
  });

  it("keeps to the limit of time", () => {
    expect(decide(running, tester, 2_000 + 60_000)).toEqual({ type: "stop", reason: "timeLimit" });
  });
});

describe("calls", () => {
  it.each<[string, readonly NewEntry[]]>([
    ["that have not started", payCall()],
    ["that had started when their node died", [...payCall(), toolStarts("a", "pay", "once")]],
    ["that are left when the run is stopped", [...payCall(), stopIsAsked()]],
    ["that are left when a message came", [...payCall(), userSays("wait")]],
  ])("get their results: %s", (_name, facts) => {
    expect(decide(facts)).toEqual({ type: "runTools" });
  });

  it("get their results also when the time is up", () => {
    expect(decide(payCall(), tester, TIME_IS_UP)).toEqual({ type: "runTools" });
  });

  it("that started before their answer broke off make what was complete of it the answer", () => {
    const part = [...running, modelIsCalled(), answerPart([call("a", "pay", { amount: 1 })])];
    const settle = { type: "settleAnswer" };
    expect(decide(part)).toEqual(settle);
    expect(decide([...part, toolStarts("a", "pay", "once"), failed("network", 1)])).toEqual(settle);
    expect(decide([...part, toolStarts("a", "pay", "once"), toolEnds("a", "pay")])).toEqual(settle);
    expect(decide([...part, stopIsAsked()])).toEqual(settle);
  });
});

describe("after a failure of the model", () => {
  it.each<[ModelFailureKind, number]>([
    ["rateLimited", 8],
    ["overloaded", 6],
    ["network", 6],
    ["timeout", 3],
    ["unknown", 4],
    ["authentication", 1],
    ["badRequest", 1],
    ["quota", 1],
    ["refused", 1],
    ["contextOverflow", 1],
  ])("%s: a turn is tried %d times", (kind, tries) => {
    if (tries > 1)
      expect(decide(failing(kind, tries - 1))).toMatchObject({ type: "callModel", attempt: tries });
    expect(decide(failing(kind, tries))).toMatchObject({ type: "fail", error: { code: `model_${kind}` } });
  });

  it("says how often it tried, and what a person can do", () => {
    expect(decide(failing("overloaded", 6))).toMatchObject({
      error: { message: "scripted is overloaded after 6 tries: no", hint: expect.any(String) },
    });
  });

  it.each([
    [1, 500],
    [2, 1_000],
    [3, 2_000],
    [7, 32_000],
  ])("waits after %d failures a random time of up to %d ms", (times, atMostMs) => {
    expect(decide(failing("rateLimited", times))).toMatchObject({ delay: { atLeastMs: 0, atMostMs } });
  });

  it("waits for what the provider asks, and gives up when that is too long to wait for", () => {
    expect(decide(failing("rateLimited", 1, 7_000))).toMatchObject({
      delay: { atLeastMs: 7_000, atMostMs: 7_500 },
    });
    expect(decide(failing("rateLimited", 1, 120_000))).toMatchObject({ type: "callModel" });
    expect(decide(failing("rateLimited", 1, 120_001))).toMatchObject({ type: "fail" });
  });

  it("does not try again when the time of the run is up", () => {
    const step = decide(failing("overloaded", 1), tester, TIME_IS_UP);
    expect(step).toEqual({ type: "stop", reason: "timeLimit" });
  });
});

describe("with models to go on with", () => {
  const agent = {
    ...tester,
    model: { ...tester.model, fallback: ["scripted", "second", "third"] },
  };

  it.each<[ModelFailureKind, number]>([
    ["rateLimited", 3],
    ["overloaded", 3],
    ["network", 3],
    ["timeout", 3],
    ["unknown", 3],
    ["quota", 1],
  ])("%s: the next one is used after %d failures", (kind, times) => {
    if (times > 1) expect(decide(failing(kind, times - 1), agent)).toMatchObject({ type: "callModel" });
    expect(decide(failing(kind, times), agent)).toEqual({ type: "switchModel", to: "second", why: kind });
  });

  it.each<ModelFailureKind>(["authentication", "badRequest", "refused"])(
    "%s: a person has to see it",
    (kind) => {
      expect(decide(failing(kind, 1), agent)).toMatchObject({ type: "fail" });
    },
  );

  it("does not wait long where it need not", () => {
    expect(decide(failing("rateLimited", 1, 300_000), agent)).toMatchObject({ type: "switchModel" });
  });

  it("begins anew with each model, uses none twice, and fails with what the last one said", () => {
    const second = [...failing("quota", 1), switched("scripted", "second", "quota")];
    expect(decide(second, agent)).toMatchObject({ type: "callModel", attempt: 2, delay: null });
    const third = [...second, modelIsCalled(2), failed("quota", 2), switched("second", "third", "quota")];
    expect(decide([...third, modelIsCalled(3), failed("quota", 3)], agent)).toMatchObject({
      type: "fail",
      error: { code: "model_quota", message: expect.stringContaining("third") },
    });
  });
});

describe("a request that was too long", () => {
  const long = "long ago ".repeat(8_000);
  const talk = [1, 2, 3, 4].flatMap((i) => [
    userSays(`${i} ${long}`),
    runStarts(),
    modelIsCalled(),
    modelSays([text("ok")]),
    runEnds(),
  ]);
  const tooLong = [created(), ...talk, ...running.slice(1), modelIsCalled(), failed("contextOverflow", 1)];

  it("is made shorter, then sent again", () => {
    const step = decide(tooLong);
    expect(step).toMatchObject({ type: "compact", plan: { tier: "summary" } });
    if (step.type !== "compact") return;
    const { tokensBefore } = step.plan;
    const compacted: NewEntry = {
      type: "resultsCleared",
      runId: "r1",
      results: [],
      tokensBefore,
      tokensAfter: 10,
    };
    expect(decide([...tooLong, compacted])).toMatchObject({ type: "callModel", delay: null });
  });

  it("fails the run when there is nothing left to leave out", () => {
    expect(decide(failing("contextOverflow", 1))).toMatchObject({
      type: "fail",
      error: { code: "model_contextOverflow" },
    });
  });
});

describe("a run that waits for a person", () => {
  const waiting = [...running, budgetAsks()];

  it("waits, and costs nothing", () => {
    expect(decide(waiting)).toEqual({ type: "wait" });
    expect(decide([...waiting, userSays("and?")])).toEqual({ type: "wait" });
  });

  it.each<[string, NewEntry, object]>([
    ["a higher limit", personAnswers({ action: "raise", limitUsd: 9 }), { type: "callModel" }],
    ["an end", personAnswers({ action: "end" }), { type: "stop", reason: "budget" }],
    ["a stop", stopIsAsked(), { type: "stop", reason: "stopped" }],
  ])("goes on with %s", (_name, fact, step) => {
    expect(decide([...waiting, fact])).toMatchObject(step);
  });

  it("goes on waiting when the answer is to another question", () => {
    const other = { ...personAnswers({ action: "end" }), interruptId: "other" } as NewEntry;
    expect(decide([...waiting, other])).toEqual({ type: "wait" });
  });
});

it("a run that a hook has ended is over", () => {
  const ended: NewEntry = {
    type: "hookDecided",
    runId: "r1",
    hook: "guard",
    point: "beforeModel",
    subject: "r1 1",
    decision: "end",
    blocks: true,
    durationMs: 1,
  };
  expect(decide([...running, ended])).toEqual({ type: "stop", reason: "hook" });
});

describe("a run that is taken up again and again", () => {
  const resumed: NewEntry = { type: "runResumed", runId: "r1", nodeId: "n", epoch: 1 };
  const times = (count: number) => Array.from({ length: count }, () => resumed);

  it("fails when it never gets any further", () => {
    expect(decide([...running, ...times(19)])).toMatchObject({ type: "callModel" });
    expect(decide([...running, ...times(20)])).toMatchObject({ type: "fail", error: { code: "crash_loop" } });
  });

  it("goes on when it got further in between", () => {
    const further = [...running, ...times(19), modelIsCalled(), failed("network", 1), ...times(19)];
    expect(decide(further)).toMatchObject({ type: "callModel" });
  });
});

describe("a message that arrives during a run", () => {
  const during = [...running, modelIsCalled()];

  it.each<[string, Delivery, object]>([
    ["steers: it is answered by the same run", "steer", { type: "callModel", attempt: 1 }],
    ["follows up: the run ends first", "followUp", { type: "stop", reason: "endTurn" }],
  ])("%s", (_name, delivery, step) => {
    const facts = [...during, { ...userSays("and?"), delivery } as NewEntry, modelSays([text("ok")])];
    expect(decide(facts)).toMatchObject(step);
  });

  it("follows up: it has a run of its own afterwards", () => {
    const later = { ...userSays("and?"), delivery: "followUp" } as NewEntry;
    const facts = [...during, later, modelSays([text("ok")]), runEnds()];
    expect(decide(facts)).toMatchObject({ type: "startRun" });
  });

  it("interrupts: the run is stopped, then it is answered", () => {
    const facts = [...during, stopIsAsked(), { ...userSays("no, this"), delivery: "interrupt" } as NewEntry];
    expect(decide(facts)).toEqual({ type: "stop", reason: "stopped" });
    expect(decide([...facts, runEnds("stopped")])).toMatchObject({ type: "startRun" });
  });
});

describe("files that a call can have changed", () => {
  const keeping: Agent = { ...tester, snapshots: { ...tester.snapshots, enabled: true } };
  const step = (facts: readonly NewEntry[], agent = keeping) => decide(facts, agent).type;
  const answered = (tool: string) => [...running, modelIsCalled(), modelSays([call("c", tool)])];
  const wrote = [...answered("pay"), toolStarts("c", "pay", "once"), toolEnds("c", "pay")];
  const counts = { files: 1, bytes: 1, added: 1, changed: 0, removed: 0 };
  const kept: NewEntry = { type: "workspaceSaved", snapshot: "s", ...counts, skipped: [], durationMs: 1 };

  it("are kept before the next request, once", () => {
    expect(step(wrote)).toBe("saveWorkspace");
    expect(step([...wrote, kept])).toBe("callModel");
  });

  it("are kept before the run ends, and not while it is asked to stop", () => {
    const late = [...answered("pay"), modelSays([text("ok")])];
    const ended = [...wrote, modelIsCalled(), modelSays([text("ok")])];
    expect(step(late)).not.toBe("saveWorkspace");
    expect(step(ended)).toBe("saveWorkspace");
    expect(step([...ended, kept])).toBe("stop");
    expect(step([...ended, stopIsAsked()])).toBe("stop");
  });

  it("are not looked at after calls that only read, while calls are open, or where the agent says so", () => {
    const read = [...answered("read"), toolStarts("c", "read", "readonly"), toolEnds("c", "read")];
    expect(step(read)).toBe("callModel");
    expect(step(wrote.slice(0, -1))).toBe("runTools");
    expect(step(wrote, tester)).toBe("callModel");
  });

  it("are not looked at in the run that never gets any further", () => {
    const resumed: NewEntry = { type: "runResumed", runId: "r1", nodeId: "n", epoch: 1 };
    expect(step([...wrote, ...Array.from({ length: 20 }, () => resumed)])).toBe("fail");
  });
});
