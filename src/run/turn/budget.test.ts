import { describe, expect, it } from "vitest";
import type { Agent, AgentModel } from "../../agents/agent.ts";
import { newContext } from "../../context/epoch.ts";
import type { NewEntry } from "../../log/entry.ts";
import { fold } from "../../log/fold.ts";
import { agentWith } from "../../testing/agent-builder.ts";
import {
  created,
  entries,
  modelIsCalled,
  modelSays,
  runStarts,
  stopIsAsked,
  text,
  userSays,
} from "../../testing/log-builder.ts";
import type { Knowledge } from "../knowledge.ts";
import { nextStep } from "../next-step.ts";
import { budgetOf, unpricedBudgets } from "./budget.ts";

/** The entries of a case begin at the start of 1970; this is how long its run may take. */
const LONG = Number.MAX_SAFE_INTEGER;

/** A dollar for a thousand tokens of either kind, so that sums can be done in one's head. */
const priced: Knowledge = {
  now: Date.UTC(2026, 0, 31, 23, 59),
  facts: () => ({ contextWindow: null, maxOutput: 4_000, images: true }),
  worstCase: (_model, input, output) => (input + output) / 1_000,
  sessionId: "s",
  tenant: { name: "acme", dailyUsd: null },
  addedRules: () => [],
  filesSeenAt: 0,
};
/** What the call of every case would cost: 1,000 tokens in, and an answer of 4,000. */
const size = { inputTokens: 1_000, outputTokens: 4_000 };

function limited(limits: Partial<Agent["limits"]> = {}, model: Partial<AgentModel> = {}): Agent {
  return {
    ...agentWith([], {
      model: { id: "scripted", fallback: [], cacheLifetime: "5m", ...model },
      limits: {
        turns: 10,
        durationMs: LONG,
        parallelCalls: 1,
        costUsd: null,
        sessionCostUsd: null,
        dailyCostUsd: null,
        runs: null,
        sessionsPerMinute: null,
        ...limits,
      },
    }),
    tools: new Map(),
  };
}

const running = [created(), userSays("hi"), runStarts()];
const costs = (costUsd: number | null, more: object = {}): NewEntry =>
  ({ ...modelSays([text("ok")]), costUsd, ...more }) as NewEntry;
const reserved = (usd: number, attempt = 1): NewEntry =>
  ({ ...modelIsCalled(attempt), reservation: { usd, budgets: [] } }) as NewEntry;
const failed: NewEntry = {
  type: "modelFailed",
  runId: "r1",
  model: "scripted",
  attempt: 1,
  failure: { kind: "network", message: "" },
  durationMs: 1,
};
const part: NewEntry = { type: "answerPart", runId: "r1", model: "scripted", blocks: [text("half")] };
const resumed: NewEntry = { type: "runResumed", runId: "r1", nodeId: "n", epoch: 2, lostCall: true };
const ended: NewEntry = { type: "runFinished", runId: "r1", reason: "endTurn" };
const nextRun = [userSays("again", "in-2"), { ...runStarts("r2") }];

function check(
  facts: readonly NewEntry[],
  limits: Partial<Agent["limits"]>,
  { known = priced, model = {} }: { readonly known?: Knowledge; readonly model?: Partial<AgentModel> } = {},
) {
  const state = fold(entries(...facts));
  if (state.run === null) throw new Error("the case has no run");
  return budgetOf(state, limited(limits, model), state.run, known, { size });
}

