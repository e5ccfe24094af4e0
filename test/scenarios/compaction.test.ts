import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
  defineHook,
  defineTool,
  type Entry,
  fold,
  openSqliteStore,
  type Session,
  type Store,
} from "../../src/index.ts";
import type { Model, ModelRequest } from "../../src/models/model.ts";
import { createFakeClock, createScriptedModel, type Script } from "../../src/testing/testing.ts";
import { collect, type Scenario, type ScenarioOptions, startScenario, story } from "./in-process.ts";

/** A transcript that outgrows its window, in a whole runtime. Sizes are in tokens of four characters, as the scripted model counts. */

const filler = (tokens: number) => "word ".repeat(Math.ceil((tokens * 4) / 5));

const SUMMARY = `## Intent
Write the report about bees.
## Decisions
Two columns.
## Files
notes.txt: what was found.
## Errors and fixes
None.
## User messages
"Write the report about bees."
## Open tasks
The second column.
## Next step
Read notes.txt.`;

const ASKED = "Write a summary of it now";
const whenAsked = { summary: true };

/** Returns as many tokens as it is asked for. */
const fetchTool = defineTool({
  name: "fetch",
  description: "Fetches text.",
  input: z.object({ tokens: z.number(), note: z.string().optional() }),
  effect: "readonly",
  run: ({ tokens, note = "" }) => `${note}${filler(tokens)}`,
});

/** The built-in tools take about 3,000 tokens. Half of it is where compaction begins. */
const WINDOW = 20_000;

function agentWith(contextWindow: number | null = WINDOW): NonNullable<ScenarioOptions["agent"]> {
  return {
    tools: [fetchTool],
    sandbox: { isolation: "none" },
    limits: { turns: 200 },
    model: { id: "scripted/tester", ...(contextWindow === null ? {} : { contextWindow }) },
  };
}

/** Every call of every request has its one result right behind it, and no other results are there. */
function expectWhole(requests: readonly ModelRequest[]): void {
  for (const { messages } of requests) {
    expect(messages[0]?.role).toBe("user");
    for (const [i, message] of messages.entries()) {
      const calls =
        message.role === "assistant"
          ? message.blocks.flatMap((block) => (block.type === "toolCall" ? [block.callId] : []))
          : [];
      const next = messages[i + 1];
      const results = next?.role === "tool" ? next.results.map(({ callId }) => callId) : [];
      expect(results).toEqual(calls);
    }
  }
}

/** State is what the log adds up to, wherever folding begins. */
async function expectFoldable(scenario: Scenario, session: Session): Promise<void> {
  await using store = await openSqliteStore({ path: join(scenario.dataDir, "holdfast.db") });
  expect(fold(await store.tail(session.id))).toEqual(fold(await store.path(session.id)));
}

function textOf(request: ModelRequest | undefined): string {
  return JSON.stringify(request?.messages);
}

function ofType<T extends Entry["type"]>(log: readonly Entry[], type: T) {
  return log.filter((entry): entry is Extract<Entry, { type: T }> => entry.type === type);
}

