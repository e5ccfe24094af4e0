import { describe, expect, it } from "vitest";
import { z } from "zod";
import { defineTool, type Entry, type RunEvent, type ToolContext } from "../../src/index.ts";
import { createScriptedModel } from "../../src/testing/testing.ts";
import { collect, startScenario, story } from "./in-process.ts";

const say = (text: string) => ({ turns: [{ text }] });

/** A tool that is under way until it is told to end, or its signal is aborted. */
function waitingTool() {
  const started = Promise.withResolvers<ToolContext>();
  const release = Promise.withResolvers<string>();
  const tool = defineTool({
    name: "wait",
    description: "Waits.",
    input: z.object({}),
    run: (_input, context) => {
      started.resolve(context);
      const aborted = new Promise<string>((_resolve, reject) => {
        context.signal.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
      });
      return Promise.race([release.promise, aborted]);
    },
  });
  return { tool, started: started.promise, release: release.resolve };
}

const callsWait = { turns: [{ calls: [{ tool: "wait" }] }, { text: "Done.", times: "any" as const }] };

describe("a run", () => {
  it("streams its answer and ends with it", async () => {
    await using scenario = await startScenario({ turns: [{ text: "Hello, world.", chunkSize: 5 }] });
    const session = await scenario.session();
    const events = await collect(await session.send("Hi"));
    const streamed = events.flatMap((event) => (event.type === "textDelta" ? [event.text] : [])).join("");
    expect(streamed).toBe("Hello, world.");
    expect(story(await scenario.log(session))).toBe(
      "sessionCreated userMessage runStarted contextOpened modelCalled assistantMessage runFinished",
    );
    expect(events.at(-1)).toMatchObject({ type: "entry", entry: { type: "runFinished", reason: "endTurn" } });
    scenario.model.assertDone();
  });

  it("shows each entry to a watcher once, in order, and deltas before the entry that holds them", async () => {
    await using scenario = await startScenario(say("One two three."));
    const session = await scenario.session();
    const events = await collect(await session.send("Hi"));
    const entries = events.flatMap((event) => (event.type === "entry" ? [event.entry.seq] : []));
    expect(entries).toEqual([2, 3, 4, 5, 6, 7]);
    const positions = (type: string) => events.flatMap((event, i) => (nameOf(event) === type ? [i] : []));
    expect(Math.max(...positions("textDelta"))).toBeLessThan(positions("assistantMessage")[0] ?? 0);
  });

  it("gives parallel calls their results in the order of the calls", async () => {
    const slow = defineTool({
      name: "slow",
      description: "Answers after a while.",
      input: z.object({ ms: z.number() }),
      effect: "readonly",
      run: async ({ ms }) => {
        await new Promise((resolve) => setTimeout(resolve, ms));
        return `after ${ms}`;
      },
    });
    const calls = [60, 30, 1].map((ms) => ({ tool: "slow", input: { ms } }));
    await using scenario = await startScenario(
      { turns: [{ calls }, { text: "ok" }] },
      { agent: { tools: [slow] } },
    );
    await collect(await (await scenario.session()).send("Go"));
    const seen = scenario.model.requests.at(-1)?.messages.at(-1);
    expect(seen).toMatchObject({
      role: "tool",
      results: [60, 30, 1].map((ms) => ({ blocks: [{ text: `after ${ms}` }] })),
    });
  });

  it("tells the model what was wrong with each call, and goes on", async () => {
    const tool = defineTool({
      name: "pay",
      description: "",
      input: z.object({ amount: z.number() }),
      parallel: true,
      run: () => {
        throw new Error("the bank is closed");
      },
    });
    const calls = [
      { tool: "pay", input: { amount: "ten" } },
      { tool: "pay", input: { amount: 1 } },
      { tool: "fly" },
    ];
    await using scenario = await startScenario(
      { turns: [{ calls }, { text: "ok" }] },
      { agent: { tools: [tool] } },
    );
    const session = await scenario.session();
    await collect(await session.send("Go"));
    const finished = (await scenario.log(session)).filter((entry) => entry.type === "toolFinished");
    expect(finished.map(({ outcome }) => outcome).sort()).toEqual(["error", "invalid", "invalid"]);
    expect(JSON.stringify(finished)).toContain("the bank is closed");
  });

  it("keeps a long result as a file, and shows the model its ends", async () => {
    const tool = defineTool({
      name: "dump",
      description: "",
      input: z.object({}),
      run: () => `first\n${"x".repeat(200_000)}\nlast`,
    });
    const script = { turns: [{ calls: [{ tool: "dump" }] }, { text: "ok" }] };
    await using scenario = await startScenario(script, {
      agent: { tools: [tool], sandbox: { isolation: "none" } },
    });
    const session = await scenario.session();
    await (await session.send("Go")).result();
    const [finished] = (await scenario.log(session)).filter((entry) => entry.type === "toolFinished");
    const shown = JSON.stringify(finished?.blocks);
    expect(shown.length).toBeLessThan(40_000);
    expect(shown).toMatch(/first.*last/);
    const [, file = ""] = /(\.holdfast\/outputs\/[\w-]+\.txt)/.exec(shown) ?? [];
    const kept = await (await scenario.runtime.sessions.sandbox(session.id)).stat(file);
    expect(kept?.size).toBeGreaterThan(200_000);
  });

  it("tries again when the provider is overloaded, and takes back what was shown", async () => {
    await using scenario = await startScenario({
      turns: [
        { text: "Hel", error: { kind: "overloaded", afterChunks: 1 }, chunkSize: 2 },
        { text: "Hello.", chunkSize: 2 },
      ],
    });
    const session = await scenario.session();
    const events = await collect(await session.send("Hi"));
    expect(events.map(nameOf)).toContain("retracted");
    expect(story(await scenario.log(session))).toBe(
      "sessionCreated userMessage runStarted contextOpened modelCalled modelFailed modelCalled assistantMessage runFinished",
    );
  });

  it("fails with a reason that a person can act on, and the session goes on", async () => {
    await using scenario = await startScenario({
      turns: [
        { error: { kind: "authentication", message: "invalid x-api-key", status: 401 } },
        { text: "Better." },
      ],
    });
    const session = await scenario.session();
    const failed = await (await session.send("Hi")).result();
    expect(failed).toMatchObject({
      reason: "failed",
      error: {
        code: "model_authentication",
        message: expect.stringContaining("HTTP 401"),
        hint: expect.any(String),
      },
    });
    expect(await (await session.send("Again")).result()).toMatchObject({
      reason: "endTurn",
      text: "Better.",
    });
  });

  it("keeps to its limit of turns", async () => {
    const tool = defineTool({
      name: "look",
      description: "",
      input: z.object({}),
      effect: "readonly",
      run: () => ".",
    });
    const endless = { turns: [{ calls: [{ tool: "look" }], times: "any" as const }] };
    await using scenario = await startScenario(endless, { agent: { tools: [tool], limits: { turns: 3 } } });
    expect(await (await (await scenario.session()).send("Go")).result()).toMatchObject({
      reason: "turnLimit",
      timing: { modelCalls: 3 },
    });
  });

  it("uses the model that the message asks for", async () => {
    await using scenario = await startScenario(say("ok"));
    const session = await scenario.session();
    await (await session.send("Hi", { model: "scripted/other" })).result();
    const started = (await scenario.log(session)).find((entry) => entry.type === "runStarted");
    expect(started).toMatchObject({ model: "scripted/other" });
  });
});

