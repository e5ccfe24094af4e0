import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type Entry, fold, openSqliteStore } from "../../src/index.ts";
import { type EffectLine, effectsIn, inParallel, startNode as start } from "./start-node.ts";

/** How often a node is killed at a random moment. With the chosen points it makes more than 200 kills. */
const RANDOM_KILLS = 170;
const SESSIONS = 12;

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-crash-"));
  directories.push(directory);
  return directory;
}

function startNode(directory: string, plan: { sessions?: number; dieAt?: number } = {}) {
  return start("node.ts", directory, plan);
}

/** Everything that must hold of what a directory contains once all its sessions have ended. */
async function verify(directory: string, sessions: number): Promise<void> {
  await using store = await openSqliteStore({ path: join(directory, "holdfast.db") });
  for (let i = 0; i < sessions; i++) checkLog(await store.path(`session-${i}`));
  checkEffects(effectsIn(directory));
}

/** How many calls had started before their answer was complete. */
async function startedEarly(directory: string): Promise<number> {
  await using store = await openSqliteStore({ path: join(directory, "holdfast.db") });
  const types = (await store.path("session-0")).map(({ type }) => type);
  const part = types.indexOf("answerPart");
  const end = types.indexOf("assistantMessage", part);
  return part === -1 ? 0 : types.slice(part, end).filter((type) => type === "toolStarted").length;
}

function checkLog(log: readonly Entry[]): void {
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1));
  expect(log.map(({ parentId }) => parentId)).toEqual([null, ...log.slice(0, -1).map(({ id }) => id)]);
  expect(new Set(log.map(({ id }) => id)).size).toBe(log.length);
  const count = (type: Entry["type"]) => log.filter((entry) => entry.type === type).length;
  expect(count("userMessage")).toBe(1);
  expect(count("runStarted")).toBe(1);
  expect(count("assistantMessage"), JSON.stringify(log.slice(-3))).toBe(7);
  expect(count("runFinished")).toBe(1);
  checkCalls(log);
  const state = fold(log);
  expect(state.lastRun?.end).toBe("endTurn");
  expect(state.messages.at(-1)).toMatchObject({ role: "assistant", blocks: [{ text: "All done." }] });
}

/**
 * Each call of an answer has one result, and nothing else has one. An answer that was cut off behind calls that had started has
 * only those, since the model does not say again what it has said.
 */
function checkCalls(log: readonly Entry[]): void {
  const answers = log.flatMap((entry) => (entry.type === "assistantMessage" ? [entry] : []));
  const asked = answers.map(({ blocks }) =>
    blocks.flatMap((block) => (block.type === "toolCall" ? [block.callId] : [])),
  );
  const finished = log.flatMap((entry) => (entry.type === "toolFinished" ? [entry.callId] : []));
  expect(finished.toSorted()).toEqual(asked.flat().toSorted());
  expect(asked.slice(0, 5).map(({ length }) => length)).toEqual([1, 1, 1, 1, 1]);
  const isWhole = answers[5]?.brokeOff !== true;
  expect(asked[5]?.length).toBeGreaterThanOrEqual(isWhole ? 5 : 1);
  // The transcript: each answer with calls is followed by their results, in the same order.
  const { messages } = fold(log);
  for (const [i, message] of messages.entries()) {
    if (message.role !== "assistant") continue;
    const calls = message.blocks.flatMap((block) => (block.type === "toolCall" ? [block.callId] : []));
    const next = messages[i + 1];
    const results = next?.role === "tool" ? next.results.map(({ callId }) => callId) : [];
    expect(results).toEqual(calls);
  }
}

function checkEffects(lines: readonly EffectLine[]): void {
  for (const [call, happened] of Map.groupBy(lines, ({ sessionId, callId }) => `${sessionId} ${callId}`)) {
    const [{ effect } = { effect: "" }] = happened;
    if (effect === "once" || effect === "reconcile") expect(happened.length, `${effect} of ${call}`).toBe(1);
    expect(new Set(happened.map(({ operationId }) => operationId)).size, `operations of ${call}`).toBe(1);
  }
}

describe("a node that is killed", () => {
  it("loses nothing and does nothing twice, at every point between two writes", async () => {
    const whole = newDirectory();
    const baseline = startNode(whole, { sessions: 1 });
    expect(await baseline.ended, baseline.output()).toBe(0);
    await verify(whole, 1);
    expect(await startedEarly(whole)).toBeGreaterThanOrEqual(2);
    const points = Number(/passed (\d+)/.exec(baseline.output())?.[1]);
    expect(points).toBeGreaterThan(35);

    let kills = 0;
    await inParallel(
      2,
      Array.from({ length: points }, (_, i) => i + 1),
      async (dieAt) => {
        const directory = newDirectory();
        const node = startNode(directory, { sessions: 1, dieAt });
        // Facts that nobody waits for are written together when they come close, so the last points may not be reached.
        const ended = await node.ended;
        expect([0, "SIGKILL"], `point ${dieAt}: ${node.output()}`).toContain(ended);
        if (ended === "SIGKILL") kills += 1;
        // What had not been sent when the node died is sent again, with the same keys.
        const next = startNode(directory, { sessions: 1 });
        expect(await next.ended, `after point ${dieAt}: ${next.output()}`).toBe(0);
        await verify(directory, 1);
      },
    );
    expect(kills).toBeGreaterThan(points * 0.8);
  });

  it(`does so at ${RANDOM_KILLS} random moments, with ${SESSIONS} sessions at once`, async () => {
    let kills = 0;
    while (kills < RANDOM_KILLS) {
      const directory = newDirectory();
      const first = startNode(directory, { sessions: SESSIONS });
      await first.ready;
      first.process.kill("SIGKILL");
      await first.ended;
      kills += 1;
      // Each lives longer than the one before: on a busy machine none would get any further, and a run that does not is given up.
      let longestLifeMs = 60;
      for (let ended: number | string = ""; ended !== 0; longestLifeMs *= 1.2) {
        const node = startNode(directory);
        await node.ready;
        const timer = setTimeout(() => node.process.kill("SIGKILL"), Math.random() * longestLifeMs);
        ended = await node.ended;
        clearTimeout(timer);
        if (ended === "SIGKILL") kills += 1;
        else expect(ended, node.output()).toBe(0);
      }
      await verify(directory, SESSIONS);
    }
  });
});