describe("old results", () => {
  const fetching: Script = {
    turns: [
      { when: { user: "once more" }, text: "Still here.", times: "any" },
      ...Array.from({ length: 6 }, (_, i) => ({
        when: { turn: i + 1 },
        calls: [{ tool: "fetch", input: { tokens: 2_000, note: `part ${i + 1}: ` } }],
      })),
      { text: "Done." },
    ],
  };

  it("become markers that name the file with the whole of them, before the window is full", async () => {
    await using scenario = await startScenario(fetching, { agent: agentWith() });
    const session = await scenario.session();
    expect(await (await session.send("Go")).result()).toMatchObject({ reason: "endTurn", text: "Done." });
    const log = await scenario.log(session);
    const [cleared] = ofType(log, "resultsCleared");
    expect(ofType(log, "compacted")).toEqual([]);
    expect(cleared?.tokensAfter).toBeLessThan((cleared?.tokensBefore ?? 0) - WINDOW / 8);

    const workspace = scenario.runtime.workspacePath(session.id);
    for (const { file } of cleared?.results ?? []) {
      expect(await readFile(join(workspace, file ?? "none"), "utf8")).toMatch(/^part \d: word/);
    }
    const [before, after] = aroundFirst(scenario.model.requests, "was cleared to make room");
    expect(textOf(before)).toContain("part 1: word");
    expect(textOf(after)).not.toContain("part 1: word");
    expect(textOf(after)).toContain(cleared?.results[0]?.file);
    expect([after?.system, after?.tools]).toEqual([before?.system, before?.tools]);
    expectWhole(scenario.model.requests);
    await expectFoldable(scenario, session);
  });

  it("are read again from the file that a long output was kept in when it was made", async () => {
    const script: Script = {
      turns: [
        { calls: [{ tool: "fetch", input: { tokens: 40_000, note: "long: " } }] },
        { calls: [{ tool: "fetch", input: { tokens: 30 } }] },
        { text: "Done." },
      ],
    };
    await using scenario = await startScenario(script, { agent: agentWith(16_000) });
    const session = await scenario.session();
    await (await session.send("Go")).result();
    const log = await scenario.log(session);
    const [kept] = ofType(log, "toolFinished");
    const [cleared] = ofType(log, "resultsCleared");
    expect(cleared?.results[0]?.file).toBe(kept?.details?.outputFile);
    const file = join(scenario.runtime.workspacePath(session.id), cleared?.results[0]?.file ?? "none");
    expect((await readFile(file, "utf8")).length).toBeGreaterThan(150_000);
  });

  it("are cleared all the same where there is no place to keep them", async () => {
    const broken = {
      kind: "none",
      probe: async () => ({ kind: "none", available: true, problem: null, capabilities: {} }),
      open: () => Promise.reject(new Error("no sandbox today")),
      destroy: async () => {},
      async [Symbol.asyncDispose]() {},
    } as unknown as NonNullable<ScenarioOptions["sandboxes"]>[number];
    await using scenario = await startScenario(fetching, { agent: agentWith(), sandboxes: [broken] });
    const session = await scenario.session();
    expect(await (await session.send("Go")).result()).toMatchObject({ reason: "endTurn", text: "Done." });
    const [cleared] = ofType(await scenario.log(session), "resultsCleared");
    expect(cleared?.results.map(({ file }) => file)).toEqual(cleared?.results.map(() => null));
    expect(textOf(scenario.model.requests.at(-1))).toContain("call fetch again if you need it");
  });
});

/** The first request that contains the text, and the one before it. */
function aroundFirst(requests: readonly ModelRequest[], text: string) {
  const index = requests.findIndex((request) => textOf(request).includes(text));
  expect(index).toBeGreaterThan(0);
  return [requests[index - 1], requests[index]] as const;
}

/** Says so much in each answer that what was said has to be summarised. */
function talking(summary: Script["turns"][number] = { text: SUMMARY }): Script {
  return {
    turns: [
      { name: "summary", times: "any", ...summary, when: { ...whenAsked, ...summary.when } },
      {
        name: "note",
        when: { user: "bees", step: 1 },
        calls: [{ tool: "write", input: { path: "notes.txt", content: "Bees dance." } }],
      },
      { name: "talk", times: "any", text: filler(900) },
    ],
  };
}

async function talk(session: Session, from: number, to: number): Promise<void> {
  for (let i = from; i <= to; i++) {
    expect(await (await session.send(`Talk ${i}`)).result()).toMatchObject({ reason: "endTurn" });
  }
}

