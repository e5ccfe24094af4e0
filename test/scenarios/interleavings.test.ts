import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { z } from "zod";
import { defineTool, type Entry, fold, openRuntime, type Runtime } from "../../src/index.ts";
import type { AssistantBlock } from "../../src/log/content.ts";
import { problemsIn } from "../../src/log/transcript.ts";
import type { Model, ModelEvent, ModelRequest } from "../../src/models/model.ts";

/**
 * Whatever happens in whatever order, the transcript stays one that every provider accepts, no effect happens twice, and
 * every message is answered or was stopped. The order of what is done is drawn from a seed; how it falls together with the
 * run is up to the machine.
 */
const SEEDS = Array.from({ length: 24 }, (_, index) => 1 + index * 7_919);
const ACTIONS = 25;
const seen = new Set<Entry["type"]>();

test.each(SEEDS)("seed %i", async (seed) => {
  const random = generator(seed);
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-interleavings-"));
  const world = createWorld(random);
  let runtime = await open(dataDir, world);
  try {
    const { session } = await runtime.sessions.create({ agent: "tester" });
    for (let step = 0; step < ACTIONS; step++) {
      await sleep(random() * 25);
      runtime = await act(runtime, session.id, dataDir, world, random);
    }
    await atRest(runtime, session.id);
    const log = await runtime.sessions.entries(session.id, 0, 100_000);
    check(log, world);
    for (const { type } of log) seen.add(type);
  } finally {
    await runtime[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true, force: true });
  }
});

test("between them, the seeds make everything happen", () => {
  expect([...seen]).toEqual(
    expect.arrayContaining([
      "answerPart",
      "resultsCleared",
      "compacted",
      "contextOpened",
      "interrupted",
      "interruptResolved",
      "modelFailed",
      "modelSwitched",
      "runFailed",
      "runResumed",
      "stopRequested",
    ]),
  );
});

type Random = () => number;

/** What the runtime is given: a model and tools that do as they like. */
interface World {
  readonly model: Model;
  readonly requests: ModelRequest[];
  /** How often each operation of the tool that must not be repeated has happened. */
  readonly effects: Map<string, number>;
  readonly random: Random;
}

async function open(dataDir: string, world: World): Promise<Runtime> {
  const { effects, random, model } = world;
  const pay = defineTool({
    name: "pay",
    description: "Pays.",
    input: z.object({ amount: z.number() }),
    run: async (_input, { operationId }) => {
      effects.set(operationId, (effects.get(operationId) ?? 0) + 1);
      await sleep(random() * 15);
      return random() < 0.2 ? { content: "declined", isError: true } : "paid";
    },
  });
  const look = defineTool({
    name: "look",
    description: "Looks.",
    effect: "readonly",
    input: z.object({}),
    run: async (_input, { signal }) => {
      await sleep(random() * 20, undefined, { signal });
      return "seen ".repeat(800);
    },
  });
  return openRuntime({
    dataDir,
    agents: [
      {
        name: "tester",
        systemPrompt: "You are tested.",
        model: {
          id: "scripted/tester",
          fallback: ["scripted/other"],
          prices: { input: 1, output: 1 },
          contextWindow: 5_000,
          maxOutputTokens: 200,
        },
        tools: [pay, look],
        limits: { costUsd: 0.012, turns: 20 },
      },
    ],
    models: () => model,
    notify: () => {},
    graceMs: 0,
  });
}

async function act(
  runtime: Runtime,
  id: string,
  dataDir: string,
  world: World,
  random: Random,
): Promise<Runtime> {
  const { sessions } = runtime;
  const draw = random();
  if (draw < 0.5) {
    const delivery =
      (["steer", "steer", "followUp", "interrupt"] as const)[Math.floor(random() * 4)] ?? "steer";
    await sessions.send(id, { blocks: [{ type: "text", text: `message ${random()}` }], delivery });
  } else if (draw < 0.65) {
    // Stops what is under way; its end is not waited for.
    sessions.stop(id).catch(() => {});
  } else if (draw < 0.8) {
    await answerInterrupts(runtime, id, random() < 0.7);
  } else if (draw < 0.95) {
    await runtime[Symbol.asyncDispose]();
    return open(dataDir, world);
  }
  return runtime;
}

async function answerInterrupts({ sessions }: Runtime, id: string, raise: boolean): Promise<void> {
  const state = fold(await sessions.entries(id, 0, 100_000));
  const interrupt = state.run?.interrupt;
  if (!interrupt) return;
  const limitUsd = (state.run?.costUsd ?? 0) + 0.012;
  // Somebody else, or a stop, may have been first.
  await sessions
    .answer(id, interrupt.interruptId, raise ? { action: "raise", limitUsd } : { action: "end" })
    .catch(() => {});
}

/** Until nothing is left to do: the last questions are answered with "end". */
async function atRest(runtime: Runtime, id: string): Promise<void> {
  for (;;) {
    const { status } = await runtime.sessions.get(id);
    if (status === "idle") return;
    if (status === "waiting") await answerInterrupts(runtime, id, false);
    await sleep(10);
  }
}

