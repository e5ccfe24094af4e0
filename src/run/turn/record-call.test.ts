import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Agent } from "../../agents/agent.ts";
import type { Clock } from "../../lib/clock.ts";
import type { NewEntry } from "../../log/entry.ts";
import { openSqliteStore } from "../../stores/sqlite/sqlite.ts";
import type { Store } from "../../stores/store.ts";
import { agentWith } from "../../testing/agent-builder.ts";
import { createFakeClock, type FakeClock } from "../../testing/fake-clock.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import { openSessionWriter, type SessionWriter } from "../session-writer.ts";
import { recordCall } from "./record-call.ts";

/** A day's budget of a dollar that two sessions share, where each call can cost 60 cents: 10 for its prompt, 50 for its answer. */
const DAY = "2026-01-01";
const size = { inputTokens: 100, outputTokens: 10_000 };
const worstCase = (input: number, output: number) => input / 1_000 + output / 20_000;

const agent: Agent = {
  ...agentWith(),
  name: "x",
  model: { id: "m", fallback: [], cacheLifetime: "5m" },
  hooks: [],
  limits: { ...agentWith().limits, costUsd: null, sessionCostUsd: null, dailyCostUsd: 1 },
};

let clock: FakeClock;
let store: Store;
let stopping: AbortController;
beforeEach(async () => {
  clock = createFakeClock();
  store = await openSqliteStore({ path: ":memory:", clock: withFrozenLeases(clock) });
  stopping = new AbortController();
});
afterEach(() => store[Symbol.asyncDispose]());

/** The minutes that a case lets pass are not to make the store's own node look dead. */
function withFrozenLeases({ now, monotonic, sleep }: FakeClock): Clock {
  const start = now();
  return { now: () => start, monotonic, sleep };
}

const control = (): LoopControl => ({
  cancelSignal: () => stopping.signal,
  abandoned: new AbortController().signal,
  draining: () => false,
});

function record(writer: SessionWriter, cost = worstCase) {
  const ports = {
    clock,
    tenantDailyUsd: null,
    emit: () => {},
    facts: () => ({ contextWindow: null, maxOutput: 10_000, images: true }),
    worstCase: (_agent: Agent, _model: string, input: number, output: number) => cost(input, output),
  } as unknown as LoopPorts;
  return recordCall(() => ({ attempt: 1 }), writer, agent, ports, control(), size);
}

async function runningSession(id: string): Promise<SessionWriter> {
  await store.create({ id, agent: "x" });
  const lease = await store.claim(id);
  if (lease === undefined) throw new Error("the lease is taken");
  const writer = await openSessionWriter(store, lease, clock);
  writer.append({ type: "runStarted", runId: `run-${id}`, model: "m" });
  await writer.durable();
  return writer;
}

const answered = (runId: string, costUsd: number): NewEntry => ({
  type: "assistantMessage",
  runId,
  model: "m",
  blocks: [],
  stopReason: "endTurn",
  usage: { input: 100, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 },
  costUsd,
  timing: { firstTokenMs: null, totalMs: 0 },
});

/** Time goes on in small steps until the call waits no more. */
async function settled<T>(work: Promise<T>, stepMs = 100): Promise<T> {
  let isSettled = false;
  const watched = work.finally(() => {
    isSettled = true;
  });
  while (!isSettled) {
    await clock.advance(stepMs);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return watched;
}

/** The store has refused the call, which sleeps before it asks again. */
async function untilItWaits(): Promise<void> {
  while (clock.sleeping === 0) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe("a call under a budget that sessions share", () => {
  it("is in the log, with what it reserves, when it may be made", async () => {
    const writer = await runningSession("one");
    expect(await record(writer)).toEqual({ maxOutputTokens: null });
    const [last] = (await store.read("one", 0)).slice(-1);
    expect(last).toMatchObject({
      type: "modelCalled",
      reservation: { usd: 0.6, budgets: [{ scope: "agent", key: "x", day: DAY, limitUsd: 1 }] },
    });
    expect(writer.state).toMatchObject({ headId: last?.id, run: { calling: true, reservedUsd: 0.6 } });
  });

  it("waits for calls of others, and is made when they cost less than they could", async () => {
    const [one, two] = [await runningSession("one"), await runningSession("two")];
    await record(one);
    const waiting = record(two);
    await untilItWaits();
    expect(two.state.run?.calling).toBe(false);
    one.append(answered("run-one", 0.05));
    await one.durable();
    expect(await settled(waiting)).toEqual({ maxOutputTokens: null });
  });

  it("is made shorter when they cost so much that only a short answer can be paid for", async () => {
    const [one, two] = [await runningSession("one"), await runningSession("two")];
    await record(one);
    one.append(answered("run-one", 0.6));
    await one.durable();
    expect(await record(two)).toEqual({ maxOutputTokens: 6_000 });
  });

  it("becomes a question to a person when too much is spent", async () => {
    const [one, two] = [await runningSession("one"), await runningSession("two")];
    await record(one);
    one.append(answered("run-one", 0.86));
    await one.durable();
    expect(await record(two)).toBeNull();
    expect(two.state.run?.interrupts[0]?.request).toMatchObject({
      budget: { scope: "agent", key: "x", limitUsd: 1, spentUsd: 0.86, neededUsd: 0.6 },
    });
    await two.durable();
    expect((await store.session("two"))?.status).toBe("waiting");
  });

  it("is made when it costs nothing, however much is spent", async () => {
    const [one, two] = [await runningSession("one"), await runningSession("two")];
    await record(one);
    one.append(answered("run-one", 1.01));
    await one.durable();
    expect(await record(two, () => 0)).toEqual({ maxOutputTokens: null });
  });

  it("becomes one, too, when others hold what they have reserved for too long", async () => {
    const [one, two] = [await runningSession("one"), await runningSession("two")];
    await record(one);
    expect(await settled(record(two), 1_000)).toBeNull();
    expect(two.state.run?.interrupts[0]?.request).toMatchObject({
      budget: { spentUsd: 0.6, neededUsd: 0.6 },
    });
  });

  it("is not made when the run is stopped while it waits; what came meanwhile is in the log", async () => {
    const [one, two] = [await runningSession("one"), await runningSession("two")];
    await record(one);
    const waiting = record(two);
    await untilItWaits();
    const { id: inboxId } = await store.enqueue("two", { type: "stop" });
    two.append({ type: "stopRequested", inboxId });
    stopping.abort();
    expect(await waiting).toBeNull();
    await two.durable();
    expect((await store.read("two", 0)).map(({ type }) => type)).toEqual([
      "sessionCreated",
      "runStarted",
      "stopRequested",
    ]);
  });

  it("keeps what is appended while the store decides behind it, in order", async () => {
    const writer = await runningSession("one");
    const calls = await store.enqueue("one", { type: "message", blocks: [] });
    const recorded = record(writer);
    // The store has been asked by now, and has not answered.
    await Promise.resolve();
    writer.append({ type: "userMessage", blocks: [], inboxId: calls.id });
    expect(await recorded).not.toBeNull();
    await writer.durable();
    const log = await store.read("one", 0);
    expect(log.map(({ type }) => type).slice(-2)).toEqual(["modelCalled", "userMessage"]);
    expect(writer.state).toMatchObject({ headId: log.at(-1)?.id, headSeq: log.length });
  });
});