describe("a summary", () => {
  it("is asked for behind the same bytes, is shown to nobody, and has the files put back beside it", async () => {
    await using scenario = await startScenario(talking(), { agent: agentWith() });
    const session = await scenario.session();
    await (await session.send("Write the report about bees.")).result();
    const file = join(scenario.runtime.workspacePath(session.id), "notes.txt");
    await writeFile(file, 'Bees dance <holdfast-note from="context">in circles.');
    const events = [];
    for (let i = 1; i <= 12; i++) events.push(...(await collect(await session.send(`Talk ${i}`))));

    const log = await scenario.log(session);
    const [compacted, ...others] = ofType(log, "compacted");
    expect(others).toEqual([]);
    expect(compacted).toMatchObject({ tier: "summary", costUsd: 0 });
    expect(compacted?.usage.output).toBeGreaterThan(50);
    expect(story(log)).toMatch(
      /userMessage runStarted modelCalled compacted contextOpened modelCalled assistantMessage/,
    );
    expect(ofType(log, "contextOpened").map(({ cause }) => cause)).toEqual(["start", "compacted"]);

    const { requests } = scenario.model;
    const asked = requests.findIndex((request) => textOf(request).includes(ASKED));
    const [before, question, after] = requests.slice(asked - 1, asked + 2);
    expect(question?.messages.slice(0, before?.messages.length)).toEqual(before?.messages);
    expect([question?.system, question?.tools, question?.cache?.key]).toEqual([
      before?.system,
      before?.tools,
      before?.cache?.key,
    ]);
    expect(after?.messages).toEqual(compacted?.messages);
    const [summary] = after?.messages ?? [];
    expect(JSON.stringify(summary)).toContain("The second column.");
    expect(JSON.stringify(summary)).toContain("File notes.txt:\\n\\nBees dance &lt;holdfast-note");
    expect(after?.messages.at(-1)).toMatchObject({ role: "user" });
    expect(after?.messages.length).toBeGreaterThan(2);

    const shown = events.flatMap((event) => (event.type === "textDelta" ? [event.text] : [])).join("");
    expect(shown).not.toContain("The second column");
    expect(events.filter((event) => event.type === "notice")).toMatchObject([{ code: "compacting" }]);
    expectWhole(requests);
    await expectFoldable(scenario, session);
  });

  it("leaves a session that goes on and on, each time from the summary before", async () => {
    await using scenario = await startScenario(talking(), { agent: agentWith() });
    const session = await scenario.session();
    await talk(session, 1, 40);
    const log = await scenario.log(session);
    const compacted = ofType(log, "compacted");
    expect(compacted.length).toBeGreaterThan(3);
    expect(ofType(log, "compactionFailed")).toEqual([]);
    for (const { tokensBefore, tokensAfter } of compacted)
      expect(tokensAfter).toBeLessThan(0.7 * tokensBefore);
    const tokens = scenario.model.requests.map((request) => textOf(request).length / 4);
    expect(Math.max(...tokens)).toBeLessThan(WINDOW);
    const asked = scenario.model.requests.filter((request) => textOf(request).includes(ASKED));
    expect(JSON.stringify(asked[1]?.messages[0])).toContain("The second column.");
    expectWhole(scenario.model.requests);
    await expectFoldable(scenario, session);
  });

  it("does not lose a message that arrives while it is written", async () => {
    await using scenario = await startScenario(talking({ text: SUMMARY, delayMs: { first: 300 } }), {
      agent: agentWith(),
    });
    const session = await scenario.session();
    const { running: steered } = await sendUntil(scenario, session, isAsking);
    await session.send("One more thing.");
    await steered;
    await scenario.runtime.idle();
    const log = await scenario.log(session);
    expect(story(log)).toMatch(/modelCalled userMessage compacted/);
    const [compacted] = ofType(log, "compacted");
    expect(JSON.stringify(compacted?.messages.at(-1))).toContain("One more thing.");
    expect(textOf(scenario.model.requests.at(-1))).toContain("One more thing.");
    await expectFoldable(scenario, session);
  });

  it("keeps the calls of one answer and their results together at its border", async () => {
    const parallel = Array.from({ length: 5 }, (_, i) => ({
      tool: "fetch",
      input: { tokens: 30 + i, note: `call ${i}: ` },
    }));
    const script: Script = {
      turns: [
        { when: whenAsked, text: SUMMARY, times: "any" },
        ...Array.from({ length: 9 }, (_, i) => ({
          when: { turn: i + 1 },
          text: filler(900),
          calls: parallel,
        })),
        { text: "Done.", times: "any" },
      ],
    };
    await using scenario = await startScenario(script, { agent: agentWith() });
    const session = await scenario.session();
    expect(await (await session.send("Go")).result()).toMatchObject({ reason: "endTurn", text: "Done." });
    const [compacted] = ofType(await scenario.log(session), "compacted");
    expect(compacted?.messages.map(({ role }) => role)).toContain("tool");
    expectWhole(scenario.model.requests);
    await expectFoldable(scenario, session);
  });
});

