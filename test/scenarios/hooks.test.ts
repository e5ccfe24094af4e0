import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
  defineHook,
  defineTool,
  type Entry,
  type HookAnswer,
  type HookDefinition,
  type HookQuestion,
} from "../../src/index.ts";
import { createFakeClock } from "../../src/testing/testing.ts";
import { collect, type Scenario, startScenario, story } from "./in-process.ts";

/** A hook that answers with `answer` and remembers what it was asked. */
function hook(on: HookDefinition["on"], answer: HookDefinition["ask"] | HookAnswer = {}, more = {}) {
  const asked: HookQuestion[] = [];
  const made = defineHook({
    on,
    name: `the ${on} hook`,
    ...more,
    ask: (question, signal) => {
      asked.push(question);
      return typeof answer === "function" ? answer(question, signal) : answer;
    },
  });
  return { made, asked };
}

function payments() {
  const paid: number[] = [];
  const tool = defineTool({
    name: "pay",
    description: "Pays.",
    input: z.object({ amount: z.number() }),
    run: ({ amount }) => {
      paid.push(amount);
      return `paid ${amount}`;
    },
  });
  return { tool, paid };
}

const paysThenSays = {
  turns: [{ calls: [{ tool: "pay", input: { amount: 5 } }] }, { text: "Done.", times: "any" as const }],
};

async function say(scenario: Scenario, text = "Go"): Promise<readonly Entry[]> {
  const session = await scenario.session();
  await collect(await session.send(text));
  return scenario.log(session);
}

const one = <T extends Entry["type"]>(log: readonly Entry[], type: T) =>
  log.filter((entry): entry is Extract<Entry, { type: T }> => entry.type === type);

const lastText = ({ model }: Scenario) => JSON.stringify(model.requests.at(-1)?.messages);

describe("beforeTool", () => {
  it("sees the call, and lets it go on", async () => {
    const { tool, paid } = payments();
    const { made, asked } = hook("beforeTool");
    await using scenario = await startScenario(paysThenSays, { agent: { tools: [tool], hooks: [made] } });
    const log = await say(scenario);
    expect(asked).toMatchObject([{ point: "beforeTool", tool: "pay", effect: "once", input: { amount: 5 } }]);
    expect(paid).toEqual([5]);
    expect(one(log, "hookDecided")).toMatchObject([{ decision: "allow", blocks: false }]);
    expect(story(log)).toContain("assistantMessage hookDecided toolStarted toolFinished");
  });

  it("may forbid it, and the model is told why", async () => {
    const { tool, paid } = payments();
    const { made } = hook("beforeTool", { decision: "veto", reason: "not on Fridays" });
    await using scenario = await startScenario(paysThenSays, { agent: { tools: [tool], hooks: [made] } });
    const log = await say(scenario);
    expect(paid).toEqual([]);
    expect(one(log, "toolFinished")).toMatchObject([{ outcome: "denied" }]);
    expect(lastText(scenario)).toContain("not on Fridays");
  });

  it("may change the arguments, which are validated again, and the model is told", async () => {
    const { tool, paid } = payments();
    const { made } = hook("beforeTool", { input: { amount: 1 }, reason: "too much" });
    await using scenario = await startScenario(paysThenSays, { agent: { tools: [tool], hooks: [made] } });
    await say(scenario);
    expect(paid).toEqual([1]);
    expect(lastText(scenario)).toContain('other arguments than yours: {\\"amount\\":1} (too much)');
  });

  it("cannot make a call out of arguments that do not fit", async () => {
    const { tool, paid } = payments();
    const { made } = hook("beforeTool", { input: { amount: "all" } });
    await using scenario = await startScenario(paysThenSays, { agent: { tools: [tool], hooks: [made] } });
    const log = await say(scenario);
    expect(paid).toEqual([]);
    expect(one(log, "toolFinished")).toMatchObject([{ outcome: "invalid" }]);
    const told = lastText(scenario);
    expect(told).toContain(
      'the hook \\"the beforeTool hook\\" has changed your arguments to {\\"amount\\":\\"all\\"}',
    );
    expect(told).not.toContain("The arguments do not fit");
  });

  it("cannot allow what a rule denies", async () => {
    const { tool, paid } = payments();
    const { made, asked } = hook("beforeTool", { decision: "allow" });
    const agent = { tools: [tool], hooks: [made], permissions: { deny: ["pay"] } };
    await using scenario = await startScenario(paysThenSays, { agent });
    await say(scenario);
    expect([paid, asked]).toEqual([[], []]);
  });

  it("is asked about what would run, which the hooks before it have made of the call", async () => {
    const { tool, paid } = payments();
    const first = hook("beforeTool", { input: { amount: 99 } }, { name: "first" });
    const second = hook("beforeTool", ({ input }) => ({ decision: "veto", reason: JSON.stringify(input) }));
    const agent = { tools: [tool], hooks: [first.made, second.made] };
    await using scenario = await startScenario(paysThenSays, { agent });
    const log = await say(scenario);
    expect(paid).toEqual([]);
    expect(one(log, "hookDecided").map(({ decision, reason }) => [decision, reason])).toEqual([
      ["change", undefined],
      ["veto", '{"amount":99}'],
    ]);
  });

  it("is not asked about arguments that the hook before it has made invalid", async () => {
    const { tool, paid } = payments();
    const first = hook("beforeTool", { input: { amount: "all" } }, { name: "first" });
    const second = hook("beforeTool");
    const agent = { tools: [tool], hooks: [first.made, second.made] };
    await using scenario = await startScenario(paysThenSays, { agent });
    await say(scenario);
    expect([paid, second.asked]).toEqual([[], []]);
  });

  it("is asked only about its tools", async () => {
    const { tool, paid } = payments();
    const { made, asked } = hook("beforeTool", { decision: "veto" }, { tools: ["shell", "write*"] });
    await using scenario = await startScenario(paysThenSays, { agent: { tools: [tool], hooks: [made] } });
    await say(scenario);
    expect([paid, asked]).toEqual([[5], []]);
  });

  it("may end the run: no call of the answer starts", async () => {
    const { tool, paid } = payments();
    const { made } = hook("beforeTool", { decision: "end", reason: "enough" });
    const calls = [1, 2].map((amount) => ({ tool: "pay", input: { amount } }));
    await using scenario = await startScenario(
      { turns: [{ calls }] },
      { agent: { tools: [tool], hooks: [made] } },
    );
    const log = await say(scenario);
    expect(paid).toEqual([]);
    expect(log.at(-1)).toMatchObject({ type: "runFinished", reason: "hook" });
    expect(one(log, "toolFinished")).toHaveLength(2);
  });
});

