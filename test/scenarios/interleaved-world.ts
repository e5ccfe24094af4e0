import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import {
  type AgentDefinition,
  defineTool,
  openRuntime,
  openSqliteStore,
  type Runtime,
  type Store,
} from "../../src/index.ts";
import type { AssistantBlock } from "../../src/log/content.ts";
import type { Model, ModelEvent, ModelRequest } from "../../src/models/model.ts";

/** What the interleavings test gives the runtime: a model and tools that do as they like, and terms on which people are asked. */

export type Random = () => number;

export interface World {
  readonly model: Model;
  readonly requests: ModelRequest[];
  /** What the tools that must not be repeated have done. */
  readonly effects: Effect[];
  readonly random: Random;
  readonly terms: Pick<AgentDefinition, "permissions" | "approvals">;
  /** What people were told that is wrong. */
  readonly notices: string[];
  /** How often a process has taken the session up. */
  claims: number;
}

export interface Effect {
  readonly callId: string;
  readonly operationId: string;
  readonly amount: number;
}

/** Over the same directory again and again, as processes come and go. */
export interface Home extends AsyncDisposable {
  readonly runtime: Runtime;
  readonly store: Store;
}

export async function openHome(dataDir: string, world: World): Promise<Home> {
  const opened = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
  const store: Store = {
    ...opened,
    claim(sessionId) {
      world.claims += 1;
      return opened.claim(sessionId);
    },
  };
  const runtime = await openRuntime({
    dataDir,
    store,
    agents: [agentOf(world)],
    models: () => world.model,
    notify: (notice) => world.notices.push(notice),
    graceMs: 0,
  });
  return {
    runtime,
    store,
    async [Symbol.asyncDispose]() {
      await runtime[Symbol.asyncDispose]();
      await opened[Symbol.asyncDispose]();
    },
  };
}

function agentOf({ effects, random, terms }: World): AgentDefinition {
  const input = z.object({ amount: z.number() });
  const pay = defineTool({
    name: "pay",
    description: "Pays.",
    input,
    run: async ({ amount }, { callId, operationId }) => {
      effects.push({ callId, operationId, amount });
      await sleep(random() * 15);
      return random() < 0.2 ? { content: "declined", isError: true } : "paid";
    },
  });
  const lend = defineTool({
    name: "lend",
    description: "Asks to whom, then lends.",
    input,
    parallel: true,
    run: async ({ amount }, { callId, operationId, ask }) => {
      const answer = await ask({ message: "To whom?" });
      if (answer.type !== "answered") return { content: "to nobody", isError: true };
      effects.push({ callId, operationId, amount });
      await sleep(random() * 15);
      return "lent";
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
  return {
    name: "tester",
    systemPrompt: "You are tested.",
    model: {
      id: "scripted/tester",
      fallback: ["scripted/other"],
      prices: { input: 1, output: 1 },
      contextWindow: 5_000,
      maxOutputTokens: 200,
    },
    tools: [pay, lend, look],
    limits: { costUsd: 0.012, turns: 20 },
    ...terms,
  };
}

export function createWorld(random: Random, terms: World["terms"]): World {
  const requests: ModelRequest[] = [];
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
      const input = Math.ceil(JSON.stringify(request.messages).length / 4);
      const usage = { input, cacheRead: 0, cacheWrite: 0, output: 50, reasoning: 0 };
      yield { type: "finished", answer: { blocks, stopReason, usage } };
    } catch {
      yield { type: "failed", failure: { kind: "unknown", message: "the request was aborted" } };
    }
  }
  return {
    model: { id: "scripted/tester", stream },
    requests,
    effects: [],
    random,
    terms,
    notices: [],
    claims: 0,
  };
}

export function isCall(block: AssistantBlock): block is Extract<AssistantBlock, { type: "toolCall" }> {
  return block.type === "toolCall";
}

function failureOf(random: Random) {
  const kinds = ["network", "contextOverflow", "contextOverflow", "quota", "quota", "badRequest"] as const;
  return { kind: pick(kinds, random), message: "the model says no" } as const;
}

function answerOf(random: Random, newId: () => string): readonly AssistantBlock[] {
  const text = { type: "text", text: "word ".repeat(1 + Math.floor(random() * 40)) } as const;
  if (random() < 0.25) return [text];
  const calls = Array.from({ length: 1 + Math.floor(random() * 3) }, (): AssistantBlock => {
    const callId = newId();
    const draw = random();
    if (draw < 0.1) return { type: "toolCall", callId, name: "nothing", input: {} };
    if (draw < 0.2) return { type: "toolCall", callId, name: "pay", input: {}, malformed: "{" };
    if (draw < 0.3) return { type: "toolCall", callId, name: "lend", input: { amount: 1 } };
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

export function pick<T>(among: readonly [T, ...T[]], random: Random): T {
  return among[Math.floor(random() * among.length)] ?? among[0];
}

/** Mulberry32: small, and the same on every machine. */
export function generator(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
