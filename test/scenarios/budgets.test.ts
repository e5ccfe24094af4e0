import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import type { AgentDefinition, Entry, RunResult, Session } from "../../src/index.ts";
import type { InterruptRecord } from "../../src/run/session/interrupts.ts";
import { collectRun } from "../../src/run/session/run-result.ts";
import type { Sessions } from "../../src/run/session/sessions.ts";
import type { Script } from "../../src/testing/testing.ts";
import { type Scenario, type ScenarioOptions, startScenario, story } from "./in-process.ts";

/** A dollar for a million tokens in, ten for a million out: an answer of 1,000 tokens costs a cent. */
const prices = { input: 1, output: 10 };
const model = { id: "scripted/tester", prices, maxOutputTokens: 1_000 };

/** Each answer costs a cent, and with 1,000 tokens can cost hardly more. */
const twoTurns: Script = {
  defaults: {},
  turns: [
    {
      when: { step: 1 },
      times: "any",
      usage: { input: 0, output: 1_000 },
      calls: [{ tool: "list", input: {} }],
    },
    { when: { step: 2 }, times: "any", usage: { input: 0, output: 1_000 }, text: "done" },
  ],
};

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "holdfast-budgets-"));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

function start(limits: AgentDefinition["limits"], more: ScenarioOptions = {}): Promise<Scenario> {
  return startScenario(twoTurns, { dataDir, ...more, agent: { model, limits } });
}

async function ask(session: Session): Promise<RunResult> {
  return (await session.send("Do it.")).result();
}

/** Reads on to the end of the run, once somebody has answered. */
async function runEnd({ runtime }: Scenario, sessionId: string, after: number): Promise<Entry> {
  for await (const event of runtime.sessions.watch(sessionId, {
    after,
    signal: AbortSignal.timeout(60_000),
  })) {
    if (event.type !== "entry") continue;
    if (event.entry.type === "runFinished" || event.entry.type === "runFailed") return event.entry;
  }
  throw new Error("the run did not end");
}

/** Enough for the first call, and for less than a quarter of the second: its prompt costs about a fifth of a cent. */
const ONE_CALL = 0.0135;

describe("a run whose budget is used up", () => {
  test("waits, survives a restart, and goes on when a person raises it", async () => {
    let sessionId = "";
    let seq = 0;
    {
      await using before = await start({ costUsd: ONE_CALL });
      const session = await before.session();
      const result = await ask(session);
      expect(result).toMatchObject({ reason: "waiting", costUsd: 0.01, error: null });
      expect(budgetOf(result.interrupt)).toMatchObject({
        scope: "run",
        limitUsd: ONE_CALL,
        spentUsd: 0.01,
      });
      expect((await before.runtime.sessions.get(session.id)).status).toBe("waiting");
      sessionId = session.id;
      seq = (await before.runtime.sessions.get(session.id)).headSeq;
    }
    await using after = await start({ costUsd: ONE_CALL });
    const { sessions } = after.runtime;
    await after.runtime.idle();
    expect((await sessions.get(sessionId)).headSeq).toBe(seq);

    const [interrupt] = await sessions.interrupts({ status: "open" });
    const raise = (limitUsd: number) =>
      sessions.answer(sessionId, interrupt?.id ?? "", { action: "raise", limitUsd }, { actor: "ada" });
    await expect(raise(ONE_CALL)).rejects.toMatchObject({ code: "invalid_input" });
    const answered = await raise(0.05);
    expect(answered).toMatchObject({ status: "answered", answered: { actor: "ada" } });
    await expect(raise(0.06)).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("ada has answered this already"),
    });
    expect(await runEnd(after, sessionId, seq)).toMatchObject({ type: "runFinished", reason: "endTurn" });
    expect(await sessions.get(sessionId)).toMatchObject({ status: "idle", costUsd: 0.02, unpricedCalls: 0 });
    const entries = await sessions.entries(sessionId);
    expect(story(entries)).toContain("interrupted");
    expect(story(entries.slice(seq))).toContain("interruptResolved modelCalled assistantMessage");
  });

  test("ends when a person says so", async () => {
    await using scenario = await start({ costUsd: ONE_CALL });
    const session = await scenario.session();
    const { interrupt } = await ask(session);
    await scenario.runtime.sessions.answer(session.id, interrupt?.id ?? "", { action: "end" });
    expect(await runEnd(scenario, session.id, 0)).toMatchObject({ type: "runFinished", reason: "budget" });
  });

  test("can be stopped while it waits", async () => {
    await using scenario = await start({ costUsd: ONE_CALL });
    const session = await scenario.session();
    await ask(session);
    expect(await session.stop()).toBe(true);
    expect(await runEnd(scenario, session.id, 0)).toMatchObject({ type: "runFinished", reason: "stopped" });
    expect(await scenario.runtime.sessions.interrupts({ status: "open" })).toEqual([]);
    expect(await scenario.runtime.sessions.interrupts({ status: "closed" })).toHaveLength(1);
  });

  test("tells whoever sends another message meanwhile that it waits", async () => {
    await using scenario = await start({ costUsd: ONE_CALL });
    const session = await scenario.session();
    const first = await ask(session);
    const second = await ask(session);
    expect(second).toMatchObject({ reason: "waiting", interrupt: { id: first.interrupt?.id } });
  });

  test("gives the same caller the answer, when the budget was raised meanwhile", async () => {
    await using scenario = await start({ costUsd: ONE_CALL });
    const session = await scenario.session();
    const send = async () => (await session.send("Do it.", { idempotencyKey: "k" })).result();
    const { interrupt } = await send();
    await scenario.runtime.sessions.answer(session.id, interrupt?.id ?? "", { action: "raise", limitUsd: 1 });
    expect(await send()).toMatchObject({ reason: "endTurn", text: "done", costUsd: 0.02 });
  });

  test("is asked about once for each of two budgets", async () => {
    await using scenario = await start({ costUsd: ONE_CALL, sessionCostUsd: ONE_CALL + 0.0005 });
    const session = await scenario.session();
    const { interrupt: ofRun } = await ask(session);
    expect(budgetOf(ofRun)?.scope).toBe("run");
    const { headSeq } = await scenario.runtime.sessions.get(session.id);
    await scenario.runtime.sessions.answer(session.id, ofRun?.id ?? "", { action: "raise", limitUsd: 1 });
    const ofSession = await nextInterrupt(scenario, session.id, headSeq);
    expect(budgetOf(ofSession)).toMatchObject({ scope: "session", key: session.id });
    await scenario.runtime.sessions.answer(session.id, ofSession.interruptId, {
      action: "raise",
      limitUsd: 1,
    });
    expect(await runEnd(scenario, session.id, headSeq)).toMatchObject({ reason: "endTurn" });
  });
});

