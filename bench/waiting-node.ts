import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { keepHeapSmall } from "../src/cli/keep-heap-small.ts";
import { createApp } from "../src/http/app.ts";
import { serve } from "../src/http/server.ts";
import { defineTool, openRuntime, type Runtime } from "../src/index.ts";
import { DatabaseSync } from "../src/lib/sqlite.ts";
import { createScriptedModel } from "../src/testing/testing.ts";
import { cpuMs } from "./measure.ts";

/**
 * Sessions that wait for a person, in a process of its own.
 *
 *     node bench/waiting-node.ts fill DATA_DIR SESSIONS     makes them, and says what they take in the database
 *     node bench/waiting-node.ts serve DATA_DIR ANSWERS     a server over them: what it takes, then how fast answers are obeyed
 */
const [mode = "", dataDir = "", count = ""] = process.argv.slice(2);
const IDLE_MS = 10_000;
const MB = 1_048_576;

export interface Filled {
  readonly rows: number;
  readonly bytes: number;
}

export interface Served {
  readonly startMs: number;
  readonly rssMb: number;
  readonly heapMb: number;
  /** Of ten seconds in which nothing happens. */
  readonly idleCpuMs: number;
  readonly resumeMs: readonly number[];
}

/** When the tool has started, by session. */
const started = new Map<string, () => void>();
const model = createScriptedModel(
  {
    turns: [
      { when: { step: 1 }, calls: [{ tool: "refund", input: { order: "A1", amount: 90 } }] },
      { times: "any", text: "Done." },
    ],
  },
  { record: false },
);

console.log(JSON.stringify(mode === "fill" ? await fill(Number(count)) : await measure(Number(count))));
process.exit();

function open(): Promise<Runtime> {
  const refund = defineTool({
    name: "refund",
    description: "Pays an order back.",
    input: z.object({ order: z.string(), amount: z.number() }),
    run(_input, { sessionId }) {
      started.get(sessionId)?.();
      return "refunded";
    },
  });
  return openRuntime({
    dataDir,
    agents: [{ name: "bench", systemPrompt: "You are measured.", model: "scripted/bench", tools: [refund] }],
    models: () => model,
  });
}

async function fill(sessions: number): Promise<Filled> {
  {
    await using runtime = await open();
    const empty = sizeOf();
    await Promise.all(Array.from({ length: sessions }, () => ask(runtime)));
    for (let waiting = 0; waiting < sessions; await sleep(50)) {
      waiting = (await runtime.sessions.list({ status: "waiting", limit: 1_000 })).length;
    }
    const full = sizeOf();
    return { rows: (full.rows - empty.rows) / sessions, bytes: (full.bytes - empty.bytes) / sessions };
  }
}

async function ask({ sessions }: Runtime): Promise<void> {
  const { session } = await sessions.create({ agent: "bench" });
  await sessions.send(session.id, { blocks: [{ type: "text", text: "Pay order A1 back." }] });
}

function sizeOf(): Filled {
  const database = new DatabaseSync(join(dataDir, "holdfast.db"));
  const number = (sql: string) => Number(Object.values(database.prepare(sql).get() ?? {})[0]);
  const tables = ["session", "entry", "inbox", "interrupt", "blob", "reservation"];
  const rows = tables.reduce((sum, table) => sum + number(`SELECT count(*) FROM ${table}`), 0);
  const bytes = number("PRAGMA page_count") * number("PRAGMA page_size");
  database.close();
  return { rows, bytes };
}

async function measure(answers: number): Promise<Served> {
  // As `holdfast start` does.
  keepHeapSmall();
  const since = performance.now();
  await using runtime = await open();
  await using _server = await serve(createApp({ sessions: runtime.sessions, agents: runtime.agents }), {
    host: "127.0.0.1",
    port: 0,
  });
  // Whatever it has to do with them it does in its first sweep.
  await runtime.sessions.interrupts({ status: "open", limit: 1 });
  const startMs = performance.now() - since;
  await sleep(3_000);
  globalThis.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  const before = process.cpuUsage();
  await sleep(IDLE_MS);
  const idleCpuMs = cpuMs(before);
  const open_ = await runtime.sessions.interrupts({ status: "open", limit: answers });
  const resumeMs: number[] = [];
  for (const { id, sessionId } of open_) {
    const { promise, resolve } = Promise.withResolvers<void>();
    started.set(sessionId, resolve);
    const asked = performance.now();
    await runtime.sessions.answer(sessionId, id, { action: "approve" });
    await promise;
    resumeMs.push(performance.now() - asked);
    // One after the other: what is asked about is one answer, not a rush of them.
    while ((await runtime.sessions.get(sessionId)).status !== "idle") await sleep(5);
  }
  return { startMs, rssMb: rss / MB, heapMb: heapUsed / MB, idleCpuMs, resumeMs };
}