describe("the budgets of run and session", () => {
  const spent3 = [...running, reserved(5), costs(3)];
  it.each<[string, readonly NewEntry[], Partial<Agent["limits"]>, object]>([
    ["are not asked for where there are none", running, {}, { reservation: null, exceeded: null }],
    [
      "hold a call that fits",
      running,
      { costUsd: 5 },
      { reservation: { usd: 5, budgets: [] }, exceeded: null },
    ],
    ["hold one beside what is spent", spent3, { costUsd: 8 }, { reservation: { usd: 5 }, exceeded: null }],
    [
      "shorten an answer to what is left",
      running,
      { costUsd: 3 },
      { reservation: { usd: 3, maxOutputTokens: 2_000 }, exceeded: null },
    ],
    [
      "do not shorten it below a quarter",
      running,
      { costUsd: 1.9 },
      { reservation: null, exceeded: { budget: { scope: "run", key: "r1", limitUsd: 1.9, neededUsd: 5 } } },
    ],
    [
      "ask when they are used up",
      spent3,
      { costUsd: 3.5 },
      { exceeded: { kind: "budget", budget: { scope: "run", limitUsd: 3.5, spentUsd: 3, neededUsd: 5 } } },
    ],
    [
      "begin anew with each run",
      [...spent3, ended, ...nextRun],
      { costUsd: 5 },
      { reservation: { usd: 5 }, exceeded: null },
    ],
    [
      "but not those of the session",
      [...spent3, ended, ...nextRun],
      { sessionCostUsd: 3.5 },
      { exceeded: { budget: { scope: "session", key: "s", spentUsd: 3 } } },
    ],
    [
      "of two, the one with less left decides",
      spent3,
      { costUsd: 100, sessionCostUsd: 3.2 },
      { exceeded: { budget: { scope: "session" } } },
    ],
    [
      "count a lost call at the most that it can have been",
      [...running, reserved(5), resumed],
      { costUsd: 6 },
      { exceeded: { budget: { spentUsd: 5 } } },
    ],
    [
      "count one that failed with a part of its answer there like that, too",
      [...running, reserved(5), { ...failed, lostCall: true } as NewEntry],
      { costUsd: 6 },
      { exceeded: { budget: { spentUsd: 5 } } },
    ],
    [
      "do not count one that was refused",
      [...running, reserved(5), failed],
      { costUsd: 6 },
      { reservation: { usd: 5 } },
    ],
    [
      "count what is kept of an answer once, although its call failed",
      [...running, reserved(5), part, failed, costs(null, { brokeOff: true })],
      { costUsd: 6 },
      { exceeded: { budget: { spentUsd: 5 } } },
    ],
    [
      "count an answer that broke off like that, too",
      [...running, reserved(5), costs(null, { brokeOff: true })],
      { costUsd: 6 },
      { exceeded: { budget: { spentUsd: 5 } } },
    ],
  ])("%s", (_name, facts, limits, expected) => {
    expect(check(facts, limits)).toMatchObject(expected);
  });

  it("leave more room to an answer for which the model thinks", () => {
    const wide = { inputTokens: 1_000, outputTokens: 40_000 };
    const state = fold(entries(...running));
    const ask = (model: Partial<AgentModel>) =>
      state.run && budgetOf(state, limited({ costUsd: 3 }, model), state.run, priced, { size: wide });
    expect(ask({})).toMatchObject({ reservation: { maxOutputTokens: 2_000 } });
    expect(ask({ reasoning: "high" })).toMatchObject({ exceeded: { budget: { scope: "run" } } });
  });

  it("cannot hold what has no known price, and say so", () => {
    const known = { ...priced, worstCase: () => null };
    expect(check(running, { costUsd: 0.01 }, { known })).toEqual({
      reservation: null,
      exceeded: null,
      unpriced: true,
    });
  });

  it("hold an answer to what was assumed of it, where nobody knows how long it can become", () => {
    const known = { ...priced, facts: () => ({ contextWindow: null, maxOutput: null, images: true }) };
    expect(check(running, { costUsd: 5 }, { known }).reservation).toMatchObject({ maxOutputTokens: 4_000 });
    const free = { ...known, worstCase: () => 0 };
    expect(check(running, { costUsd: 5 }, { known: free }).reservation).toEqual({ usd: 0, budgets: [] });
    const model = { maxOutputTokens: 4_000 };
    expect(check(running, { costUsd: 5 }, { known, model }).reservation).toEqual({ usd: 5, budgets: [] });
  });

  it("are no longer what a person once raised them to, where the agent is given more, or as much as it wants", () => {
    const state = fold(entries(...spent3));
    const ask = (limits: Partial<Agent["limits"]>) =>
      state.run &&
      budgetOf({ ...state, raisedUsd: 4 }, limited(limits), { ...state.run, raisedUsd: 4 }, priced, {
        size,
      });
    expect(ask({ costUsd: 8, sessionCostUsd: 8 })?.reservation).toEqual({ usd: 5, budgets: [] });
    expect(ask({})).toMatchObject({ reservation: null, exceeded: null });
    expect(ask({ costUsd: 3 })?.exceeded).toMatchObject({ budget: { limitUsd: 4 } });
  });

  it("let through what costs nothing, however much is spent", () => {
    const known = { ...priced, worstCase: () => 0 };
    expect(check([...running, reserved(5), costs(7)], { costUsd: 5 }, { known }).exceeded).toBeNull();
  });

  it("say in the question what happened and which command answers it", () => {
    const { exceeded } = check(spent3, { costUsd: 3.5 });
    expect(exceeded?.message).toBe(
      "$3.00 of $3.50 is spent, the budget of this run, and the next call may cost up to $5.00. Raise it: holdfast interrupts answer s --raise 8; or end the run: --end",
    );
  });
});

