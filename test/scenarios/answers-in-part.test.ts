import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { type AgentDefinition, defineHook, defineTool, type Entry } from "../../src/index.ts";
import { createFakeClock, type Script } from "../../src/testing/testing.ts";
import { type Scenario, startScenario } from "./in-process.ts";

/** A run that waits for several answers: what one of them lets start, what has to wait, and what has to be asked once more. */

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

test("what a hook makes harmless still waits for the call before it", async () => {
  const hook = defineHook({
    name: "cap",
    on: "beforeTool",
    ask: ({ input }) => ((input as { amount: number }).amount === 2 ? { input: { amount: 0 } } : {}),
  });
  const permissions = { allow: ["pay(amount<=0)"] };
  const { scenario, session } = await asked({ permissions, hooks: [hook] }, clock());
  await using _ = scenario;
  expect(done).toEqual([]);
  const open = await openOf(scenario, session.id);
  expect(open).toMatchObject([{ request: { call: { input: { amount: 1 } } } }]);
  await session.answer(open[0]?.id ?? "", { action: "approve" });
  await until(scenario, session.id, "idle");
  expect(done).toEqual([1, 0]);
});

test("a call that is asked about behind its own question is asked of hooks again when its arguments are changed", async () => {
  const asking = defineTool({
    ...{ name: "pay", description: "Pays.", input: z.object({ amount: z.number() }) },
    async run({ amount }, context) {
      await context.ask({ message: "from which account?" });
      done.push(amount);
      return "paid";
    },
  });
  const seen: unknown[] = [];
  const hook = defineHook({
    name: "guard",
    on: "beforeTool",
    ask({ input }) {
      seen.push(input);
      return (input as { amount: number }).amount > 50 ? { decision: "veto", reason: "too much" } : {};
    },
  });
  const permissions = { allow: ["pay(amount<=1)"] };
  const changes = { tools: [asking], hooks: [hook], permissions };
  const { scenario, session } = await asked(changes, clock());
  await using _ = scenario;
  const [question] = await openOf(scenario, session.id);
  expect(question).toMatchObject({ request: { kind: "question" } });
  await scenario.runtime.sessions.addRule(session.id, { scope: "session", list: "ask", rule: "pay" });
  await session.answer(question?.id ?? "", { action: "respond", value: "mine" });
  const about = async () =>
    (await openOf(scenario, session.id)).find(
      ({ request }) => request.kind === "approval" && (request.call.input as { amount: number }).amount === 1,
    );
  while ((await about()) === undefined) await delay(5);
  await session.answer((await about())?.id ?? "", { action: "edit", input: { amount: 90 } });
  while (!outcomes(await scenario.log(session)).includes("denied")) await delay(5);
  expect(seen).toContainEqual({ amount: 90 });
  expect(done).toEqual([]);
});

test("what cannot be seen any more of what a call would change is asked about again", async () => {
  let looks = 0;
  const blind = {
    ...pay,
    async preview() {
      looks += 1;
      if (looks > 2) throw new Error("not to be seen");
      return { type: "text", text: "the old one", basis: "1" } as const;
    },
  };
  const { scenario, session } = await asked({ tools: [blind] }, clock());
  await using _ = scenario;
  const [first] = await openOf(scenario, session.id);
  await session.answer(first?.id ?? "", { action: "approve" });
  const about = async () =>
    (await openOf(scenario, session.id)).find(({ request }) => "changedSince" in request);
  while ((await about()) === undefined && done.length === 0) await delay(5);
  expect(done).toEqual([]);
  await session.answer((await about())?.id ?? "", { action: "approve" });
  while (done.length === 0) await delay(5);
  expect(done).toEqual([1]);
});