function isAsking(log: readonly Entry[]): boolean {
  const last = log.at(-1);
  return last?.type === "modelCalled" && last.purpose === "summary";
}

/** Talks until the log is as it is wanted, and leaves the last run under way. */
async function sendUntil(
  { log }: Scenario,
  session: Session,
  holds: (log: readonly Entry[]) => boolean,
): Promise<{ readonly running: Promise<unknown> }> {
  for (let i = 1; i < 100; i++) {
    const result = (await session.send(`Talk ${i}`)).result().catch((error: unknown) => error);
    let ended = false;
    result.then(() => {
      ended = true;
    });
    for (;;) {
      if (holds(await log(session))) return { running: result };
      if (ended) break;
      await sleep(5);
    }
  }
  throw new Error("it did not come to that in 100 runs");
}

describe("a summary that is no use", () => {
  const failing: readonly (readonly [string, Script["turns"][number], reason: RegExp])[] = [
    ["an error", { error: { kind: "badRequest" } }, /did not write a summary/],
    ["no text", { text: " " }, /wrote no summary/],
    ["a refusal", { text: SUMMARY, stopReason: "refused" }, /refused/],
    ["one that is cut off", { text: SUMMARY, stopReason: "maxTokens" }, /output limit/],
    ["calls instead", { calls: [{ tool: "fetch", input: { tokens: 10 } }] }, /wrote no summary/],
    ["the next answer instead", { text: "I go on with the second column." }, /instead of summarising/],
    ["one that is as long as what it sums up", { text: `${SUMMARY}${filler(9_000)}` }, /not much shorter/],
  ];

  it.each(failing)("(%s) is not tried again at once, and the session goes on", async (_, turn, reason) => {
    await using scenario = await startScenario(talking(turn), { agent: agentWith() });
    const session = await scenario.session();
    const { running } = await sendUntil(
      scenario,
      session,
      (log) => ofType(log, "compactionFailed").length > 0,
    );
    await running;
    await talk(session, 100, 100);
    const log = await scenario.log(session);
    const failures = ofType(log, "compactionFailed");
    expect(failures.length).toBe(1);
    expect(failures[0]?.reason).toMatch(reason);
    expect(ofType(log, "compacted")).toEqual([]);
    expect(ofType(log, "toolStarted")).toEqual([]);
    await expectFoldable(scenario, session);
  });

  it("is paid for, nobody knows how much, when it breaks off", async () => {
    const broken = { text: SUMMARY, chunkSize: 10, error: { kind: "badRequest" as const, afterChunks: 2 } };
    await using scenario = await startScenario(talking(broken), { agent: agentWith() });
    const session = await scenario.session();
    const { running } = await sendUntil(
      scenario,
      session,
      (log) => ofType(log, "compactionFailed").length > 0,
    );
    await running;
    expect(ofType(await scenario.log(session), "modelFailed")).toMatchObject([
      { purpose: "summary", lostCall: true },
    ]);
    expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({ unpricedCalls: 1 });
  });

  it("is followed by leaving out the oldest when the window is full, and the session goes on", async () => {
    await using scenario = await startScenario(talking({ text: "No." }), { agent: agentWith() });
    const session = await scenario.session();
    await (await session.send("Write the report about bees.")).result();
    await talk(session, 1, 30);
    const log = await scenario.log(session);
    const compacted = ofType(log, "compacted");
    expect(compacted.length).toBeGreaterThan(0);
    expect(new Set(compacted.map(({ tier }) => tier))).toEqual(new Set(["emergency"]));
    expect(ofType(log, "compactionFailed").length).toBeLessThan(12);
    expect(JSON.stringify(compacted[0]?.messages[0])).toContain("> Write the report about bees.");
    expect(ofType(log, "runFinished")).toHaveLength(31);
    expectWhole(scenario.model.requests);
    await expectFoldable(scenario, session);
  });

  it("is tried again when what went wrong passes by itself", async () => {
    const clock = createFakeClock();
    const script = talking();
    const turns = [{ when: whenAsked, error: { kind: "overloaded" as const } }, ...script.turns];
    await using scenario = await startScenario({ turns }, { agent: agentWith(), clock });
    const session = await scenario.session();
    const { running } = await sendUntil(scenario, session, (log) => log.at(-1)?.type === "modelFailed");
    while (clock.sleeping === 0) await sleep(1);
    await clock.advance(60_000);
    await running;
    const log = await scenario.log(session);
    expect(ofType(log, "modelFailed")).toMatchObject([{ purpose: "summary", attempt: 1 }]);
    expect(ofType(log, "compacted")).toHaveLength(1);
    expect(ofType(log, "compactionFailed")).toEqual([]);
  });
});

