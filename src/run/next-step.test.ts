import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { Agent } from "../agents/agent.ts";
import { newContext } from "../context/epoch.ts";
import type { Effect, ModelFailureKind, NewEntry } from "../log/entry.ts";
import { fold } from "../log/fold.ts";
import type { SessionState } from "../log/state.ts";
import {
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
import type { Tool } from "../tools/tool.ts";
import { nextStep } from "./next-step.ts";

const pay = defineTool({
  name: "pay",
  description: "",
  input: z.object({ amount: z.number() }),
  run: () => "paid",
  reconcile: async () => ({ type: "notStarted" }),
});

const unlimited = {
  costUsd: null,
  sessionCostUsd: null,
  dailyCostUsd: null,
  runs: null,
  sessionsPerMinute: null,
};

function agentWith(tools: readonly Tool[] = [pay], limits: Partial<Agent["limits"]> = {}): Agent {
  return {
    name: "tester",
    description: "",
    systemPrompt: "",
    model: { id: "scripted", fallback: [], cacheLifetime: "5m" },
    hooks: [],
    context: { compactAt: null, maxTools: 64, maxToolTokens: 20_000 },
    delivery: "steer",
    tools: new Map(tools.map((tool) => [tool.name, tool])),
    policy: ({ name }) => (name === "forbidden" ? { type: "deny", reason: "not here" } : { type: "allow" }),
    limits: { ...unlimited, turns: 3, durationMs: 60_000, parallelCalls: 10, ...limits },
    sandbox: { isolation: "none", limits: { memoryBytes: 0, processes: 0, fileSizeBytes: 0, cpus: 1 } },
    workspaceTemplate: null,
  };
}

function decide(facts: readonly NewEntry[], agent = agentWith(), now = 10_000) {
  return nextStep(inContext(fold(entries(...facts)), agent), agent, {
    now,
    facts: () => ({ contextWindow: null, maxOutput: null, images: true }),
    worstCase: () => 0,
    sessionId: "s",
    tenant: { name: "default", dailyUsd: null },
  });
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
    ["calls the model", running, { type: "callModel", attempt: 1, delayMs: 0 }],
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
    const oneTurn = agentWith([pay], { turns: 1 });
    const after = [...payCall(), toolStarts("a", "pay", "once"), toolEnds("a", "pay")];
    expect(decide(after, oneTurn)).toEqual({ type: "stop", reason: "turnLimit" });
    expect(decide([...running, modelIsCalled()], oneTurn)).toMatchObject({ type: "callModel", attempt: 2 });
  });

  it("keeps to the limit of time", () => {
    expect(decide(running, agentWith(), 2_000 + 60_000)).toEqual({ type: "stop", reason: "timeLimit" });
  });
});

describe("after a failure of the model", () => {
  it.each<[ModelFailureKind, "retry" | "fail"]>([
    ["rateLimited", "retry"],
    ["overloaded", "retry"],
    ["network", "retry"],
    ["timeout", "retry"],
    ["unknown", "retry"],
    ["authentication", "fail"],
    ["badRequest", "fail"],
    ["quota", "fail"],
    ["refused", "fail"],
    ["contextOverflow", "fail"],
  ])("%s: %s", (kind, expected) => {
    const step = decide([...running, modelIsCalled(), failed(kind, 1)]);
    expect(step.type).toBe(expected === "retry" ? "callModel" : "fail");
  });

  it("waits longer each time, and as long as the provider asks", () => {
    const once = [...running, modelIsCalled(), failed("overloaded", 1)];
    const twice = [...once, modelIsCalled(2), failed("overloaded", 2)];
    expect(decide(once)).toMatchObject({ attempt: 2, delayMs: 500 });
    expect(decide(twice)).toMatchObject({ attempt: 3, delayMs: 1_000 });
    expect(decide([...running, modelIsCalled(), failed("rateLimited", 1, 7_000)])).toMatchObject({
      delayMs: 7_000,
    });
  });

  it("gives up after five tries, and says so", () => {
    const facts = [1, 2, 3, 4, 5].flatMap((attempt) => [
      modelIsCalled(attempt),
      failed("overloaded", attempt),
    ]);
    const step = decide([...running, ...facts]);
    expect(step).toMatchObject({
      type: "fail",
      error: { code: "model_overloaded", message: "scripted is overloaded after 5 tries: no" },
    });
  });
});

describe("calls that have not started", () => {
  it("run with checked arguments", () => {
    expect(decide(payCall())).toMatchObject({
      type: "runTools",
      plans: [{ type: "run", attempt: 1, input: { amount: 1 } }],
    });
  });

  it.each<[string, readonly NewEntry[], string, RegExp]>([
    ["arguments that do not fit", payCall({ amount: "1" }), "invalid", /expected number/],
    [
      "an unknown tool",
      [...running, modelIsCalled(), modelSays([call("a", "fly")])],
      "invalid",
      /no tool named "fly"/,
    ],
    ["a stop", [...payCall(), stopIsAsked()], "cancelled", /stopped/],
    [
      "arguments that are not JSON",
      [
        ...running,
        modelIsCalled(),
        modelSays([{ type: "toolCall", callId: "a", name: "pay", input: {}, malformed: "{" }]),
      ],
      "invalid",
      /not valid JSON/,
    ],
  ])("are answered without being started: %s", (_name, facts, outcome, message) => {
    expect(decide(facts)).toMatchObject({
      type: "runTools",
      plans: [{ type: "finish", outcome, text: expect.stringMatching(message) }],
    });
  });

  it("are answered without being started when the policy denies them", () => {
    const forbidden = { ...pay, name: "forbidden" };
    const facts = [...running, modelIsCalled(), modelSays([call("a", "forbidden", { amount: 1 })])];
    expect(decide(facts, agentWith([forbidden]))).toMatchObject({
      plans: [{ type: "finish", outcome: "denied", text: "not here" }],
    });
  });
});

describe("calls that had started when their node died", () => {
  it.each<[Effect, object]>([
    ["readonly", { type: "run", attempt: 2 }],
    ["idempotent", { type: "run", attempt: 2 }],
    ["keyed", { type: "run", attempt: 2, call: { started: { operationId: "op-a" } } }],
    ["reconcile", { type: "reconcile" }],
    ["once", { type: "finish", outcome: "unknown", text: expect.stringContaining("NOT repeated") }],
  ])("%s", (effect, plan) => {
    expect(decide([...payCall(), toolStarts("a", "pay", effect)])).toMatchObject({ plans: [plan] });
  });

  it("count as what they were started as, whatever the tool says today", () => {
    const readonlyNow = agentWith([{ ...pay, effect: "readonly" }]);
    expect(decide([...payCall(), toolStarts("a", "pay", "once")], readonlyNow)).toMatchObject({
      plans: [{ type: "finish", outcome: "unknown" }],
    });
  });

  it("are unknown when the tool is gone", () => {
    expect(decide([...payCall(), toolStarts("a", "pay", "keyed")], agentWith([]))).toMatchObject({
      plans: [{ type: "finish", outcome: "unknown" }],
    });
  });

  it("are reconciled even when the run was stopped, so that what goes on is ended", () => {
    expect(decide([...payCall(), toolStarts("a", "pay", "reconcile"), stopIsAsked()])).toMatchObject({
      plans: [{ type: "reconcile" }],
    });
  });
});