describe("a message", () => {
  it("with the same key is answered once", async () => {
    await using scenario = await startScenario(say("ok"));
    const session = await scenario.session();
    const first = await session.send("Hi", { idempotencyKey: "k" });
    const second = await session.send("Hi", { idempotencyKey: "k" });
    expect(second.messageId).toBe(first.messageId);
    await first.result();
    await expect(session.send("Other", { idempotencyKey: "k" })).rejects.toMatchObject({ code: "conflict" });
  });

  it("that arrives during a call is seen by the model right after it", async () => {
    const { tool, started, release } = waitingTool();
    await using scenario = await startScenario(callsWait, { agent: { tools: [tool] } });
    const session = await scenario.session();
    const run = await session.send("Go");
    await started;
    await session.send("And hurry.");
    release("waited");
    await run.result();
    await scenario.runtime.idle();
    const roles = scenario.model.requests.at(-1)?.messages.map(({ role }) => role);
    expect(roles).toEqual(["user", "assistant", "tool", "user"]);
  });

  it("without content is refused", async () => {
    await using scenario = await startScenario(say("ok"));
    await expect((await scenario.session()).send("  ")).rejects.toMatchObject({ code: "invalid_input" });
  });
});

describe("stop", () => {
  it("ends a call that is under way, says what became of it, and leaves a session that goes on", async () => {
    const { tool, started } = waitingTool();
    await using scenario = await startScenario(callsWait, { agent: { tools: [tool] } });
    const session = await scenario.session();
    const run = await session.send("Go");
    const { signal } = await started;
    expect(await session.stop()).toBe(true);
    expect(signal.aborted).toBe(true);
    expect(await run.result()).toMatchObject({ reason: "stopped" });
    expect(outcomes(await scenario.log(session))).toEqual(["cancelled"]);
    expect(await (await session.send("Go on")).result()).toMatchObject({ reason: "endTurn", text: "Done." });
  });

  it("ends the model's request", async () => {
    await using scenario = await startScenario({ turns: [{ text: "slow", delayMs: 10_000 }] });
    const session = await scenario.session();
    const run = await session.send("Go");
    const reading = run.result();
    await eventually(async () => story(await scenario.log(session)).endsWith("modelCalled"));
    await session.stop();
    expect(await reading).toMatchObject({ reason: "stopped" });
  });

  it("of an idle session changes nothing", async () => {
    await using scenario = await startScenario(say("ok"));
    const session = await scenario.session();
    await (await session.send("Hi")).result();
    const before = (await scenario.log(session)).length;
    expect(await session.stop()).toBe(false);
    expect((await scenario.log(session)).length).toBe(before);
  });
});

