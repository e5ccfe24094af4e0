import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { defineTool, type Entry, openRuntime, type Runtime } from "../../src/index.ts";
import { noUsage } from "../../src/log/content.ts";
import type { Model, ModelAnswer, ModelEvent, ModelRequest } from "../../src/models/model.ts";
import { anthropic, collect, modelAt, never, openai } from "../provider-client.ts";
import { serveProvider } from "../provider-server.ts";

/**
 * One session of 60 turns: calls one by one and three at once, a person who steers, a result that is long enough for a
 * compaction on the way, a restart between two runs and one in the middle of a request. Nobody may rewrite what was sent
 * before, except that compaction.
 */
const TURNS = 60;
const SESSION = "session-of-60-turns";

let recorded: Recorded;
beforeAll(async () => {
  recorded = await record();
}, 60_000);

interface Recorded {
  readonly requests: readonly ModelRequest[];
  readonly log: readonly Entry[];
}

type Called = Extract<Entry, { type: "modelCalled" }>;

/** Each request with the entry that announced it, and whether the transcript was compacted right before it. */
function calls({ requests, log }: Recorded) {
  const called = log.filter((entry) => entry.type === "modelCalled") as Called[];
  expect(called).toHaveLength(requests.length);
  return requests.map((request, index) => {
    const { seq, prefix } = called[index] as Called;
    const since = called[index - 1]?.seq ?? 0;
    const isCompacted = log.some(
      (entry) =>
        (entry.type === "resultsCleared" || entry.type === "compacted") &&
        entry.seq > since &&
        entry.seq < seq,
    );
    return { request, prefix, isCompacted };
  });
}

describe("the session", () => {
  it("is what it is meant to be", () => {
    const { log, requests } = recorded;
    const count = (type: Entry["type"]) => log.filter((entry) => entry.type === type).length;
    expect(count("assistantMessage")).toBe(TURNS);
    // One request was lost with its process.
    expect(requests).toHaveLength(TURNS + 1);
    expect(count("runResumed")).toBe(1);
    expect(count("contextOpened")).toBe(1);
    expect(count("resultsCleared")).toBe(1);
    expect(log.some((entry, i) => entry.type === "userMessage" && isInsideRun(log, i))).toBe(true);
    expect(
      requests.some(({ messages }) => messages.some((m) => m.role === "tool" && m.results.length === 3)),
    );
  });
});

describe("each request begins with the one before it, up to the last compaction", () => {
  it("in our own bytes: tools, system prompt, messages", () => {
    for (const { before, after, isCompacted } of pairs(recorded, ({ request }) => request)) {
      expect(bytesOf(after).startsWith(bytesOf(before)), isCompacted ? "compacted" : "not").toBe(
        !isCompacted,
      );
      expect(headOf(after)).toBe(headOf(before));
    }
  });

  it.each([
    ["Anthropic", anthropic, "anthropic/text.sse"],
    ["OpenAI", openai, "openai/reasoning-and-tools.sse"],
  ])("on the wire to %s", async (_name, model, fixture) => {
    const bodies = await sent(recorded.requests, model, fixture);
    expect(bodies).toHaveLength(recorded.requests.length);
    for (const { before, after, isCompacted } of pairs(recorded, (_, index) => wireItems(bodies[index]))) {
      const isPrefix = before.every((item, i) => item === after[i]);
      expect(isPrefix, isCompacted ? "compacted" : "not").toBe(!isCompacted);
    }
  });
});

describe("what the log says of it", () => {
  it("is that nothing broke but at the compaction, also right after the restarts", () => {
    const all = calls(recorded);
    expect(
      all.filter(({ prefix }) => prefix?.broke !== undefined).map(({ prefix }) => prefix?.broke),
    ).toEqual(["compacted"]);
    expect(all.filter(({ isCompacted }) => isCompacted)).toHaveLength(1);
    for (const { isCompacted, prefix } of all) expect(prefix?.broke !== undefined).toBe(isCompacted);
  });

  it("is how much of each the one before it held: all of that, else up to what was replaced", () => {
    const all = calls(recorded);
    for (const [index, { prefix, isCompacted }] of all.entries()) {
      const before = all[index - 1]?.prefix?.tokens ?? 0;
      if (isCompacted) expect(prefix?.reusable).toBeLessThan(before);
      else expect(prefix?.reusable).toBe(before);
    }
  });
});

// ---- recording ----

async function record(): Promise<Recorded> {
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-prefix-"));
  afterAll(() => rm(dataDir, { recursive: true, force: true }));
  const play = createPlay();
  await using runtimes = new AsyncDisposableStack();
  const open = async () => runtimes.use(await openRuntime(optionsFor(dataDir, play)));

  let runtime = await open();
  const ask = async (text: string) => {
    const session = await runtime.session({ id: SESSION });
    await (await session.send(text)).result();
  };
  play.runtime = runtime;
  await ask("First part.");
  await ask("Second part.");

  await runtime[Symbol.asyncDispose]();
  runtime = play.runtime = await open();
  await ask("Third part.");

  // The process goes while the model is answering; the next one takes the run up.
  play.hangAt = play.requests.length + 3;
  const session = await runtime.session({ id: SESSION });
  await session.send("Fourth part.");
  await play.hanging;
  await runtime[Symbol.asyncDispose]();
  runtime = play.runtime = await open();
  await runtime.idle();
  await ask("Fifth part.");
  await ask("Sixth part.");
  return { requests: play.requests, log: await runtime.sessions.entries(SESSION) };
}

