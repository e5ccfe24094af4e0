import { execFile } from "node:child_process";
import { getEventListeners } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { defineTool, type Tool, type ToolResult } from "../../src/index.ts";
import type { Model } from "../../src/models/model.ts";
import type { SandboxDriver } from "../../src/sandboxes/sandbox.ts";
import { openSqliteStore } from "../../src/stores/sqlite/sqlite.ts";
import type { Store } from "../../src/stores/store.ts";
import type { Script } from "../../src/testing/testing.ts";
import { startScenario, story } from "./in-process.ts";

/** What comes at a moment that nobody planned for: a stop, a message, the end of the process, a tool that misbehaves. */

const calls = (tool: string): Script => ({ turns: [{ calls: [{ tool }] }, { text: "Done.", times: "any" }] });

/** A call that is under way until it is told to end, or its signal is aborted. */
function waitingTool() {
  const started = Promise.withResolvers<void>();
  const release = Promise.withResolvers<string>();
  const reason = Promise.withResolvers<unknown>();
  const tool = defineTool({
    name: "wait",
    description: "",
    input: z.object({}),
    run: (_input, { signal }) => {
      started.resolve();
      const aborted = new Promise<string>((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
      aborted.catch(reason.resolve);
      return Promise.race([release.promise, aborted]);
    },
  });
  return { tool, started: started.promise, release: release.resolve, reason: reason.promise };
}

describe("a message that comes", () => {
  it("after a stop is answered by the run after the stopped one", async () => {
    const { tool, started } = waitingTool();
    await using scenario = await startScenario(calls("wait"), { agent: { tools: [tool] } });
    const session = await scenario.session();
    await session.send("One");
    await started;
    const stopping = session.stop();
    const second = await session.send("Two");
    expect(await second.result()).toMatchObject({ reason: "endTurn", text: "Done." });
    expect(await stopping).toBe(true);
    expect(story(await scenario.log(session))).toMatch(/stopRequested userMessage .*runFinished runStarted/);
  });

  it("during a request that fails for good is answered by the run after that", async () => {
    const failing = { text: "abcdef", error: { kind: "badRequest" as const, afterChunks: 1 } };
    await using scenario = await startScenario({
      turns: [{ ...failing, chunkSize: 2, delayMs: 200 }, { text: "Done." }],
    });
    const session = await scenario.session();
    await session.send("One");
    await eventually(async () => story(await scenario.log(session)).endsWith("modelCalled"));
    const second = await session.send("Two");
    expect(await second.result()).toMatchObject({ reason: "endTurn", text: "Done." });
    expect(story(await scenario.log(session))).toMatch(/userMessage modelFailed runFailed runStarted/);
  });

  it("during the last turn that a run may have is answered by the next run", async () => {
    const { tool, started, release } = waitingTool();
    const agent = { tools: [tool], limits: { turns: 1 } };
    await using scenario = await startScenario(calls("wait"), { agent });
    const session = await scenario.session();
    const first = await session.send("One");
    await started;
    const second = await session.send("Two");
    release("waited");
    expect(await first.result()).toMatchObject({ reason: "turnLimit" });
    expect(await second.result()).toMatchObject({ reason: "endTurn", text: "Done." });
  });

  it("during a run has the result of that run, timed from the message on", async () => {
    const { tool, started, release } = waitingTool();
    await using scenario = await startScenario(calls("wait"), { agent: { tools: [tool] } });
    const session = await scenario.session();
    const first = await session.send("One");
    await started;
    const second = await session.send("Two");
    release("waited");
    const result = await second.result();
    expect(result).toMatchObject({ sessionId: session.id, runId: (await first.result()).runId });
    expect(result.timing.totalMs).toBeLessThan(60_000);
  });
});

describe("a stop", () => {
  it("ends a request of a model that does not heed its signal", async () => {
    const asked = Promise.withResolvers<void>();
    const deaf: Model = {
      id: "deaf/one",
      async *stream() {
        asked.resolve();
        await new Promise(() => {});
      },
    };
    await using scenario = await startScenario(calls("none"), { models: () => deaf });
    const session = await scenario.session();
    await session.send("Go");
    await asked.promise;
    expect(await session.stop()).toBe(true);
  });

  it("that finds a call about to start leaves it undone", async () => {
    let runs = 0;
    const tool = defineTool({
      name: "pay",
      description: "",
      input: z.object({}),
      run: () => {
        runs += 1;
        return "paid";
      },
    });
    await using home = await temporaryHome();
    await using slow = await storeThatStallsAt(home.dataDir, "toolStarted");
    await using scenario = await startScenario(calls("pay"), { ...home, ...slow, agent: { tools: [tool] } });
    const session = await scenario.session();
    await session.send("Go");
    await slow.reached;
    const stopping = session.stop();
    await sleep(50);
    slow.goOn();
    await stopping;
    expect(runs).toBe(0);
    expect(story(await scenario.log(session))).toMatch(/toolStarted stopRequested toolFinished runFinished$/);
  });

  it("that finds another one on its way and nothing running is done", async () => {
    await using home = await temporaryHome();
    await using reader = await startScenario(calls("none"), { ...home, work: "none" });
    const session = await reader.session();
    await using store = await openSqliteStore({ path: join(home.dataDir, "holdfast.db") });
    await store.enqueue(session.id, { type: "stop" });
    const stopping = session.stop();
    await using _worker = await startScenario(calls("none"), home);
    expect(await stopping).toBe(true);
  });

  it("is not said to be done when the runtime is closed before it is", async () => {
    const scenario = await startScenario(calls("none"), { work: "none" });
    const session = await scenario.session();
    await session.send("Go");
    const stopping = session.stop().catch((error: unknown) => error);
    await sleep(20);
    await scenario[Symbol.asyncDispose]();
    expect(await stopping).toMatchObject({ code: "unavailable" });
  });
});

describe("a tool that misbehaves costs its own call only:", () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;

  it.each<[string, () => ToolResult]>([
    ["it throws something with a cycle", () => raise(circular)],
    ["it throws a bigint", () => raise(1n)],
    ["it throws a long error", () => raise(new Error("x".repeat(300_000)))],
    ["its details are not JSON", () => ({ content: "ok", details: { n: 1n } })],
    ["it answers with nothing", () => undefined as unknown as ToolResult],
    ["its content is no content", () => ({ content: [{ type: "text", text: 5n }] }) as unknown as ToolResult],
  ])("%s", async (_name, answer) => {
    let runs = 0;
    const tool = defineTool({
      name: "bad",
      description: "",
      input: z.object({}),
      effect: "keyed",
      run: () => {
        runs += 1;
        return answer();
      },
    });
    await using scenario = await startScenario(calls("bad"), {
      agent: { tools: [tool], sandbox: { isolation: "none" } },
    });
    const session = await scenario.session();
    expect(await (await session.send("Go")).result()).toMatchObject({ reason: "endTurn", text: "Done." });
    expect(runs).toBe(1);
    expect(JSON.stringify(await scenario.log(session)).length).toBeLessThan(60_000);
  });

  it("its arguments cannot be checked", async () => {
    const input = z.object({ a: z.string().refine(async () => true) });
    const tool = defineTool({ name: "bad", description: "", input, run: () => "ok" });
    await using scenario = await startScenario(
      { turns: [{ calls: [{ tool: "bad", input: { a: "x" } }] }, { text: "Done." }] },
      { agent: { tools: [tool] } },
    );
    const session = await scenario.session();
    expect(await (await session.send("Go")).result()).toMatchObject({ reason: "endTurn", text: "Done." });
    expect(JSON.stringify(await scenario.log(session))).toContain("could not be checked");
  });
});

it("a tool may take as long as it likes", async () => {
  const input = z.object({});
  const timeoutMs = Number.POSITIVE_INFINITY;
  const tool = defineTool({ name: "slow", description: "", input, timeoutMs, run: () => sleep(50, "ok") });
  await using scenario = await startScenario(calls("slow"), { agent: { tools: [tool] } });
  const session = await scenario.session();
  await (await session.send("Go")).result();
  const log = await scenario.log(session);
  expect(log.find((entry) => entry.type === "toolFinished")).toMatchObject({ outcome: "ok" });
});

it("a session of an agent that is not served here is left to the process that serves it", async () => {
  await using home = await temporaryHome();
  await using stranger = await startScenario(calls("none"), { ...home, agent: { name: "stranger" } });
  await using here = await startScenario({ turns: [{ text: "Done." }] }, { ...home, work: "none" });
  const session = await here.session();
  const reading = (await session.send("Go")).result();
  await eventually(async () => stranger.notices.length > 0);
  expect(stranger.notices).toEqual([expect.stringContaining("is left to other processes")]);
  await using _worker = await startScenario({ turns: [{ text: "Done." }] }, home);
  expect(await reading).toMatchObject({ text: "Done." });
});

describe("what is left when something ends early", () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  beforeEach(() => void process.on("unhandledRejection", note));
  afterEach(() => {
    process.off("unhandledRejection", note);
    expect(unhandled.splice(0)).toEqual([]);
  });

  it("a sandbox that fails to start when its run has ended harms nobody", async () => {
    const starting = Promise.withResolvers<void>();
    const start = Promise.withResolvers<never>();
    const driver = {
      kind: "none",
      probe: async () => ({ kind: "none", available: true, problem: null, capabilities: {} }),
      open: () => {
        starting.resolve();
        return start.promise;
      },
      destroy: async () => {},
      async [Symbol.asyncDispose]() {},
    } as unknown as SandboxDriver;
    await using scenario = await startScenario(
      { turns: [{ calls: [{ tool: "shell", input: { command: "true" } }] }, { text: "Done." }] },
      { sandboxes: [driver], agent: { sandbox: { isolation: "none" } } },
    );
    const session = await scenario.session();
    await session.send("Go");
    await starting.promise;
    await session.stop();
    start.reject(new Error("no sandbox today"));
    await sleep(20);
  });

  it("a result is not made up when the runtime is closed", async () => {
    const { tool, started } = waitingTool();
    const scenario = await startScenario(calls("wait"), { agent: { tools: [tool] }, graceMs: 10 });
    const result = (await (await scenario.session()).send("Go")).result().catch((error: unknown) => error);
    await started;
    await scenario[Symbol.asyncDispose]();
    expect(await result).toMatchObject({ code: "cancelled" });
  });

  it("watchers end with the runtime, also when its store goes on", async () => {
    await using home = await temporaryHome();
    await using store = await openSqliteStore({ path: join(home.dataDir, "holdfast.db") });
    const scenario = await startScenario(calls("none"), { ...home, store, work: "none" });
    const session = await scenario.session();
    const result = (await session.send("Go")).result().catch((error: unknown) => error);
    const stopping = session.stop().catch((error: unknown) => error);
    await sleep(20);
    await scenario[Symbol.asyncDispose]();
    expect(await result).toMatchObject({ code: "cancelled" });
    expect(await stopping).toMatchObject({ code: "unavailable" });
  });

  it("a tool is told that its session goes to another process, which is no stop", async () => {
    const { tool, started, reason } = waitingTool();
    const scenario = await startScenario(calls("wait"), { agent: { tools: [tool] }, graceMs: 10 });
    await (await scenario.session()).send("Go");
    await started;
    await scenario[Symbol.asyncDispose]();
    expect(await reason).toMatchObject({ code: "fenced" });
  });

  it("a result is in the log although a step beside it failed", async () => {
    let asked = 0;
    const quick = defineTool({ name: "quick", description: "", input: z.object({}), run: () => "did it" });
    const broken = defineTool({ name: "broken", description: "", input: z.object({}), run: () => "did it" });
    const fragile: Tool = {
      ...broken,
      // The policy asks first, then the call's start.
      get effect() {
        asked += 1;
        if (asked === 2) throw new Error("a defect");
        return broken.effect;
      },
    };
    await using scenario = await startScenario(
      { turns: [{ calls: [{ tool: "quick" }, { tool: "broken" }] }, { text: "Done." }] },
      { agent: { tools: [quick, fragile], limits: { parallelCalls: 1 } } },
    );
    const session = await scenario.session();
    expect(await (await session.send("Go")).result()).toMatchObject({ reason: "endTurn" });
    const finished = (await scenario.log(session)).filter((entry) => entry.type === "toolFinished");
    expect(finished.map(({ outcome }) => outcome)).toEqual(["ok", "ok"]);
    expect(scenario.notices).toEqual([expect.stringContaining("a defect")]);
  });

  it("a program that waits for a result lives until then", async () => {
    const program = `
      import { openRuntime } from ${JSON.stringify(sourceOf("index.ts"))};
      import { createScriptedModel } from ${JSON.stringify(sourceOf("testing/testing.ts"))};
      const model = createScriptedModel({ turns: [{ error: { kind: "overloaded" } }, { text: "Done." }] });
      const agent = { name: "t", systemPrompt: "x", model: { id: "scripted/t" } };
      await using runtime = await openRuntime({ agents: [agent], models: () => model });
      const session = await runtime.session();
      console.log((await (await session.send("Hi")).result()).text);`;
    await using home = await temporaryHome();
    const words = ["--input-type=module", "--eval", program];
    const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: home.dataDir });
    expect(stdout).toBe("Done.\n");
  });

  it("a signal that outlives its runs keeps nothing of them", async () => {
    await using scenario = await startScenario({ turns: [{ text: "ok", times: "any" }] });
    const session = await scenario.session();
    const { signal } = new AbortController();
    for (let i = 0; i < 3; i++) await (await session.send("Go", { signal })).result();
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("a lease that could not be given back is given back later", async () => {
    await using home = await temporaryHome();
    await using real = await openSqliteStore({ path: join(home.dataDir, "holdfast.db") });
    let refused = 0;
    const store: Store = {
      ...real,
      release: async (lease) => {
        if (refused++ === 0) throw new Error("the disk is full");
        await real.release(lease);
      },
    };
    await using scenario = await startScenario({ turns: [{ text: "ok", times: "any" }] }, { ...home, store });
    const session = await scenario.session();
    await (await session.send("Go")).result();
    await using other = await openSqliteStore({ path: join(home.dataDir, "holdfast.db") });
    await eventually(async () => (await other.claim(session.id)) !== undefined);
    expect(scenario.notices).toEqual([expect.stringContaining("the disk is full")]);
  });
});

const sourceOf = (file: string) => new URL(`../../src/${file}`, import.meta.url).href;

function raise(thrown: unknown): never {
  throw thrown;
}

async function temporaryHome(): Promise<{ readonly dataDir: string } & AsyncDisposable> {
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-odd-"));
  return { dataDir, [Symbol.asyncDispose]: () => rm(dataDir, { recursive: true, force: true }) };
}

/** A disk that takes its time with the first entry of a type. Appends keep their order. */
async function storeThatStallsAt(dataDir: string, type: string) {
  const real = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
  const { promise: released, resolve: goOn } = Promise.withResolvers<void>();
  let before: Promise<void> = Promise.resolve();
  const store: Store = {
    ...real,
    append(...words) {
      const isMeant = words[2].some((entry) => entry.type === type);
      before = before.then(async () => {
        if (isMeant) {
          reach();
          await released;
        }
        await real.append(...words);
      });
      return before;
    },
  };
  return { store, reached, goOn, [Symbol.asyncDispose]: () => real[Symbol.asyncDispose]() };
}

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    if (await holds()) return;
    await sleep(10);
  }
  throw new Error("it did not become true within 10 s");
}