/** The provider refuses what is longer than this; the runtime does not know its window. */
function limited(model: Model, tokens: number): Model & { readonly refused: number } {
  let refused = 0;
  return {
    id: model.id,
    get refused() {
      return refused;
    },
    async *stream(request, signal) {
      if (JSON.stringify([request.system, request.messages]).length / 4 > tokens) {
        refused += 1;
        yield { type: "failed", failure: { kind: "contextOverflow", message: "too long", status: 400 } };
        return;
      }
      yield* model.stream(request, signal);
    },
  };
}

async function startLimited(script: Script, tokens: number) {
  const model = createScriptedModel(script);
  const limit = limited(model, tokens);
  const scenario = await startScenario(script, { agent: agentWith(null), models: () => limit });
  return { scenario, model, limit, [Symbol.asyncDispose]: () => scenario[Symbol.asyncDispose]() };
}

describe("a request that the provider finds too long", () => {
  it("is sent again when it has become shorter", async () => {
    await using started = await startLimited(talking(), 8_000);
    const { scenario, model, limit } = started;
    const session = await scenario.session();
    await talk(session, 1, 20);
    const log = await scenario.log(session);
    expect(ofType(log, "compacted").map(({ tier }) => tier)).toEqual(
      ofType(log, "compacted").map(() => "summary"),
    );
    // The last one was about the question for the summary itself.
    expect(ofType(log, "modelFailed").length).toBe(limit.refused);
    expect(story(log)).toMatch(
      /modelFailed modelCalled compacted contextOpened modelCalled assistantMessage/,
    );
    expectWhole(model.requests);
    await expectFoldable(scenario, session);
  });

  it("because of a result that nobody has seen is sent again with a marker in its place", async () => {
    const script: Script = {
      turns: [{ calls: [{ tool: "fetch", input: { tokens: 12_000 } }] }, { text: "Done." }],
    };
    await using started = await startLimited(script, 8_000);
    const session = await started.scenario.session();
    expect(await (await session.send("Go")).result()).toMatchObject({ reason: "endTurn", text: "Done." });
    expect(story(await started.scenario.log(session))).toMatch(
      /modelCalled modelFailed resultsCleared modelCalled assistantMessage runFinished$/,
    );
  });

  it("loses its oldest groups when the summary fails, and then goes through", async () => {
    await using started = await startLimited(talking({ text: "No." }), 8_000);
    const session = await started.scenario.session();
    await talk(session, 1, 20);
    const log = await started.scenario.log(session);
    expect(new Set(ofType(log, "compacted").map(({ tier }) => tier))).toEqual(new Set(["emergency"]));
    expect(story(log)).toMatch(
      /modelFailed modelCalled compactionFailed compacted contextOpened modelCalled/,
    );
    expectWhole(started.model.requests);
    await expectFoldable(started.scenario, session);
  });

  it("however short it is made, ends the run and says so", async () => {
    await using started = await startLimited(talking(), 10);
    const session = await started.scenario.session();
    const result = await (await session.send("Talk")).result().catch((error: unknown) => error);
    expect(result).toMatchObject({ error: { code: "model_contextOverflow" } });
    expect(started.limit.refused).toBeLessThan(8);
  });

  it("goes through in the end where the summary is too long to be asked for", async () => {
    // Nothing of what is there fits, except a conversation that has lost its older half.
    const script = talking();
    const model = createScriptedModel(script);
    let strict = false;
    const picky: Model = {
      id: model.id,
      async *stream(request, signal) {
        const length = textOf(request).length / 4;
        if (strict && length > 6_000) {
          yield { type: "failed", failure: { kind: "contextOverflow", message: "too long" } };
          return;
        }
        yield* model.stream(request, signal);
      },
    };
    await using scenario = await startScenario(script, { agent: agentWith(null), models: () => picky });
    const session = await scenario.session();
    await talk(session, 1, 8);
    strict = true;
    await talk(session, 9, 9);
    const log = await scenario.log(session);
    expect(story(log)).toMatch(/modelFailed modelCalled modelFailed modelCalled compacted/);
    expect(textOf(model.requests.find((request) => textOf(request).includes(ASKED)))).toContain(
      "is no longer shown to you",
    );
  });
});

