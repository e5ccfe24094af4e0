/**
 * One node of the crash test, as a process: opens the runtime over a data directory, works until nothing is left to do, and
 * exits with 0. Told so, it kills itself at a chosen point; otherwise the test kills it whenever it likes.
 *
 * The effects of its tools are lines in a file outside of everything that Holdfast keeps, so that they count what really
 * happened.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import {
  defineTool,
  openRuntime,
  openSqliteStore,
  type Sessions,
  type Store,
  type Tool,
} from "../../src/index.ts";
import { createScriptedModel } from "../../src/testing/testing.ts";
import { script } from "./script.ts";

const [dataDir = "", plan = "{}"] = process.argv.slice(2);
const { sessions: wanted = 0, dieAt = 0 } = JSON.parse(plan) as {
  /** Make sure that so many sessions exist, each with its one message. */
  sessions?: number;
  /** Die at the n-th of the points that `pass` counts. */
  dieAt?: number;
};
const effects = join(dataDir, "effects.txt");

let passed = 0;
/** A point at which the process may die. */
function pass(): void {
  passed += 1;
  if (passed === dieAt) process.kill(process.pid, "SIGKILL");
}

const input = z.object({ amount: z.number() });

function effectful(effect: Tool["effect"]): Tool {
  return defineTool({
    name: effect,
    description: `A tool with the effect "${effect}".`,
    input,
    effect,
    run: (_input, { sessionId, callId, operationId, attempt }) => {
      pass();
      appendFileSync(effects, `${JSON.stringify({ effect, sessionId, callId, operationId, attempt })}\n`);
      pass();
      return `${effect} done`;
    },
    reconcile: async (_input, { operationId }) =>
      existsSync(effects) && readFileSync(effects, "utf8").includes(operationId)
        ? { type: "finished", result: { content: `${effect} done` } }
        : { type: "notStarted" },
  });
}

/** Dies before and after each write. */
function mortal(store: Store): Store {
  return {
    ...store,
    async append(...args) {
      pass();
      await store.append(...args);
      pass();
    },
    async enqueue(...args) {
      pass();
      const result = await store.enqueue(...args);
      pass();
      return result;
    },
    async claim(sessionId) {
      pass();
      const lease = await store.claim(sessionId);
      pass();
      return lease;
    },
    async release(lease) {
      pass();
      await store.release(lease);
      pass();
    },
  };
}

const model = createScriptedModel(script, { record: false });
await using store = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
await using runtime = await openRuntime({
  agents: [
    {
      name: "worker",
      systemPrompt: "You work.",
      permissions: { allow: ["*"] },
      model: "scripted/worker",
      tools: (["readonly", "idempotent", "keyed", "reconcile", "once"] as const).map(effectful),
    },
  ],
  dataDir,
  store: mortal(store),
  models: () => model,
});

for (let i = 0; i < wanted; i++) {
  const id = `session-${i}`;
  await runtime.sessions.create({ agent: "worker", id, idempotencyKey: id });
  await runtime.sessions.send(id, { blocks: [{ type: "text", text: "Go." }], idempotencyKey: "go" });
}
process.stdout.write("ready\n");
while ((await unfinished(runtime.sessions)) > 0) await new Promise((resolve) => setTimeout(resolve, 10));
process.stdout.write(`passed ${passed}\n`);

async function unfinished(sessions: Sessions): Promise<number> {
  const all = await sessions.list({ limit: 1_000 });
  return all.filter(({ status }) => status !== "idle").length;
}
