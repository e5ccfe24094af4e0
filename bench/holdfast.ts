import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { keepHeapSmall } from "../src/cli/keep-heap-small.ts";
import { createApp } from "../src/http/app.ts";
import { serve } from "../src/http/server.ts";
import { type AgentDefinition, defineTool, openRuntime, type Runtime } from "../src/index.ts";
import { cpuMs, median, peakGrowth, REPEATS, WARM_UP } from "./measure.ts";
import { stepTool, systemPrompt } from "./request.ts";

/**
 * What is measured: Holdfast as a program uses it, with its durable log, in a process of its own.
 *
 *     node bench/holdfast.ts turns URL TURNS
 *     node bench/holdfast.ts disk URL TURNS
 *     node bench/holdfast.ts stream URL CHUNKS
 *     node bench/holdfast.ts parallel URL CALLS MS
 *     node bench/holdfast.ts early URL CALLS
 *     node bench/holdfast.ts sessions URL COUNT TURNS LATENCY
 *     node bench/holdfast.ts work URL COUNT DATA_DIR
 *     node bench/holdfast.ts sandbox URL SESSIONS
 */
const [mode = "", url = "", ...args] = process.argv.slice(2);
const [first = 0, second = 0, third = 0] = args.map(Number);
process.env.ANTHROPIC_API_KEY = "bench";

const agent: AgentDefinition = {
  name: "bench",
  systemPrompt,
  model: { id: "anthropic/turns-2", baseUrl: `${url}/v1` },
  permissions: { allow: ["*"] },
  limits: { turns: 1_000, parallelCalls: 100 },
  tools: [
    defineTool({
      name: stepTool.name,
      description: stepTool.description,
      input: z.object({ n: z.number() }),
      parallel: mode === "parallel",
      async run({ n }) {
        if (mode === "parallel") await new Promise((resolve) => setTimeout(resolve, second));
        return `did step ${n}`;
      },
    }),
  ],
};

const modes: Readonly<Record<string, () => Promise<unknown>>> = {
  turns: () => inNewRuntime(measureTurns),
  disk: measureDisk,
  stream: () => inNewRuntime(serveStream),
  parallel: () => inNewRuntime(callInParallel),
  early: () => inNewRuntime(startEarly),
  sessions: () => {
    // As `holdfast start` does.
    keepHeapSmall();
    return inNewRuntime(measureSessions);
  },
  work: leaveWork,
  sandbox: () => inNewRuntime(measureSandbox),
};
const chosen = modes[mode];
if (chosen === undefined) throw new Error(`unknown mode ${mode}`);
const result = await chosen();
console.log(JSON.stringify(result));
process.exit();

/** CPU per model call of one long tool loop, after the process has warmed up with others. */
async function measureTurns(runtime: Runtime): Promise<object> {
  for (let i = 0; i < WARM_UP; i++) await converse(runtime, "turns-50");
  const since = process.cpuUsage();
  for (let i = 0; i < REPEATS; i++) await converse(runtime, `turns-${first}`);
  return { cpuMsPerTurn: cpuMs(since) / (first * REPEATS) };
}

/** The model server measures; the last round counts. */
async function callInParallel(runtime: Runtime): Promise<object> {
  for (let i = 0; i < 5; i++) await converse(runtime, `parallel-${first}`);
  return {};
}

/** From the request of an answer that is written slowly to the start of its first call, and to its end. */
async function startEarly(runtime: Runtime): Promise<object> {
  await converse(runtime, "turns-5");
  const session = await runtime.session();
  const run = await session.send("Do the work.", { model: `anthropic/slowly-${first}` });
  const at: Partial<Record<string, number>> = {};
  for await (const event of run) if (event.type === "entry") at[event.entry.type] ??= event.entry.at;
  const { modelCalled = Number.NaN, toolStarted = Number.NaN, assistantMessage = Number.NaN } = at;
  return { firstCallMs: toolStarted - modelCalled, answerMs: assistantMessage - modelCalled };
}

/** Growth of the data directory by one session, closed, per model call. */
async function measureDisk(): Promise<object> {
  const dataDir = await temporaryDirectory();
  await withRuntime(dataDir, (runtime) => converse(runtime, "turns-1"));
  const before = await sizeOf(dataDir);
  await withRuntime(dataDir, (runtime) => converse(runtime, `turns-${first}`));
  const grown = (await sizeOf(dataDir)) - before;
  await rm(dataDir, { recursive: true });
  return { bytesPerTurn: grown / first };
}

