/**
 * One session that goes on for long, as a process: works until the session has had so many turns, and says every so often
 * what that costs. Killed at any time, it goes on when it is started again.
 *
 *     node test/crash/soak-node.ts DATA_DIR '{ "turns": 2000, "window": 100000, "every": 100 }'
 *
 * Run with `--expose-gc`, so that what is measured is memory in use.
 */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { defineTool, openRuntime, openSqliteStore, type Store } from "../../src/index.ts";
import { createScriptedModel } from "../../src/testing/testing.ts";

/** A line of the output. */
export interface SoakLine {
  /** Of the session, as the store counts them. */
  readonly turns: number;
  /** Bytes, after the garbage has been collected. */
  readonly rss: number;
  readonly heap: number;
  /** Milliseconds of CPU time of this process. */
  readonly cpuMs: number;
  /** How many entries the session was folded from when this process took it up; null when it made it. */
  readonly foldedFrom: number | null;
  /** CPU time, milliseconds, that reading and folding them took. */
  readonly foldMs: number;
}

const [dataDir = "", plan = "{}"] = process.argv.slice(2);
const {
  turns = 2_000,
  window = 100_000,
  every = 100,
} = JSON.parse(plan) as {
  turns?: number;
  window?: number;
  every?: number;
};

const summary = `## Intent
Work for a long time.
## Decisions
None.
## Files
None.
## Errors and fixes
None.
## User messages
"Go on."
## Open tasks
More work.
## Next step
Go on.`;

const said = "A sentence that is about as long as what a model says before it calls a tool. ".repeat(3);

const model = createScriptedModel(
  {
    defaults: { chunkSize: 1_000 },
    turns: [
      { when: { user: "Write a summary of it now" }, text: summary, times: "any" },
      { when: { step: 20 }, text: "Done.", times: "any" },
      { text: said, calls: [{ tool: "work", input: { what: "the next part of it" } }], times: "any" },
    ],
  },
  { record: false },
);

const work = defineTool({
  name: "work",
  description: "Does a part of the work.",
  input: z.object({ what: z.string() }),
  effect: "once",
  run: (_input, { callId, operationId }) => {
    appendFileSync(join(dataDir, "effects.txt"), `${operationId} ${callId}\n`);
    return `done: ${"a line of what the tool found; ".repeat(10)}`;
  },
});

let foldedFrom: number | null = null;
let foldMs = 0;
await using real = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
const store: Store = {
  ...real,
  async tail(sessionId) {
    const before = process.cpuUsage();
    const entries = await real.tail(sessionId);
    foldedFrom = entries.length;
    foldMs = cpuMs(before);
    return entries;
  },
};
await using runtime = await openRuntime({
  agents: [
    {
      name: "worker",
      systemPrompt: "You work.",
      permissions: { allow: ["*"] },
      model: { id: "scripted/worker", contextWindow: window },
      tools: [work],
      sandbox: { isolation: "none" },
      limits: { turns: 10_000 },
    },
  ],
  dataDir,
  store,
  models: () => model,
});
const session = await runtime.session({ id: "soak" });

let told = await turnsSoFar();
for (let now = told; now < turns; ) {
  // The same key for the same message: one that was sent before a kill is not sent again.
  const result = await (await session.send("Go on.", { idempotencyKey: `after turn ${now}` })).result();
  if (result.reason !== "endTurn") throw new Error(`a run ended otherwise: ${JSON.stringify(result)}`);
  now = await turnsSoFar();
  if (now - told < every) continue;
  told = now;
  tell(now);
}
// The one that was left unfinished when it had its last turn.
while ((await runtime.sessions.get("soak")).status !== "idle") await delay(5);
tell(await turnsSoFar());
process.exit();

async function turnsSoFar(): Promise<number> {
  return (await runtime.sessions.get("soak")).turns;
}

function tell(now: number): void {
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  const line: SoakLine = { turns: now, rss, heap: heapUsed, cpuMs: cpuMs(), foldedFrom, foldMs };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function cpuMs(since?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1_000;
}
