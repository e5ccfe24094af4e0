import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type Entry, fold, type InterruptAnswer, openSqliteStore, type Store } from "../../src/index.ts";
import { ANSWERS, answerFor, editedFrom, type Plan } from "./approvals-script.ts";
import { live, type NodePlan } from "./approvals-world.ts";
import { type EffectLine, effectsIn, inParallel, startNode } from "./start-node.ts";

/** Processes that ask, answer and go on, and are killed: what a person has decided happens, once, and nothing else does. */

const ROUNDS = 14;
const SESSIONS = 10;

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-approvals-crash-"));
  directories.push(directory);
  return directory;
}

function start(directory: string, plan: NodePlan) {
  return startNode("approvals-node.ts", directory, plan);
}

async function inStore<T>(directory: string, work: (store: Store) => Promise<T>): Promise<T> {
  await using store = await openSqliteStore({ path: join(directory, "holdfast.db") });
  return await work(store);
}

/**
 * What must hold at any moment at which nothing writes. What waits for an answer does so in the log and in the table that people look
 * at; what has been answered and has not come into the log yet is in the inbox. Nothing has run that nobody has approved.
 */
async function checkBetween(directory: string): Promise<void> {
  await inStore(directory, async (store) => {
    for (const { id } of await store.sessions({ limit: 1_000 })) {
      const log = await store.path(id);
      const inLog = (fold(log).run?.interrupts ?? []).map(({ interruptId }) => interruptId);
      const inTable = (await store.interrupts({ sessionId: id, status: "open" })).map((open) => open.id);
      const onTheWay = (await store.inbox(id)).flatMap(({ command }) =>
        command.type === "answer" ? [command.interruptId] : [],
      );
      expect(new Set(onTheWay).size).toBe(onTheWay.length);
      expect(new Set([...inTable, ...onTheWay])).toEqual(new Set(inLog));
      checkQuestions(log);
      checkOrder(log);
      checkEffects(log, effectsOf(id, directory));
    }
  });
}

/** What must hold once all sessions have ended. */
async function checkAtEnd(directory: string, plan: Plan): Promise<readonly InterruptAnswer[]> {
  await checkBetween(directory);
  return inStore(directory, async (store) => {
    const given: InterruptAnswer[] = [];
    for (const { id } of await store.sessions({ limit: 1_000 })) {
      const log = await store.path(id);
      const state = fold(log);
      expect(state.lastRun?.end, id).toBe("endTurn");
      expect([state.openCalls, await store.inbox(id)]).toEqual([[], []]);
      expect(log.filter(({ type }) => type === "assistantMessage")).toHaveLength(ANSWERS);
      for (const { question, answer } of questionsOf(log)) {
        // Time may have been faster than people.
        if (answer?.action !== "expired") expect(answer).toEqual(answerFor(id, question.amount, plan));
        if (answer !== undefined) given.push(answer);
      }
    }
    return given;
  });
}

function effectsOf(sessionId: string, directory: string): readonly EffectLine[] {
  return effectsIn(directory).filter((line) => line.sessionId === sessionId);
}

interface Asked {
  readonly question: { readonly id: string; readonly callId: string; readonly amount: number };
  readonly answer: InterruptAnswer | undefined;
}

/** The questions about calls, with the answer that each has got. */
function questionsOf(log: readonly Entry[]): readonly Asked[] {
  return log.flatMap((entry) => {
    if (entry.type !== "interrupted" || !("call" in entry.request)) return [];
    const { callId, input } = entry.request.call;
    const { amount } = input as { readonly amount: number };
    const resolved = log.find(
      (each) => each.type === "interruptResolved" && each.interruptId === entry.interruptId,
    );
    const answer = resolved?.type === "interruptResolved" ? resolved.answer : undefined;
    return [{ question: { id: entry.interruptId, callId, amount }, answer }];
  });
}

/** Each call is asked about once, and each question is resolved at most once. */
function checkQuestions(log: readonly Entry[]): void {
  const asked = questionsOf(log).map(({ question }) => question.callId);
  expect(new Set(asked).size, "questions about one call").toBe(asked.length);
  const resolved = log.flatMap((entry) => (entry.type === "interruptResolved" ? [entry.interruptId] : []));
  expect(new Set(resolved).size, "answers to one question").toBe(resolved.length);
}