describe("shared budgets", () => {
  const tenant = { name: "acme", dailyUsd: 20 };

  it("are named for the day of the call, in UTC", () => {
    expect(check(running, { dailyCostUsd: 9 }, { known: { ...priced, tenant } }).reservation).toEqual({
      usd: 5,
      budgets: [
        { scope: "agent", key: "tester", day: "2026-01-31", limitUsd: 9 },
        { scope: "tenant", key: "acme", day: "2026-01-31", limitUsd: 20 },
      ],
    });
  });

  it("shorten or ask once the store has said what is left of them", () => {
    const state = fold(entries(...running));
    const full = (spentUsd: number) => ({ scope: "agent", key: "tester", limitUsd: 9, spentUsd }) as const;
    const ask = (spentUsd: number) =>
      state.run &&
      budgetOf(state, limited({ dailyCostUsd: 9 }), state.run, priced, { size, full: [full(spentUsd)] });
    expect(ask(6)).toMatchObject({ reservation: { usd: 3, maxOutputTokens: 2_000 } });
    expect(ask(8.5)).toMatchObject({
      exceeded: { budget: { scope: "agent", key: "tester", spentUsd: 8.5 } },
    });
  });
});

describe("the decision at a budget", () => {
  const interrupted: NewEntry = {
    type: "interrupted",
    runId: "r1",
    interruptId: "i1",
    request: {
      kind: "budget",
      message: "",
      budget: { scope: "run", key: "r1", limitUsd: 0.001, spentUsd: 0, neededUsd: 5 },
    },
  };
  const answers = (answer: Extract<NewEntry, { type: "interruptResolved" }>["answer"]): NewEntry => ({
    type: "interruptResolved",
    interruptId: "i1",
    inboxId: "in-9",
    answer,
  });
  const waiting = [...running, interrupted];

  it.each<[string, readonly NewEntry[], object]>([
    ["is to ask", running, { type: "interrupt", request: { budget: { scope: "run" } } }],
    ["is to wait for the answer", waiting, { type: "wait" }],
    [
      "is to go on when it was raised",
      [...waiting, answers({ action: "raise", limitUsd: 50 })],
      { type: "callModel" },
    ],
    [
      "is to ask again when that is not enough",
      [...waiting, answers({ action: "raise", limitUsd: 0.002 })],
      { type: "interrupt", request: { budget: { limitUsd: 0.002 } } },
    ],
    [
      "is to end when it was not",
      [...waiting, answers({ action: "end" })],
      { type: "stop", reason: "budget" },
    ],
    [
      "is to stop when that was asked for meanwhile",
      [...waiting, stopIsAsked()],
      { type: "stop", reason: "stopped" },
    ],
    [
      "is to go on waiting after an answer to another question",
      [...waiting, { ...answers({ action: "end" }), interruptId: "i0" } as NewEntry],
      { type: "wait" },
    ],
  ])("%s", (_name, facts, expected) => {
    const agent = limited({ costUsd: 0.001 });
    const state = fold(entries(...facts));
    // So that nothing but the budget stands between the run and its call.
    const context = newContext("start", state, agent, { now: 0, project: null });
    expect(nextStep({ ...state, context }, agent, priced)).toMatchObject(expected);
  });
});

describe("what a person is told of prices that are not known", () => {
  const worstCase: Knowledge["worstCase"] = (id) => (id === "known/one" ? 1 : null);
  it.each<[string, Agent, readonly string[]]>([
    ["nothing without a budget", limited({}, { id: "x/y" }), []],
    ["nothing where all are known", limited({ costUsd: 1 }, { id: "known/one" }), []],
    [
      "each model of the agent, its fallbacks included",
      limited({ dailyCostUsd: 1 }, { id: "x/y", fallback: ["known/one", "x/z"] }),
      ["x/y", "x/z"],
    ],
  ])("%s", (_name, agent, models) => {
    expect(unpricedBudgets(agent, worstCase).map((line) => line.split(" ")[3])).toEqual(models);
  });

  it("says for each model where its prices belong", () => {
    const agent = limited({ costUsd: 1 }, { id: "x/y", fallback: ["x/z"] });
    const [main, fallback] = unpricedBudgets(agent, worstCase);
    expect(main).toContain("set model.prices in harness.json");
    expect(fallback).toContain('{ "id": "x/z", "prices": { ... } } in model.fallback');
  });
});