function check(log: readonly Entry[], { requests, effects }: World): void {
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1));
  const state = fold(log);
  for (const [index, { type }] of log.entries()) {
    if (type === "compacted") expect(fold(log.slice(index))).toEqual(state);
  }
  expect(unansweredOf(log)).toEqual([]);
  expect([state.run, state.unanswered, state.openCalls, state.deferred]).toEqual([null, null, [], []]);
  expect(problemsIn(state.messages, { callsAtEnd: false })).toEqual([]);
  for (const { messages } of requests) expect(problemsIn(messages, { callsAtEnd: false })).toEqual([]);
  expect([...effects.values()].filter((times) => times !== 1)).toEqual([]);
  const asked = log
    .flatMap((entry) => (entry.type === "assistantMessage" ? entry.blocks : []))
    .filter(isCall);
  const finished = log.flatMap((entry) => (entry.type === "toolFinished" ? [entry.callId] : []));
  expect(new Set(finished).size).toBe(finished.length);
  expect([...finished].sort()).toEqual(asked.map(({ callId }) => callId).sort());
}

/** Messages that no request has held, although nobody has stopped them and no person has ended their run. */
function unansweredOf(log: readonly Entry[]): readonly string[] {
  let waiting: readonly string[] = [];
  /** Those with which a run began that failed before its first request. */
  let begun: readonly string[] = [];
  for (const entry of log) {
    if (entry.type === "userMessage") waiting = [...waiting, entry.inboxId];
    if (entry.type === "runStarted") begun = waiting;
    if (entry.type === "modelCalled" && entry.purpose === undefined) waiting = [];
    if (entry.type === "stopRequested") waiting = [];
    if (entry.type === "runFinished" || entry.type === "runFailed") {
      waiting = waiting.filter((id) => !begun.includes(id) || entry.left?.includes(id));
    }
  }
  return waiting;
}

function isCall(block: AssistantBlock): block is Extract<AssistantBlock, { type: "toolCall" }> {
  return block.type === "toolCall";
}

function createWorld(random: Random): World {
  const requests: ModelRequest[] = [];
  const effects = new Map<string, number>();
  let calls = 0;

  async function* stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelEvent, void> {
    requests.push(request);
    try {
      await sleep(random() * 10, undefined, { signal });
      if (random() < 0.15) {
        yield { type: "failed", failure: failureOf(random) };
        return;
      }
      const blocks = answerOf(random, () => `call_${seedless(calls++)}`);
      const soFar: AssistantBlock[] = [];
      for (const [index, block] of blocks.entries()) {
        soFar.push(block);
        if (block.type === "text") yield { type: "textDelta", text: block.text };
        if (block.type === "toolCall") {
          yield { type: "toolCallStarted", callId: block.callId, name: block.name };
          if (index < blocks.length - 1) yield { type: "callCompleted", soFar: { blocks: [...soFar] } };
        }
        await sleep(random() * 8, undefined, { signal });
        if (random() < 0.05) {
          yield { type: "failed", failure: { kind: "network", message: "cut off" } };
          return;
        }
      }
      const stopReason = blocks.some(isCall) ? "toolCalls" : "endTurn";
      const input = JSON.stringify(request.messages).length / 4;
      const usage = { input, cacheRead: 0, cacheWrite: 0, output: 50, reasoning: 0 };
      yield { type: "finished", answer: { blocks, stopReason, usage } };
    } catch {
      yield { type: "failed", failure: { kind: "unknown", message: "the request was aborted" } };
    }
  }
  return { model: { id: "scripted/tester", stream }, requests, effects, random };
}

function failureOf(random: Random) {
  const kinds = ["network", "contextOverflow", "contextOverflow", "quota", "quota", "badRequest"] as const;
  const kind = kinds[Math.floor(random() * kinds.length)] ?? "network";
  return { kind, message: "the model says no" } as const;
}

function answerOf(random: Random, newId: () => string): readonly AssistantBlock[] {
  const text = { type: "text", text: "word ".repeat(1 + Math.floor(random() * 40)) } as const;
  if (random() < 0.25) return [text];
  const calls = Array.from({ length: 1 + Math.floor(random() * 3) }, (): AssistantBlock => {
    const callId = newId();
    const draw = random();
    if (draw < 0.1) return { type: "toolCall", callId, name: "nothing", input: {} };
    if (draw < 0.2) return { type: "toolCall", callId, name: "pay", input: {}, malformed: "{" };
    return draw < 0.6
      ? { type: "toolCall", callId, name: "pay", input: { amount: 1 } }
      : { type: "toolCall", callId, name: "look", input: {} };
  });
  return random() < 0.5 ? [text, ...calls] : [...calls];
}

/** Some providers number the calls of each answer from zero, some make the id from the call, others never repeat one. */
function seedless(count: number): string {
  if (count % 3 === 0) return String(count % 2);
  return count % 3 === 1 ? "made_from_name_and_arguments" : `${count}_${"x".repeat(20)}`;
}

/** Mulberry32: small, and the same on every machine. */
function generator(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
