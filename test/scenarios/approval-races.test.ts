import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { defineTool, type InterruptAnswer, openSqliteStore, type Session } from "../../src/index.ts";
import { createFakeClock, type Script } from "../../src/testing/testing.ts";
import type { Answers, Given } from "../processes/answering.ts";
import { refundSchema } from "../processes/refund-schema.ts";
import { type Scenario, type ScenarioOptions, startScenario } from "./in-process.ts";

/** Whoever answers first, wins; and whatever else happens at the same moment, the call runs once or not at all. */

const ROUNDS = 8;

let dataDir: string;
let done: number[];
let processes: Answering[];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "holdfast-races-"));
  done = [];
  processes = [];
});
afterEach(async () => {
  for (const each of processes) await each.end();
  await rm(dataDir, { recursive: true, force: true });
});

const script: Script = {
  turns: [
    { when: { step: 1 }, times: "any", calls: [{ tool: "refund", input: { order: "A1", amount: 90 } }] },
    { times: "any", text: "Done." },
  ],
};

function start(options: ScenarioOptions = {}): Promise<Scenario> {
  const refund = defineTool({
    name: "refund",
    description: "Pays an order back.",
    input: refundSchema,
    run({ amount }) {
      done.push(amount);
      return `refunded ${amount}`;
    },
  });
  return startScenario(script, {
    dataDir,
    ...options,
    agent: { tools: [refund], permissions: {}, ...options.agent },
  });
}

async function until({ runtime }: Scenario, id: string, status: string): Promise<void> {
  while ((await runtime.sessions.get(id)).status !== status) await delay(5);
}

/** A session that waits, and its question. */
async function asked(
  scenario: Scenario,
): Promise<{ readonly session: Session; readonly interruptId: string }> {
  const session = await scenario.session();
  await session.send("pay it back");
  await until(scenario, session.id, "waiting");
  const [open] = await scenario.runtime.sessions.interrupts({ sessionId: session.id, status: "open" });
  return { session, interruptId: open?.id ?? "" };
}

/** Begins both in turn, now this one first and now the other. */
function race(round: number, one: () => Promise<unknown>, other: () => Promise<unknown>) {
  const begin = (work: () => Promise<unknown>) =>
    work().then(
      () => "ok",
      (error: { readonly code?: string }) => error.code ?? String(error),
    );
  if (round % 2 === 0) return Promise.all([begin(one), begin(other)]);
  const [second, first] = [begin(other), begin(one)];
  return Promise.all([first, second]);
}

describe("fifty answers of five processes", () => {
  test("one counts, and the others are told whose and since when", async () => {
    await using scenario = await start();
    processes = await Promise.all(Array.from({ length: 5 }, (_, i) => startAnswering(`p${i}`)));
    const { session, interruptId } = await asked(scenario);
    const kinds: readonly InterruptAnswer[] = [
      { action: "approve" },
      { action: "edit", input: { order: "A1", amount: 40 } },
      { action: "reject" },
    ];
    const all = await Promise.all(
      processes.map((process, i) =>
        process.give({
          sessionId: session.id,
          interruptId,
          answers: Array.from(
            { length: 10 },
            (_, k) => kinds[(i + k) % kinds.length] ?? { action: "approve" },
          ),
        }),
      ),
    );
    const given = all.flat();
    expect(given).toHaveLength(50);
    const winners = given.filter(({ outcome }) => outcome === "ok");
    expect(winners).toHaveLength(1);
    const [winner] = winners;
    const refused = given.filter((each) => each !== winner);
    for (const { outcome, details } of refused) {
      expect(outcome).toBe("conflict");
      expect(details).toMatchObject({ actor: winner?.actor, answer: winner?.answer, at: expect.any(Number) });
    }
    await until(scenario, session.id, "idle");
    const amounts = { approve: [90], edit: [40], reject: [] };
    expect(done).toEqual(amounts[winner?.answer.action as keyof typeof amounts]);
    const resolved = (await scenario.log(session)).filter(({ type }) => type === "interruptResolved");
    expect(resolved).toMatchObject([{ actor: winner?.actor, answer: winner?.answer, channel: "test" }]);
  });
});