interface Play {
  readonly requests: ModelRequest[];
  readonly hanging: Promise<void>;
  readonly hung: () => void;
  hangAt: number;
  runtime: Runtime | undefined;
}

function createPlay(): Play {
  const { promise: hanging, resolve: hung } = Promise.withResolvers<void>();
  return { requests: [], hanging, hung, hangAt: Number.POSITIVE_INFINITY, runtime: undefined };
}

function optionsFor(dataDir: string, play: Play) {
  return {
    dataDir,
    graceMs: 10,
    notify: () => {},
    models: () => modelOf(play),
    agents: [
      {
        name: "tester",
        systemPrompt: "You are tested.",
        model: { id: "scripted/tester", contextWindow: 100_000 },
        sandbox: { isolation: "none" as const },
        tools: [lookTool, nudgedTool(play)],
      },
    ],
  };
}

/** Answers are made from the number of answers so far, as the request shows it, so that any process can go on. */
function modelOf(play: Play): Model {
  return {
    id: "scripted/tester",
    async *stream(request, signal): AsyncGenerator<ModelEvent, void> {
      play.requests.push(request);
      if (play.requests.length === play.hangAt) {
        play.hung();
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        yield { type: "failed", failure: { kind: "unknown", message: "aborted" } };
        return;
      }
      yield { type: "finished", answer: answerTo(request) };
    },
  };
}

function answerTo({ messages }: ModelRequest): ModelAnswer {
  const turn = messages.filter(({ role }) => role === "assistant").length;
  const call = (name: string, n = 0) =>
    ({ type: "toolCall", callId: `call_${turn}_${n}`, name, input: { turn, n } }) as const;
  const says = { type: "text", text: `Turn ${turn}.` } as const;
  const blocks =
    turn % 10 === 9
      ? [says]
      : turn % 10 === 4
        ? [says, call("look", 0), call("look", 1), call("look", 2)]
        : [says, call(turn % 10 === 6 ? "nudged" : "look")];
  return { blocks, stopReason: blocks.length === 1 ? "endTurn" : "toolCalls", usage: noUsage };
}

const input = z.object({ turn: z.number(), n: z.number() });

const lookTool = defineTool({
  name: "look",
  description: "Looks at something long.",
  input,
  effect: "readonly",
  run: ({ turn, n }) => `What is seen in turn ${turn}, at ${n}:\n${`a line of turn ${turn}\n`.repeat(250)}`,
});

/** While it runs, somebody says something, and it is in the log before the call ends. */
function nudgedTool(play: Play) {
  return defineTool({
    name: "nudged",
    description: "Takes a while.",
    input,
    effect: "readonly",
    async run({ turn }, { signal }) {
      const { sessions } = play.runtime as Runtime;
      const { headSeq } = await sessions.get(SESSION);
      const text = `By the way, in turn ${turn}.`;
      await sessions.send(SESSION, { blocks: [{ type: "text", text }] });
      for await (const event of sessions.watch(SESSION, { after: headSeq, signal })) {
        if (event.type === "entry" && event.entry.type === "userMessage") break;
      }
      return "nudged";
    },
  });
}

function isInsideRun(log: readonly Entry[], index: number): boolean {
  const last = log.slice(0, index).findLast(({ type }) => /^run|^toolStarted$/.test(type));
  return last?.type === "toolStarted";
}

// ---- comparing ----

function pairs<T>(of: Recorded, part: (call: ReturnType<typeof calls>[number], index: number) => T) {
  const all = calls(of);
  const parts = all.map(part);
  return all.slice(1).map(({ isCompacted }, index) => ({
    before: parts[index] as T,
    after: parts[index + 1] as T,
    isCompacted,
  }));
}

function headOf({ tools, system }: ModelRequest): string {
  return JSON.stringify(tools) + JSON.stringify(system);
}

function bytesOf(request: ModelRequest): string {
  return headOf(request) + request.messages.map((message) => JSON.stringify(message)).join("");
}

/** The bodies that a provider receives. The recorded requests are sent for that: the mapping is a pure function of them. */
async function sent(
  requests: readonly ModelRequest[],
  id: string,
  fixture: string,
): Promise<readonly Record<string, unknown>[]> {
  await using server = await serveProvider({ fixture });
  const model = modelAt(server, id);
  for (const request of requests) await collect(model.stream(request, never));
  return server.requests.map(({ body }) => body);
}

/**
 * What a provider reads, in the order in which it does, piece by piece: tools, system prompt, then each block of each message.
 * Marks of where to cache are left out: they move on with each request, and are no part of what is compared. So are the
 * borders of messages: a message that follows another one of the same role is written into it.
 */
function wireItems(body: Record<string, unknown> | undefined): readonly string[] {
  const { tools, system, messages, input: items } = body as Record<string, Wire[]>;
  const blocks = (messages ?? items ?? []).flatMap((message): readonly unknown[] => {
    const { role, content } = message;
    return Array.isArray(content) ? content.map((block: unknown) => ({ role, block })) : [message];
  });
  return [...(tools ?? []), system, ...blocks].map((item) => JSON.stringify(item, withoutMarks) ?? "");
}

type Wire = { readonly role?: unknown; readonly content?: unknown };

function withoutMarks(key: string, value: unknown): unknown {
  return key === "cache_control" ? undefined : value;
}