describe("a hook that fails", () => {
  const failing = () => {
    throw new Error("no connection");
  };
  const hanging = () => new Promise<undefined>(() => {});

  it.each([
    { name: "fails", ask: failing, decision: "failed" },
    { name: "hangs", ask: hanging, decision: "timedOut" },
  ])("and blocks: what it was asked about does not happen when it $name", async ({ ask, decision }) => {
    const { tool, paid } = payments();
    const { made } = hook("beforeTool", ask, { timeoutMs: 50 });
    await using scenario = await startScenario(paysThenSays, { agent: { tools: [tool], hooks: [made] } });
    const log = await say(scenario);
    expect(paid).toEqual([]);
    expect(one(log, "hookDecided")).toMatchObject([{ decision, blocks: true }]);
  });

  it("and is ignored: everything goes on", async () => {
    const { tool, paid } = payments();
    const { made } = hook("beforeTool", failing, { onFailure: "ignore" });
    await using scenario = await startScenario(paysThenSays, { agent: { tools: [tool], hooks: [made] } });
    const log = await say(scenario);
    expect(paid).toEqual([5]);
    expect(one(log, "hookDecided")).toMatchObject([
      { decision: "failed", blocks: false, reason: "no connection" },
    ]);
  });
});

describe("the other points", () => {
  it("sessionStart is asked once in a session, and may add context", async () => {
    const { made, asked } = hook("sessionStart", { context: "The customer is called Ada." });
    const script = { turns: [{ text: "Hello.", times: 2 }] };
    await using scenario = await startScenario(script, { agent: { hooks: [made] } });
    const session = await scenario.session();
    await collect(await session.send("Hi"));
    await collect(await session.send("Hi again"));
    expect(asked).toHaveLength(1);
    expect(JSON.stringify(scenario.model.requests[0]?.messages)).toContain("called Ada");
  });

  it("sessionStart is asked again where it has said no", async () => {
    let open = false;
    const { made, asked } = hook("sessionStart", () => (open ? {} : { decision: "veto", reason: "closed" }));
    await using scenario = await startScenario(
      { turns: [{ text: "Hello.", times: "any" }] },
      { agent: { hooks: [made] } },
    );
    const session = await scenario.session();
    await collect(await session.send("Hi"));
    await collect(await session.send("Hi again"));
    expect(scenario.model.requests).toHaveLength(0);
    open = true;
    await collect(await session.send("Now?"));
    await collect(await session.send("And now?"));
    expect([scenario.model.requests.length, asked.length]).toEqual([2, 3]);
  });

  it("input may keep a message from every model", async () => {
    const { made } = hook("input", ({ message }) =>
      String(message).includes("4111") ? { decision: "veto", reason: "a card number" } : {},
    );
    const script = { turns: [{ text: "Hello.", times: "any" as const }] };
    await using scenario = await startScenario(script, { agent: { hooks: [made] } });
    const session = await scenario.session();
    await collect(await session.send("My card is 4111 1111 1111 1111"));
    expect((await scenario.log(session)).at(-1)).toMatchObject({ type: "runFinished", reason: "hook" });
    await collect(await session.send("Hi"));
    expect(scenario.model.requests).toHaveLength(1);
    expect(lastText(scenario)).not.toContain("4111");
  });

  it("input is asked about a message that comes while a request waits to be tried again", async () => {
    const { made, asked } = hook("input", ({ message }) =>
      String(message).includes("4111") ? { decision: "veto" } : {},
    );
    const script = {
      turns: [
        { error: { kind: "overloaded" as const, retryAfterMs: 300 } },
        { text: "Hello.", times: "any" as const },
      ],
    };
    await using scenario = await startScenario(script, { agent: { hooks: [made] } });
    const session = await scenario.session();
    const events = await session.send("Hi");
    for await (const event of events) {
      if (event.type === "entry" && event.entry.type === "modelFailed") await session.send("My card is 4111");
    }
    expect(asked.map(({ message }) => message)).toEqual(["Hi", "My card is 4111"]);
    expect((await scenario.log(session)).at(-1)).toMatchObject({ type: "runFinished", reason: "hook" });
    expect(scenario.model.requests).toHaveLength(1);
    await collect(await session.send("Hello?"));
    expect(lastText(scenario)).not.toContain("4111");
  });

  it("beforeModel is asked once for each turn, also when the request is tried again", async () => {
    const { tool } = payments();
    const { made, asked } = hook("beforeModel");
    const script = { turns: [{ error: { kind: "overloaded" as const } }, ...paysThenSays.turns] };
    await using scenario = await startScenario(script, { agent: { tools: [tool], hooks: [made] } });
    await say(scenario);
    expect(asked.map(({ turn }) => turn)).toEqual([1, 2]);
  });

  it("afterTool sees the result, and what it adds stands behind it", async () => {
    const { tool } = payments();
    const { made, asked } = hook("afterTool", { context: "Book it." });
    await using scenario = await startScenario(paysThenSays, { agent: { tools: [tool], hooks: [made] } });
    await say(scenario);
    expect(asked).toMatchObject([{ tool: "pay", outcome: "ok", result: "paid 5" }]);
    expect(scenario.model.requests.at(-1)?.messages.map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "tool",
      "user",
    ]);
    expect(lastText(scenario)).toContain("Book it.");
  });

  it("runEnd may send the model back to work, but not for ever", async () => {
    const { made, asked } = hook("runEnd", { decision: "veto", reason: "The tests fail." });
    const script = { turns: [{ text: "Done.", times: "any" as const }] };
    await using scenario = await startScenario(script, { agent: { hooks: [made], limits: { turns: 3 } } });
    const log = await say(scenario);
    expect(asked).toHaveLength(3);
    expect(asked[0]).toMatchObject({ answer: "Done." });
    expect(lastText(scenario)).toContain("The tests fail.");
    expect(log.at(-1)).toMatchObject({ type: "runFinished", reason: "turnLimit" });
  });

  it("runEnd gives the model something to answer, also without a reason", async () => {
    let asked = 0;
    const { made } = hook("runEnd", () => (asked++ === 0 ? { decision: "veto" } : {}));
    const script = { turns: [{ text: "Done.", times: "any" as const }] };
    await using scenario = await startScenario(script, { agent: { hooks: [made] } });
    await say(scenario);
    const roles = scenario.model.requests.at(-1)?.messages.map(({ role }) => role);
    expect(roles).toEqual(["user", "assistant", "user"]);
  });

  it("runEnd is not asked when the run is out of time", async () => {
    const clock = createFakeClock();
    const { made, asked } = hook("runEnd", async () => {
      await clock.advance(60_000);
      return { decision: "veto" };
    });
    const script = { turns: [{ text: "Done.", times: "any" as const }] };
    const agent = { hooks: [made], limits: { duration: "1m" } };
    await using scenario = await startScenario(script, { agent, clock });
    const log = await say(scenario);
    expect(log.at(-1)).toMatchObject({ type: "runFinished", reason: "endTurn" });
    expect(asked).toHaveLength(1);
  });

  it("a stop does not ask about the results of what it has ended", async () => {
    const began = Promise.withResolvers<void>();
    const tool = defineTool({
      name: "pay",
      description: "Pays.",
      input: z.object({ amount: z.number() }),
      run: (_input, { signal }) => {
        began.resolve();
        return new Promise<string>((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
        });
      },
    });
    const { made, asked } = hook("afterTool", () => new Promise<undefined>(() => {}));
    await using scenario = await startScenario(paysThenSays, { agent: { tools: [tool], hooks: [made] } });
    const session = await scenario.session();
    await session.send("Go");
    await began.promise;
    expect(await session.stop()).toBe(true);
    expect(asked).toEqual([]);
  });

  it("a stop does not wait for a hook", async () => {
    const began = Promise.withResolvers<void>();
    const { made } = hook("beforeModel", () => {
      began.resolve();
      return new Promise<undefined>(() => {});
    });
    await using scenario = await startScenario(
      { turns: [{ text: "Never said." }] },
      { agent: { hooks: [made] } },
    );
    const session = await scenario.session();
    const events = collect(await session.send("Hi"));
    await began.promise;
    expect(await session.stop()).toBe(true);
    await events;
    expect((await scenario.log(session)).at(-1)).toMatchObject({ reason: "stopped" });
  });
});

