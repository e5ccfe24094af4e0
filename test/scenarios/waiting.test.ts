import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSqliteStore } from "../../src/index.ts";
import type { Script } from "../../src/testing/testing.ts";
import { type Scenario, startScenario, story } from "./in-process.ts";

/** A run that waits for a person holds nothing: no lease, no sandbox, no place in the queue. */

const script: Script = { turns: [{ times: "any", text: "Fine." }] };
const agent = {
  model: {
    id: "scripted/tester",
    prices: { input: 0, output: 1_000, cacheRead: 0, cacheWrite: 0 },
    maxOutputTokens: 1_000,
  },
  limits: { costUsd: 0.001 },
} as const;

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "holdfast-waiting-"));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

async function waits({ runtime }: Scenario, id: string): Promise<void> {
  while ((await runtime.sessions.get(id)).status !== "waiting") await delay(10);
  await runtime.idle();
}

test("it is claimed by nobody, and runs on where its answer finds a process", async () => {
  const first = await startScenario(script, { agent, dataDir });
  const session = await first.session();
  await session.send("hello");
  await waits(first, session.id);

  // Its process lives, and anybody could have the session.
  const store = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
  expect(await store.runnable(10)).toEqual([]);
  const lease = await store.claim(session.id);
  expect(lease).toBeDefined();
  if (lease !== undefined) await store.release(lease);
  await store[Symbol.asyncDispose]();
  expect(story(await first.log(session)).match(/interrupted/g)).toHaveLength(1);
  await first.runtime[Symbol.asyncDispose]();

  // A message that comes meanwhile waits with it.
  await using second = await startScenario(script, { agent, dataDir });
  const [interrupt] = await second.runtime.sessions.interrupts({ sessionId: session.id, status: "open" });
  await second.runtime.sessions.send(session.id, { blocks: [{ type: "text", text: "and?" }] });
  while ((await second.runtime.sessions.inbox(session.id)).length > 0) await delay(10);
  await second.runtime.idle();
  expect(await second.runtime.sessions.get(session.id)).toMatchObject({ status: "waiting" });

  // The answer is given in a process that works on nothing.
  const person = await startScenario(script, { agent, dataDir, work: "none" });
  await person.runtime.sessions.answer(session.id, interrupt?.id ?? "", { action: "raise", limitUsd: 50 });
  await person.runtime[Symbol.asyncDispose]();
  while ((await second.runtime.sessions.get(session.id)).status !== "idle") await delay(10);
  const log = await second.log(session);
  expect(story(log)).not.toContain("runResumed");
  expect(story(log)).toMatch(/interrupted userMessage interruptResolved .*assistantMessage runFinished$/);
});