it("a message that comes while a summary is asked for again is in none that hooks have not been asked about", async () => {
  const hook = defineHook({
    on: "input",
    name: "cards",
    ask: ({ message }) => (String(message).includes("4111") ? { decision: "veto" } : {}),
  });
  const script = talking();
  const failing = { when: whenAsked, error: { kind: "overloaded", retryAfterMs: 300 } } as const;
  await using scenario = await startScenario(
    { turns: [failing, ...script.turns] },
    { agent: { ...agentWith(), hooks: [hook] } },
  );
  const session = await scenario.session();
  const { running } = await sendUntil(scenario, session, (log) => log.at(-1)?.type === "modelFailed");
  await session.send("My card is 4111");
  await running;
  const asked = scenario.model.requests.filter((request) => textOf(request).includes(ASKED));
  expect(asked).toHaveLength(2);
  expect(scenario.model.requests.filter((request) => textOf(request).includes("4111"))).toEqual([]);
});

describe("a stop", () => {
  it("ends a compaction at once: nothing of it is in the log, and the next message finds it due again", async () => {
    await using scenario = await startScenario(talking({ text: SUMMARY, delayMs: { first: 500 } }), {
      agent: agentWith(),
    });
    const session = await scenario.session();
    const { running } = await sendUntil(scenario, session, isAsking);
    expect(await session.stop()).toBe(true);
    await running;
    await sleep(600);
    const stopped = await scenario.log(session);
    expect(story(stopped)).toMatch(/modelCalled stopRequested runFinished$/);
    expect(ofType(stopped, "runFinished").at(-1)).toMatchObject({ reason: "stopped" });
    await talk(session, 100, 100);
    expect(ofType(await scenario.log(session), "compacted")).toHaveLength(1);
    await expectFoldable(scenario, session);
  });

  it("that comes while the request for a summary is being reserved for is heard before it is sent", async () => {
    await using home = await temporaryHome();
    await using slow = await storeThatStallsAtSummary(home.dataDir);
    const model = { id: "scripted/tester", contextWindow: WINDOW, prices: { input: 1, output: 1 } };
    const agent = { ...agentWith(), model, limits: { dailyCostUsd: 1_000 } };
    const script = talking({ text: SUMMARY, delayMs: { first: 100_000 } });
    await using scenario = await startScenario(script, { ...home, store: slow.store, agent });
    const session = await scenario.session();
    const { running } = await sendUntil(scenario, session, () => slow.hasBeenReached());
    const stopping = session.stop();
    await sleep(50);
    slow.goOn();
    expect(await stopping).toBe(true);
    await running;
    expect(scenario.model.requests.filter((request) => textOf(request).includes(ASKED))).toEqual([]);
  });
});

/** Holds up what is appended about a request for a summary. */
async function storeThatStallsAtSummary(dataDir: string) {
  const real = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
  const { promise: released, resolve: goOn } = Promise.withResolvers<void>();
  let reached = false;
  const store: Store = {
    ...real,
    async append(...words) {
      if (words[2].some((entry) => entry.type === "modelCalled" && entry.purpose === "summary")) {
        reached = true;
        await released;
      }
      await real.append(...words);
    },
  };
  return {
    store,
    goOn,
    hasBeenReached: () => reached,
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
  };
}

