import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { type AgentDefinition, defineTool, openSqliteStore, type Session } from "../../src/index.ts";
import { createFakeClock, type Script } from "../../src/testing/testing.ts";
import { type Scenario, type ScenarioOptions, startScenario } from "./in-process.ts";

/** What time does with questions, beside `approvals.test.ts`: once for real, over several rounds, and with no process there. */

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let dataDir: string;
let done: number;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "holdfast-times-"));
  done = 0;
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const script: Script = {
  turns: [{ calls: [{ tool: "refund", input: {} }] }, { times: "any", text: "Done." }],
};

function start(approvals: AgentDefinition["approvals"], options: ScenarioOptions = {}): Promise<Scenario> {
  const refund = defineTool({
    name: "refund",
    description: "Pays back.",
    input: z.object({}),
    run() {
      done += 1;
      return "paid";
    },
  });
  return startScenario(script, {
    dataDir,
    ...options,
    agent: { tools: [refund], permissions: {}, approvals },
  });
}

async function until({ runtime }: Scenario, id: string, status: string): Promise<void> {
  while ((await runtime.sessions.get(id)).status !== status) await delay(5);
}

async function asked(scenario: Scenario): Promise<Session> {
  const session = await scenario.session();
  await session.send("refund");
  await until(scenario, session.id, "waiting");
  return session;
}

test("a second goes by, and nobody has answered", async () => {
  await using scenario = await start({ expiresAfter: "1s" });
  const session = await scenario.session();
  await session.send("refund");
  await until(scenario, session.id, "idle");
  const resolved = (await scenario.log(session)).find((entry) => entry.type === "interruptResolved");
  expect(resolved).toMatchObject({ answer: { action: "expired" }, channel: "clock" });
  expect(resolved?.waitedMs).toBeGreaterThanOrEqual(1_000);
  expect(done).toBe(0);
});

test("asked again and again, the week in which a run is given up counts from the first question", async () => {
  const clock = createFakeClock();
  await using store = await openSqliteStore({ path: join(dataDir, "holdfast.db"), clock });
  const approvals = { expiresAfter: "2d", onExpire: "askAgain" } as const;
  await using scenario = await start(approvals, { clock, store });
  const session = await asked(scenario);
  const first = clock.now();
  for (let round = 1; round <= 3; round++) {
    await clock.advance(2 * DAY);
    await store.expire(10);
    while ((await scenario.runtime.sessions.interrupts({ sessionId: session.id })).length <= round)
      await delay(5);
    await until(scenario, session.id, "waiting");
  }
  const questions = await scenario.runtime.sessions.interrupts({ sessionId: session.id });
  expect(questions.map(({ request }) => request.round ?? 0)).toEqual([3, 2, 1, 0]);
  expect(questions.map(({ request }) => request.abandonAt)).toEqual(Array(4).fill(first + 7 * DAY));
  expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({ status: "waiting" });

  await clock.advance(DAY);
  await store.expire(10);
  await until(scenario, session.id, "idle");
  expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({ lastRunEnd: "abandoned" });
  const answers = (await scenario.log(session)).flatMap((entry) =>
    entry.type === "interruptResolved" ? [entry.answer.action] : [],
  );
  expect(answers).toEqual(["expired", "expired", "expired", "abandoned"]);
  expect(done).toBe(0);
});

test.each<[string, number, NonNullable<AgentDefinition["approvals"]>, string, number]>([
  ["its time, and it is approved then", 2, { expiresAfter: "1h", onExpire: "approve" }, "endTurn", 1],
  ["the week", 8 * 24, {}, "abandoned", 0],
])(
  "no process is there at the end of %s: the next one sees to it",
  async (_, hours, approvals, end, calls) => {
    const before = createFakeClock();
    const first = await start(approvals, { clock: before });
    const { id } = await asked(first);
    await first[Symbol.asyncDispose]();
    await using second = await start(approvals, { clock: createFakeClock(before.now() + hours * HOUR) });
    await until(second, id, "idle");
    expect(await second.runtime.sessions.get(id)).toMatchObject({ lastRunEnd: end });
    expect(done).toBe(calls);
  },
);

test("time that a run waits for a person is not counted as its own", async () => {
  const clock = createFakeClock();
  await using scenario = await start({}, { clock });
  const session = await asked(scenario);
  await clock.advance(6 * DAY);
  const [open] = await scenario.runtime.sessions.interrupts({ sessionId: session.id, status: "open" });
  await session.answer(open?.id ?? "", { action: "approve" });
  await until(scenario, session.id, "idle");
  expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({ lastRunEnd: "endTurn" });
  expect(done).toBe(1);
});