describe("an answer", () => {
  test("is held to what is left of the budget", async () => {
    await using scenario = await startScenario(twoTurns, {
      dataDir,
      agent: { model: { ...model, maxOutputTokens: 10_000 }, limits: { costUsd: 0.05 } },
    });
    await ask(await scenario.session());
    const [first, second] = scenario.model.requests.map(({ maxOutputTokens }) => maxOutputTokens ?? 0);
    expect(first).toBeGreaterThan(4_000);
    expect(first).toBeLessThan(5_000);
    // What the first answer has cost is gone, and the request has grown by a few tokens.
    expect(second).toBeLessThanOrEqual((first ?? 0) - 1_000);
    expect(second).toBeGreaterThan((first ?? 0) - 1_100);
  });
});

describe("a budget that sessions share", () => {
  const PARALLEL = 12;
  const DAILY = 0.1;

  test("is never exceeded by sessions that run at once; raised for one, it is raised for all", async () => {
    await using scenario = await start({ dailyCostUsd: DAILY });
    const sessions = await Promise.all(Array.from({ length: PARALLEL }, () => scenario.session()));
    const results = await Promise.all(sessions.map(ask));
    const spent = await spentToday(scenario);
    expect(spent).toBeLessThanOrEqual(DAILY);
    expect(spent).toBeGreaterThan(DAILY / 2);
    const waiting = results.filter(({ reason }) => reason === "waiting");
    expect(waiting.length).toBeGreaterThan(0);
    expect(waiting.every(({ interrupt }) => budgetOf(interrupt)?.scope === "agent")).toBe(true);

    const [one] = waiting;
    await scenario.runtime.sessions.answer(one?.sessionId ?? "", one?.interrupt?.id ?? "", {
      action: "raise",
      limitUsd: 1,
    });
    const ends = await Promise.all(sessions.map(({ id }) => runEnd(scenario, id, 0)));
    expect(ends.every((end) => end.type === "runFinished" && end.reason === "endTurn")).toBe(true);
    expect(await spentToday(scenario)).toBeCloseTo(PARALLEL * 0.02, 9);
    expect(await scenario.runtime.sessions.interrupts({ status: "open" })).toEqual([]);
  });

  test("may be one of a tenant, from the environment", async () => {
    const config = readConfig({}, { HOLDFAST_TENANT_DAILY_USD: String(ONE_CALL) });
    await using scenario = await start({}, { config });
    const { interrupt } = await ask(await scenario.session());
    expect(budgetOf(interrupt)).toMatchObject({ scope: "tenant", key: "default", limitUsd: ONE_CALL });
  });

  test("is raised by whoever runs the server, not by a tenant that it holds", async () => {
    await using scenario = await start({ dailyCostUsd: ONE_CALL });
    const { runtime } = scenario;
    const [acme, umbrella] = [runtime.sessionsOf("acme"), runtime.sessionsOf("umbrella")];
    const first = await askAs(acme);
    const second = await askAs(umbrella);
    const raise = { action: "raise", limitUsd: 1 } as const;
    await expect(acme.answer(first.sessionId, first.id, raise)).rejects.toMatchObject({
      code: "forbidden",
      message: expect.stringContaining('today\'s budget of the agent "tester"'),
    });
    expect(await umbrella.interrupts({ status: "open" })).toHaveLength(1);
    await runtime.sessions.answer(first.sessionId, first.id, raise, { actor: "ada" });
    await runEnd(scenario, second.sessionId, 0);
    expect(await umbrella.interrupts()).toMatchObject([{ answered: { actor: "ada" } }]);
  });

  test("is not got round by a tenant with a model whose price nobody knows", async () => {
    await using scenario = await start({ dailyCostUsd: ONE_CALL });
    const { runtime } = scenario;
    const acme = runtime.sessionsOf("acme");
    const { session } = await acme.create({ agent: "tester" });
    const blocks = [{ type: "text", text: "Do it." }] as const;
    const unpriced = { blocks, model: "acme/new-model" };
    await expect(acme.send(session.id, unpriced)).rejects.toMatchObject({
      code: "forbidden",
      message: expect.stringContaining("the price of acme/new-model is not known"),
    });
    expect(await acme.inbox(session.id)).toEqual([]);
    await acme.send(session.id, { blocks, model: "anthropic/claude-sonnet-4-6" });
    await runtime.sessions.send(session.id, unpriced);
  });

  test("is not raised for those whose limit is higher already, when an answer is repeated", async () => {
    await using scenario = await start({ dailyCostUsd: ONE_CALL });
    const { sessions } = scenario.runtime;
    const repeated = { idempotencyKey: "k" };
    const raise = { action: "raise", limitUsd: 2 * ONE_CALL } as const;
    const first = await askAs(sessions);
    await sessions.answer(first.sessionId, first.id, raise, repeated);
    const end = await runEnd(scenario, first.sessionId, 0);
    expect(end).toMatchObject({ type: "runFinished", reason: "endTurn" });
    const second = await askAs(sessions);
    await sessions.answer(first.sessionId, first.id, raise, repeated);
    expect(await sessions.interrupts({ status: "open" })).toMatchObject([{ id: second.id }]);
  });
});