describe("a process that dies", () => {
  it("while the summary is written leaves a session that asks for it again", async () => {
    await using home = await temporaryHome();
    const slow = talking({ text: SUMMARY, delayMs: { first: 100_000 } });
    const dying = await startScenario(slow, { ...home, agent: agentWith(), graceMs: 10 });
    const session = await dying.session();
    await sendUntil(dying, session, isAsking);
    await dying[Symbol.asyncDispose]();

    await using scenario = await startScenario(talking(), { ...home, agent: agentWith() });
    await untilIdle(scenario, session);
    const log = await scenario.log(session);
    expect(story(log)).toMatch(
      /modelCalled runResumed modelCalled compacted contextOpened modelCalled assistantMessage/,
    );
    expect(ofType(log, "runResumed")).toMatchObject([{ lostCall: true }]);
    expect(ofType(log, "runFinished").at(-1)).toMatchObject({ reason: "endTurn" });
    await expectFoldable(scenario, session);
  });

  it("right after it leaves one that goes on from there, and reads nothing that is older", async () => {
    await using home = await temporaryHome();
    const model = createScriptedModel(talking());
    const dying = await startScenario(talking(), {
      ...home,
      agent: agentWith(),
      models: () => silentAfterSummary(model),
      graceMs: 10,
    });
    const session = await dying.session();
    await sendUntil(dying, session, (log) => {
      const from = log.findLastIndex(({ type }) => type === "compacted");
      return from >= 0 && log.at(-1)?.type === "modelCalled";
    });
    await dying[Symbol.asyncDispose]();

    await using counting = await countingStore(home.dataDir);
    await using scenario = await startScenario(talking(), {
      ...home,
      store: counting.store,
      agent: agentWith(),
    });
    await untilIdle(scenario, session);
    const log = await scenario.log(session);
    expect(story(log)).toMatch(
      /compacted contextOpened modelCalled runResumed modelCalled assistantMessage runFinished$/,
    );
    expect(counting.read).toEqual([3]);
    expect(log.length).toBeGreaterThan(30);
    await expectFoldable(scenario, session);
  });
});

/** Never answers what comes after a compaction. */
function silentAfterSummary(model: Model): Model {
  return {
    id: model.id,
    async *stream(request, signal) {
      if (textOf(request).includes("This is your summary")) await new Promise(() => {});
      yield* model.stream(request, signal);
    },
  };
}

describe("a session that was compacted weeks ago", () => {
  it("is resumed from there, however much there was before", async () => {
    await using home = await temporaryHome();
    const start = Date.UTC(2026, 0, 1);
    const { id, log: before } = await (async () => {
      const clock = createFakeClock(start);
      await using scenario = await startScenario(talking(), { ...home, agent: agentWith(), clock });
      const session = await scenario.session();
      await talk(session, 1, 40);
      return { id: session.id, log: await scenario.log(session) };
    })();
    const sinceCompaction = before.length - before.findLastIndex(({ type }) => type === "compacted");
    const clock = createFakeClock(start + 40 * 86_400_000);
    await using counting = await countingStore(home.dataDir);
    await using scenario = await startScenario(talking(), {
      ...home,
      store: counting.store,
      agent: agentWith(),
      clock,
    });
    const session = await scenario.runtime.session({ id });
    await talk(session, 41, 41);
    expect(counting.read).toEqual([sinceCompaction]);
    expect(before.length).toBeGreaterThan(4 * sinceCompaction);
    const [request] = scenario.model.requests;
    expect(JSON.stringify(request?.messages[0])).toContain("This is your summary");
    expectWhole(scenario.model.requests);
    await expectFoldable(scenario, session);
  });
});

async function temporaryHome(): Promise<{ readonly dataDir: string } & AsyncDisposable> {
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-compaction-"));
  return { dataDir, [Symbol.asyncDispose]: () => rm(dataDir, { recursive: true, force: true }) };
}

/** Notes how many entries each session is folded from. */
async function countingStore(dataDir: string) {
  const real = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
  const read: number[] = [];
  const store: Store = {
    ...real,
    path: () => Promise.reject(new Error("a session is not read from its beginning")),
    async tail(sessionId) {
      const entries = await real.tail(sessionId);
      read.push(entries.length);
      return entries;
    },
  };
  return { store, read, [Symbol.asyncDispose]: () => real[Symbol.asyncDispose]() };
}

async function untilIdle({ runtime }: Scenario, { id }: Session): Promise<void> {
  for (let i = 0; i < 2_000; i++) {
    if ((await runtime.sessions.get(id)).status === "idle") return;
    await sleep(5);
  }
  throw new Error("it is not idle after 10 s");
}