/** The HTTP server, and beside it a way to ask for the CPU that this process has used. */
async function serveStream(runtime: Runtime): Promise<never> {
  const app = createApp({ sessions: runtime.sessions, agents: runtime.agents });
  app.get("/cpu", (c) => c.json({ cpuMs: cpuMs() }));
  const server = await serve(app, { port: 0 });
  console.log(JSON.stringify({ base: server.url }));
  return untilInputEnds();
}

async function measureSessions(runtime: Runtime): Promise<object> {
  await Promise.all(Array.from({ length: 20 }, () => converse(runtime, `turns-${second}`)));
  globalThis.gc?.();
  const before = process.memoryUsage();
  let live = 0;
  // With --expose-gc: what is really in use while every session waits for its third answer.
  const collector = setTimeout(() => {
    if (globalThis.gc === undefined) return;
    globalThis.gc();
    live = heapOf(process.memoryUsage()) - heapOf(before);
  }, third * 2.5);
  const startedAt = performance.now();
  const grown = await peakGrowth(() =>
    Promise.all(Array.from({ length: first }, () => converse(runtime, `turns-${second}+${third}ms`))),
  );
  const wallMs = performance.now() - startedAt;
  clearTimeout(collector);
  const perSession = (bytes: number) => bytes / 1024 / first;
  return { wallMs, rssKbPerSession: perSession(grown), liveKbPerSession: perSession(live) };
}

/** Starts sessions that never get an answer, or takes up those that a killed process left behind. */
async function leaveWork(): Promise<never> {
  const runtime = await open(args[1] ?? "");
  await Promise.all(
    Array.from({ length: first }, async () => {
      const session = await runtime.session();
      await session.send("Do the work.", { model: "anthropic/turns-2+60000ms" });
    }),
  );
  console.log(JSON.stringify({ started: first }));
  return untilInputEnds();
}

/** From the request to the end of the command, output read. */
async function measureSandbox(runtime: Runtime): Promise<object> {
  const firstMs: number[] = [];
  let kind = "";
  const nextMs: number[] = [];
  for (let i = 0; i <= first; i++) {
    const { id } = await runtime.session();
    const opened = await timed(() => command(runtime, id));
    const again: number[] = [];
    for (let j = 0; j < 5; j++) again.push(await timed(() => command(runtime, id)));
    const sandbox = await runtime.sessions.sandbox(id);
    kind = sandbox.kind;
    await sandbox.destroy();
    // The very first one also finds out what this machine can do.
    if (i > 0) {
      firstMs.push(opened);
      nextMs.push(...again);
    }
  }
  return { kind, firstMs: median(firstMs), nextMs: median(nextMs) };
}

async function command(runtime: Runtime, sessionId: string): Promise<void> {
  await using execution = await runtime.sessions.exec(sessionId, { command: "echo hello" });
  for await (const _ of execution.output);
  const { exitCode } = await execution.result;
  if (exitCode !== 0) throw new Error(`the command ended with ${exitCode}`);
}

/** One session, one run to its end. */
async function converse(runtime: Runtime, wish: string): Promise<object> {
  const session = await runtime.session();
  const run = await session.send("Do the work.", { model: `anthropic/${wish}` });
  const { reason, error } = await run.result();
  if (reason !== "endTurn") throw new Error(`${wish}: ${reason} ${JSON.stringify(error)}`);
  return {};
}

async function inNewRuntime<T>(work: (runtime: Runtime) => Promise<T>): Promise<T> {
  const dataDir = await temporaryDirectory();
  try {
    return await withRuntime(dataDir, work);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function withRuntime<T>(dataDir: string, work: (runtime: Runtime) => Promise<T>): Promise<T> {
  await using runtime = await open(dataDir);
  return await work(runtime);
}

function open(dataDir: string): Promise<Runtime> {
  return openRuntime({ agents: [agent], dataDir });
}

function untilInputEnds(): Promise<never> {
  return new Promise(() => process.stdin.on("end", () => process.exit()).resume());
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

function heapOf({ heapUsed, external }: NodeJS.MemoryUsage): number {
  return heapUsed + external;
}

function temporaryDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), "holdfast-bench-"));
}

async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}