/** The question that a message of a new session comes to. */
async function askAs(sessions: Sessions): Promise<InterruptRecord> {
  const { session } = await sessions.create({ agent: "tester" });
  const { messageId } = await sessions.send(session.id, { blocks: [{ type: "text", text: "Do it." }] });
  const result = await collectRun(
    sessions.watchRun(session.id, messageId, { signal: AbortSignal.timeout(60_000) }),
  );
  if (result.interrupt === null) throw new Error(`nobody was asked: ${result.reason}`);
  return result.interrupt;
}

test("a request that was given up, because nothing of its answer came for long, counts at the most that it can have cost", async () => {
  const turns = [{ error: { kind: "timeout" as const } }, { text: "done" }];
  await using scenario = await startScenario(
    { turns },
    { dataDir, agent: { model, limits: { costUsd: ONE_CALL } } },
  );
  const session = await scenario.session();
  const result = await ask(session);
  expect(result).toMatchObject({ reason: "waiting", costUsd: null });
  expect(budgetOf(result.interrupt)?.spentUsd).toBeGreaterThan(0.01);
  expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({ costUsd: 0, unpricedCalls: 1 });
});

test("a budget for a model of unknown price is said not to hold, and its calls are not counted as free", async () => {
  await using scenario = await startScenario(twoTurns, {
    dataDir,
    agent: { model: "acme/new-model", limits: { costUsd: 0.0001 } },
  });
  const session = await scenario.session();
  const run = await session.send("Do it.");
  const events = await Array.fromAsync(run);
  const notices = events.flatMap((event) => (event.type === "notice" ? [event.message] : []));
  expect(notices).toEqual([expect.stringContaining("the price of acme/new-model is not known")]);
  expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({ costUsd: 0, unpricedCalls: 2 });
  const { total } = await scenario.runtime.sessions.costs({ by: "model" });
  expect(total).toMatchObject({ calls: 2, costUsd: 0, unpricedCalls: 2 });
});

async function spentToday({ runtime }: Scenario): Promise<number> {
  return (await runtime.sessions.costs({ by: "day" })).total.costUsd;
}

async function nextInterrupt({ runtime }: Scenario, sessionId: string, after: number) {
  for await (const event of runtime.sessions.watch(sessionId, {
    after,
    signal: AbortSignal.timeout(60_000),
  })) {
    if (event.type === "entry" && event.entry.type === "interrupted") return event.entry;
  }
  throw new Error("nobody was asked");
}

function budgetOf(interrupt: Pick<InterruptRecord, "request"> | null | undefined) {
  return interrupt?.request.kind === "budget" ? interrupt.request.budget : undefined;
}