/** A call that writes begins when those before it have ended, and nothing that has ended is begun again. */
function checkOrder(log: readonly Entry[]): void {
  const ended = new Set<string>();
  const calls = log.flatMap((entry) =>
    entry.type === "assistantMessage"
      ? [
          entry.blocks.flatMap((block) =>
            block.type === "toolCall" && block.name !== "readonly" ? [block.callId] : [],
          ),
        ]
      : [],
  );
  for (const entry of log) {
    if (entry.type === "toolFinished") ended.add(entry.callId);
    if (entry.type !== "toolStarted") continue;
    expect(ended.has(entry.callId), "begun again").toBe(false);
    const siblings = calls.find((ids) => ids.includes(entry.callId)) ?? [];
    const before = siblings.slice(0, Math.max(0, siblings.indexOf(entry.callId)));
    expect(
      before.filter((callId) => !ended.has(callId)),
      "calls before it",
    ).toEqual([]);
  }
}

function checkEffects(log: readonly Entry[], lines: readonly EffectLine[]): void {
  const asked = new Map(questionsOf(log).map((each) => [each.question.callId, each]));
  const results = new Map(
    log.flatMap((entry) => (entry.type === "toolFinished" ? [[entry.callId, entry]] : [])),
  );
  for (const { callId, effect, amount } of lines) {
    if (effect === "readonly") continue;
    const { question, answer } = asked.get(callId) ?? {};
    expect(["approve", "edit"], `${callId} ran`).toContain(answer?.action);
    expect(amount).toBe(answer?.action === "edit" ? editedFrom(question?.amount ?? 0) : question?.amount);
  }
  for (const { question } of asked.values()) {
    const { callId } = question;
    const happened = lines.filter((line) => line.callId === callId);
    const result = results.get(callId);
    expect(
      new Set(happened.map(({ operationId }) => operationId)).size,
      `operations of ${callId}`,
    ).toBeLessThanOrEqual(1);
    if (result?.name === "once" || result?.name === "reconcile")
      expect(happened.length).toBeLessThanOrEqual(1);
    if (result?.outcome === "ok") expect(happened.length, `${callId} is said to have run`).toBeGreaterThan(0);
    if (result?.outcome === "unknown") expect(result.name).toBe("once");
  }
}

describe("a node that is killed while people are asked", () => {
  it("asks once and does what was decided once, at every point between two writes", async () => {
    const plan = { role: "both", answers: "some" } as const;
    const whole = newDirectory();
    const baseline = start(whole, { ...plan, sessions: 1 });
    expect(await baseline.ended, baseline.output()).toBe(0);
    const actions = (await checkAtEnd(whole, plan.answers)).map(({ action }) => action);
    expect(new Set(actions)).toEqual(new Set(["approve", "edit", "reject"]));
    const passed = /passed (.*)/.exec(baseline.output())?.[1]?.split(" ") ?? [];
    // What comes before the first question dies in `crash.test.ts`.
    const points = passed.map((_, i) => i + 1).slice(passed.indexOf("interrupted"));
    expect(points.length).toBeGreaterThan(30);

    let kills = 0;
    await inParallel(2, points, async (dieAt) => {
      const directory = newDirectory();
      const node = start(directory, { ...plan, sessions: 1, dieAt });
      const ended = await node.ended;
      expect([0, "SIGKILL"], `point ${dieAt}: ${node.output()}`).toContain(ended);
      if (ended === "SIGKILL") kills += 1;
      await checkBetween(directory);
      // Another process goes on: this one.
      await live(directory, plan);
      await checkAtEnd(directory, plan.answers);
    });
    // How answers and writes fall together is not the same each time, so the last points may not be reached.
    expect(kills).toBeGreaterThan(points.length * 0.8);
  });

  it(`does so in ${ROUNDS} rounds in which who works and who answers are killed at random moments`, async () => {
    const directory = newDirectory();
    const plan = { answers: "all", expiresAfter: "2s" } as const;
    const first = start(directory, { ...plan, role: "work", sessions: SESSIONS });
    await first.ready;
    first.process.kill("SIGKILL");
    await first.ended;
    for (let round = 0; round < ROUNDS; round++) {
      const nodes = [
        start(directory, { ...plan, role: "work" }),
        start(directory, { ...plan, role: "answer" }),
      ];
      await Promise.all(
        nodes.map(async (node) => {
          await node.ready;
          // Later ones live longer: a run that is taken up too often without getting any further is given up.
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 40 * 1.2 ** round));
          node.process.kill("SIGKILL");
          expect([0, "SIGKILL"], node.output()).toContain(await node.ended);
        }),
      );
      await checkBetween(directory);
    }
    const answering = start(directory, { ...plan, role: "answer" });
    const working = start(directory, { ...plan, role: "work" });
    expect(await working.ended, working.output()).toBe(0);
    answering.process.kill("SIGKILL");
    expect(await answering.ended, answering.output()).toBe("SIGKILL");
    const actions = (await checkAtEnd(directory, plan.answers)).map(({ action }) => action);
    expect(actions).toContain("approve");
    expect(actions).toContain("expired");
  });
});