it("what was decided before a restart is not asked again", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-hooks-"));
  try {
    const { tool, paid } = payments();
    const asked = Promise.withResolvers<void>();
    const first = hook("beforeTool", { decision: "veto", reason: "no" }, { name: "first" });
    const second = hook(
      "afterTool",
      () => {
        asked.resolve();
        return new Promise<undefined>(() => {});
      },
      { name: "second" },
    );
    const agent = { tools: [tool], hooks: [first.made, second.made] };
    let id = "";
    {
      await using scenario = await startScenario(paysThenSays, { agent, dataDir, graceMs: 50 });
      const session = await scenario.session();
      id = session.id;
      await session.send("Go");
      await Promise.race([asked.promise, new Promise((resolve) => setTimeout(resolve, 300))]);
    }
    const again = hook("beforeTool", { decision: "allow" }, { name: "first" });
    await using scenario = await startScenario(paysThenSays, {
      dataDir,
      agent: { tools: [tool], hooks: [again.made] },
    });
    await scenario.runtime.idle();
    const log = await scenario.runtime.sessions.entries(id);
    expect(again.asked).toEqual([]);
    expect(paid).toEqual([]);
    expect(one(log, "toolFinished")).toMatchObject([{ outcome: "denied" }]);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

it("a call that was under way when its process ended is not asked about by a hook that is new", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-hooks-"));
  try {
    const began = Promise.withResolvers<void>();
    const attempts: number[] = [];
    const tool = defineTool({
      name: "pay",
      description: "Pays.",
      input: z.object({ amount: z.number() }),
      effect: "keyed",
      run: (_input, { attempt }) => {
        attempts.push(attempt);
        began.resolve();
        return attempt === 1 ? new Promise<string>(() => {}) : "paid";
      },
    });
    let id = "";
    {
      await using scenario = await startScenario(paysThenSays, {
        agent: { tools: [tool] },
        dataDir,
        graceMs: 10,
      });
      const session = await scenario.session();
      id = session.id;
      await session.send("Go");
      await began.promise;
    }
    const late = hook("beforeTool", { input: { amount: 1 } });
    await using scenario = await startScenario(paysThenSays, {
      dataDir,
      agent: { tools: [tool], hooks: [late.made] },
    });
    await scenario.runtime.idle();
    expect([attempts, late.asked]).toEqual([[1, 2], []]);
    expect(one(await scenario.runtime.sessions.entries(id), "toolFinished")).toMatchObject([
      { outcome: "ok" },
    ]);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});
