import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { z } from "zod";
import { type AgentDefinition, defineTool, type Session } from "../../src/index.ts";
import { createFakeClock, type FakeClock, type Script } from "../../src/testing/testing.ts";
import { type Scenario, startScenario } from "./in-process.ts";

/** Sessions that nobody uses any more go, with everything, when their agent says so; others stay. */

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const script: Script = {
  turns: [
    { when: { user: "refund", step: 1 }, times: "any", calls: [{ tool: "refund", input: {} }] },
    {
      when: { user: "note", step: 1 },
      calls: [{ tool: "write", input: { path: "note.txt", content: "x" } }],
    },
    { times: "any", text: "Done." },
  ],
};

const refund = defineTool({
  name: "refund",
  description: "Pays back.",
  input: z.object({}),
  run: () => "paid",
});

function start(clock: FakeClock, agent: Partial<AgentDefinition> = {}, dataDir?: string): Promise<Scenario> {
  return startScenario(script, {
    clock,
    agent: {
      tools: [refund],
      permissions: { allow: ["write"] },
      sandbox: { isolation: "none" },
      retention: {},
      ...agent,
    },
    ...(dataDir === undefined ? {} : { dataDir }),
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

async function idsIn({ runtime }: Scenario): Promise<readonly string[]> {
  return (await runtime.sessions.list()).map(({ id }) => id);
}

/** Time goes by, and the sweeper, which sleeps when it has done its work, has seen it. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (const part of [ms, HOUR, HOUR]) {
    while (clock.sleeping === 0) await delay(1);
    await clock.advance(part);
  }
  while (clock.sleeping === 0) await delay(1);
}

test("what was given up is kept for a month, then deleted with its files", async () => {
  const clock = createFakeClock();
  await using scenario = await start(clock);
  const session = await asked(scenario);
  await session.stop();
  await (await session.send("note")).result();
  const workspace = scenario.runtime.workspacePath(session.id);
  expect(existsSync(workspace)).toBe(true);
  await session.send("refund");
  await until(scenario, session.id, "waiting");
  const waiting = await asked(scenario);

  // The week in which somebody could have answered; the sweeper looks every hour meanwhile.
  await pass(clock, 7 * DAY);
  await until(scenario, session.id, "idle");
  await until(scenario, waiting.id, "idle");
  expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({ lastRunEnd: "abandoned" });
  const used = await scenario.session();
  await (await used.send("hello")).result();
  await pass(clock, 29 * DAY);
  // One of the two is used again, and is not given up any more.
  await (await waiting.send("hello")).result();

  await pass(clock, DAY);
  expect((await idsIn(scenario)).toSorted()).toEqual([used.id, waiting.id].toSorted());
  await expect(scenario.runtime.sessions.get(session.id)).rejects.toMatchObject({ code: "not_found" });
  // Its files go after it.
  while (existsSync(workspace)) await delay(5);
  expect(scenario.notices.join()).not.toContain("deleted");
});

test("any that nobody uses, where the agent says so, and never one that waits", async () => {
  const clock = createFakeClock();
  const agent = { retention: { idle: "2d" }, approvals: { abandonAfter: "300d" } };
  await using scenario = await start(clock, agent);
  const old = await scenario.session();
  await (await old.send("hello")).result();
  const waiting = await asked(scenario);
  await pass(clock, DAY);
  const young = await scenario.session();
  await pass(clock, DAY);
  expect((await idsIn(scenario)).toSorted()).toEqual([waiting.id, young.id].toSorted());
  expect(await scenario.runtime.sessions.get(waiting.id)).toMatchObject({ status: "waiting" });
  expect(await scenario.runtime.sessions.get(old.id).catch(({ code }) => code)).toBe("not_found");
  await pass(clock, DAY);
  expect(await idsIn(scenario)).toEqual([waiting.id]);
});

test("never, where the agent says so", async () => {
  const clock = createFakeClock();
  await using scenario = await start(clock, { retention: { abandoned: "never" } });
  const session = await asked(scenario);
  await clock.advance(7 * DAY);
  await until(scenario, session.id, "idle");
  await clock.advance(300 * DAY);
  // Nobody even looks.
  expect(clock.sleeping).toBe(0);
  expect(await idsIn(scenario)).toEqual([session.id]);
});
