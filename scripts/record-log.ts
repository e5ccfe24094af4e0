/**
 * Writes the log of one session in which everything happens that can be in a log, as this release writes it:
 *
 *     node scripts/record-log.ts test/fixtures/logs/NAME.jsonl
 *
 * A fixture is recorded once, before a release that adds types of entries or changes their shape, and never again: it
 * stands for the logs that people have.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import {
  type AgentDefinition,
  defineHook,
  defineTool,
  type Entry,
  openRuntime,
  type Runtime,
} from "../src/index.ts";
import { createFakeClock, createScriptedModel, type Script } from "../src/testing/testing.ts";

const [file = ""] = process.argv.slice(2);
const filler = (tokens: number) => "word ".repeat(Math.ceil((tokens * 4) / 5));

const summary = `## Intent
Look after the bees.
## Decisions
Two hives.
## Files
notes.txt
## Errors and fixes
None.
## User messages
"Look."
## Open tasks
None.
## Next step
Wait.`;

const fetching = (tokens: number) => ({ tool: "fetch", input: { tokens } });

const script: Script = {
  turns: [
    {
      when: { user: "Write a summary of it now" },
      error: { kind: "badRequest", message: "no summaries today" },
    },
    { when: { user: "Write a summary of it now" }, text: summary, times: "any" },
    // Calls that are complete before the answer is.
    {
      when: { user: "Look", step: 1 },
      reasoning: "I look twice.",
      calls: [fetching(20), { tool: "pay", input: { amount: 5 } }, fetching(30)],
      chunkSize: 4,
      delayMs: { first: 1, between: 5 },
    },
    ...[1, 2, 3, 4, 5, 6].map((step) => ({ when: { user: "Fetch", step }, calls: [fetching(2_000)] })),
    { when: { user: "Wait" }, text: filler(60), delayMs: { first: 1, between: 3_000 }, times: "any" },
    { when: { user: "Break" }, error: { kind: "badRequest", message: "the request is not valid" } },
    { when: { user: "Talk" }, text: filler(900), times: "any" },
    { text: "Done.", times: "any" },
  ],
};

const agent: AgentDefinition = {
  name: "keeper",
  systemPrompt: "You keep bees.",
  permissions: { allow: ["*"] },
  model: {
    id: "scripted/keeper",
    contextWindow: 20_000,
    maxOutputTokens: 1_000,
    prices: { input: 1, output: 10 },
    fallback: ["scripted/other"],
  },
  sandbox: { isolation: "none" },
  limits: { sessionCostUsd: 0.15 },
  tools: [
    defineTool({
      name: "fetch",
      description: "Fetches text.",
      input: z.object({ tokens: z.number() }),
      effect: "readonly",
      run: ({ tokens }) => filler(tokens),
    }),
    defineTool({
      name: "pay",
      description: "Pays.",
      input: z.object({ amount: z.number() }),
      effect: "keyed",
      run: ({ amount }) => ({ content: `paid ${amount}`, details: { amount } }),
    }),
  ],
  hooks: [
    defineHook({
      on: "beforeTool",
      name: "limit",
      tools: ["pay"],
      ask: () => ({ input: { amount: 3 }, context: "Payments are limited to 3." }),
    }),
  ],
};

const overloaded: Script = {
  turns: [{ when: { user: "Swap" }, error: { kind: "quota", message: "nothing left" } }, ...script.turns],
};
const first = createScriptedModel(overloaded, { id: "scripted/keeper" });
const other = createScriptedModel(script, { id: "scripted/other" });

const dataDir = mkdtempSync(join(tmpdir(), "holdfast-record-"));
const monday = Date.UTC(2026, 1, 2, 9);

function start(at: number): Promise<Runtime> {
  return openRuntime({
    agents: [agent],
    dataDir,
    clock: createFakeClock(at),
    models: (modelId) => (modelId === "scripted/other" ? other : first),
    graceMs: 10,
  });
}

const id = "bees";
const log = (runtime: Runtime) => runtime.sessions.entries(id);

async function say(runtime: Runtime, text: string): Promise<void> {
  const session = await runtime.session({ id });
  await (await session.send(text, { actor: "ada" })).result().catch(() => {});
  await raiseBudgets(runtime);
}

/** Says yes to whoever waits, and waits with them until the run has ended. */
async function raiseBudgets({ sessions }: Runtime): Promise<void> {
  for (const { id: interruptId } of await sessions.interrupts({ sessionId: id, status: "open" })) {
    await sessions.answer(id, interruptId, { action: "raise", limitUsd: 10 }, { actor: "grace" });
  }
  while ((await sessions.get(id)).status !== "idle") await sleep(10);
}

async function until(runtime: Runtime, holds: (entries: readonly Entry[]) => boolean): Promise<void> {
  while (!holds(await log(runtime))) await sleep(10);
}

const endsWith = (type: Entry["type"]) => (entries: readonly Entry[]) => entries.at(-1)?.type === type;

{
  await using runtime = await start(monday);
  for (const text of ["Look.", "Fetch.", "Swap.", "Break."]) await say(runtime, text);
  const session = await runtime.session({ id });
  await session.send("Wait.");
  await until(runtime, endsWith("modelCalled"));
  await session.stop();
  await session.send("Wait for a new process.");
  await until(runtime, endsWith("modelCalled"));
}
{
  await using runtime = await start(monday + 60_000);
  await until(runtime, endsWith("runFinished"));
  while (!(await log(runtime)).some(({ type }) => type === "compacted")) await say(runtime, "Talk.");
}
{
  await using runtime = await start(monday + 86_400_000);
  await say(runtime, "Talk on the next day.");
  const entries = await log(runtime);
  writeFileSync(file, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""), { flag: "wx" });
  process.stdout.write(
    `${entries.length} entries: ${[...new Set(entries.map(({ type }) => type))].join(" ")}\n`,
  );
}
rmSync(dataDir, { recursive: true, force: true });
process.exit();