describe("a session that is named", () => {
  it("is continued by its own agent only", async () => {
    const model = createScriptedModel(say("Hello."));
    const agent = (name: string) => ({ name, systemPrompt: "You are tested.", model: "scripted/tester" });
    await using scenario = await startScenario(say("Hello."), {
      agents: [agent("one"), agent("two")],
      models: () => model,
    });
    const { runtime } = scenario;
    expect((await runtime.session({ agent: "one", id: "s" })).id).toBe("s");
    expect((await runtime.session({ agent: "one", id: "s" })).id).toBe("s");
    await expect(runtime.session({ agent: "two", id: "s" })).rejects.toMatchObject({
      code: "conflict",
      message: 'the session "s" belongs to the agent "one", not to "two"',
    });
  });
});

describe("closing the runtime", () => {
  it("leaves an unfinished run to the next one, which finishes it", async () => {
    const { tool, started } = waitingTool();
    await using first = await startScenario(callsWait, { agent: { tools: [tool] }, graceMs: 10 });
    const session = await first.session();
    await session.send("Go");
    await started;
    await first.runtime[Symbol.asyncDispose]();

    await using second = await startScenario(callsWait, { agent: { tools: [tool] }, dataDir: first.dataDir });
    await eventually(async () => (await second.runtime.sessions.get(session.id)).status === "idle");
    const log = await second.log(session);
    expect(outcomes(log)).toEqual(["unknown"]);
    expect(story(log)).toContain("runResumed");
    expect(JSON.stringify(second.model.requests.at(-1)?.messages)).toContain("NOT repeated");
  });
});

it("two runtimes on one database: the second one gives commands and reads, the first one works", async () => {
  await using worker = await startScenario(say("From the first."));
  await using reader = await startScenario(say("unused"), { dataDir: worker.dataDir });
  const session = await reader.session();
  const result = await (await session.send("Hi")).result();
  const other = worker.model.requests.length + reader.model.requests.length;
  expect(result.reason === "endTurn" || result.reason === "failed").toBe(true);
  expect(other).toBe(1);
});

function nameOf(event: RunEvent): string {
  return event.type === "entry" ? event.entry.type : event.type;
}

function outcomes(log: readonly Entry[]): readonly string[] {
  return log.flatMap((entry) => (entry.type === "toolFinished" ? [entry.outcome] : []));
}

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("it did not become true within 5 s");
}