describe("an approval at the same moment as", () => {
  test("a stop: the call ran if it was approved before, and nothing is left open", async () => {
    await using scenario = await start();
    for (let round = 0; round < ROUNDS; round++) {
      done = [];
      const { session, interruptId } = await asked(scenario);
      const [answered, stopped] = await race(
        round,
        () => session.answer(interruptId, { action: "approve" }),
        () => session.stop(),
      );
      expect([answered, stopped]).toEqual([expect.stringMatching(/^(ok|conflict)$/), "ok"]);
      await until(scenario, session.id, "idle");
      if (answered !== "ok") expect(done).toEqual([]);
      await checkAtRest(scenario, session);
    }
  });

  test("the end of its time: one of them counts", async () => {
    const clock = createFakeClock();
    await using store = await openSqliteStore({ path: join(dataDir, "holdfast.db"), clock });
    await using scenario = await start({ store, clock, agent: { approvals: { expiresAfter: "1h" } } });
    for (let round = 0; round < ROUNDS; round++) {
      done = [];
      const { session, interruptId } = await asked(scenario);
      await clock.advance(3_600_000);
      const [answered] = await race(
        round,
        () => session.answer(interruptId, { action: "approve" }),
        () => store.expire(10),
      );
      await until(scenario, session.id, "idle");
      expect(done).toEqual(answered === "ok" ? [90] : []);
      const [record] = await scenario.runtime.sessions.interrupts({ sessionId: session.id });
      expect(record?.answered?.answer.action).toBe(answered === "ok" ? "approve" : "expired");
      await checkAtRest(scenario, session);
    }
  });

  test("a mode in which it is refused: it runs only where it was approved", async () => {
    await using scenario = await start();
    for (let round = 0; round < ROUNDS; round++) {
      done = [];
      const { session, interruptId } = await asked(scenario);
      const [answered] = await race(
        round,
        () => session.answer(interruptId, { action: "approve" }),
        () => session.setMode("dontAsk"),
      );
      await until(scenario, session.id, "idle");
      if (answered !== "ok") expect(done).toEqual([]);
      await checkAtRest(scenario, session);
    }
  });

  test("a move of the head: it runs, or it is not asked any more", async () => {
    await using scenario = await start({ agent: { snapshots: { enabled: false } } });
    for (let round = 0; round < ROUNDS; round++) {
      done = [];
      const { session, interruptId } = await asked(scenario);
      const [answered, moved] = await race(
        round,
        () => session.answer(interruptId, { action: "approve" }),
        () => scenario.runtime.sessions.rewind(session.id, { to: 1 }),
      );
      expect(moved).toMatch(/^(ok|conflict|stale_head)$/);
      await until(scenario, session.id, "idle");
      expect(done).toEqual(answered === "ok" ? [90] : []);
      await checkAtRest(scenario, session);
    }
  });

  test("a deletion: what is asked or answered is not deleted", async () => {
    await using scenario = await start();
    for (let round = 0; round < ROUNDS; round++) {
      done = [];
      const { session, interruptId } = await asked(scenario);
      const [answered, deleted] = await race(
        round,
        () => session.answer(interruptId, { action: "approve" }),
        () => scenario.runtime.sessions.delete(session.id),
      );
      expect([answered, deleted]).toEqual(["ok", expect.stringMatching(/^(ok|conflict)$/)]);
      // It can be deleted when what was approved has been done.
      if (deleted === "conflict") await until(scenario, session.id, "idle");
      expect(done).toEqual([90]);
    }
  });
});

/** Nothing is open, in the log or in the table, and no question has had two answers. */
async function checkAtRest(scenario: Scenario, session: Session): Promise<void> {
  await scenario.runtime.idle();
  expect(await scenario.runtime.sessions.interrupts({ sessionId: session.id, status: "open" })).toEqual([]);
  expect(done.length).toBeLessThanOrEqual(1);
  const log = await scenario.log(session);
  const answers = log.filter(
    (entry) => entry.type === "interruptResolved" && entry.answer.action !== "withdrawn",
  );
  expect(answers.length).toBeLessThanOrEqual(1);
  expect(log.filter(({ type }) => type === "toolStarted")).toHaveLength(done.length);
}

interface Answering {
  give(answers: Answers): Promise<readonly Given[]>;
  end(): Promise<void>;
}

async function startAnswering(name: string): Promise<Answering> {
  const file = join(import.meta.dirname, "../processes/answering.ts");
  const child: ChildProcess = spawn(process.execPath, [file, dataDir, name], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.on("close", resolve));
  if (child.stdout === null) throw new Error("it has no output");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => String((await lines.next()).value);
  expect(await next()).toBe("ready");
  return {
    async give(answers) {
      child.stdin?.write(`${JSON.stringify(answers)}\n`);
      return JSON.parse(await next()) as readonly Given[];
    },
    async end() {
      child.stdin?.end();
      await ended;
    },
  };
}
