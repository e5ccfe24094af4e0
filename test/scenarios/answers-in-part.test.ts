import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { type AgentDefinition, defineTool, type Entry } from "../../src/index.ts";
import { createFakeClock, type Script } from "../../src/testing/testing.ts";
import { type Scenario, startScenario } from "./in-process.ts";

/** A run that waits for several answers, of which one comes long before the others: it goes on with what it can. */

let dataDir: string;
let done: number[];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "holdfast-in-part-"));
  done = [];
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const pay = defineTool({
  name: "pay",
  description: "Pays.",
  input: z.object({ amount: z.number() }),
  run({ amount }) {
    done.push(amount);
    return "paid";
  },
});

const twoPayments: Script = {
  turns: [
    {
      calls: [
        { tool: "pay", input: { amount: 1 } },
        { tool: "pay", input: { amount: 2 } },
      ],
    },
    { times: "any", text: "Done." },
  ],
};

const clock = () => createFakeClock(Date.now());

async function asked(changes: Partial<AgentDefinition>, fakeClock: ReturnType<typeof clock>) {
  const scenario = await startScenario(twoPayments, {
    dataDir,
    clock: fakeClock,
    agent: { tools: [pay], permissions: {}, limits: { duration: "1m" }, ...changes },
  });
  const session = await scenario.session();
  await scenario.runtime.sessions.send(session.id, { blocks: [{ type: "text", text: "pay" }] });
  await until(scenario, session.id, "waiting");
  return { scenario, session };
}

async function until({ runtime }: Scenario, id: string, status: string): Promise<void> {
  while ((await runtime.sessions.get(id)).status !== status) await delay(5);
}

async function openOf({ runtime }: Scenario, sessionId: string) {
  return (await runtime.sessions.interrupts({ sessionId, status: "open" })).toReversed();
}

function outcomes(entries: readonly Entry[]) {
  return entries.flatMap((entry) => (entry.type === "toolFinished" ? [entry.outcome] : []));
}

test("the time that it has waited does not count while it waits for another one", async () => {
  const time = clock();
  const { scenario, session } = await asked({}, time);
  await using _ = scenario;
  await time.advance(3_600_000);
  const [first, second] = await openOf(scenario, session.id);
  await session.answer(first?.id ?? "", { action: "approve" });
  await until(scenario, session.id, "waiting");
  expect(done).toEqual([1]);
  await session.answer(second?.id ?? "", { action: "approve" });
  await until(scenario, session.id, "idle");
  expect(done).toEqual([1, 2]);
  expect(outcomes(await scenario.log(session))).toEqual(["ok", "ok"]);
});
