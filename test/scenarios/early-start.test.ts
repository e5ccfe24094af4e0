import { describe, expect, it } from "vitest";
import { defineHook, type Entry, type RunEvent } from "../../src/index.ts";
import type { ToolCallBlock } from "../../src/log/content.ts";
import { createFakeClock } from "../../src/testing/testing.ts";
import { collect, type ScenarioOptions, startScenario, story } from "./in-process.ts";
import { call, calls, completed, createModelInHand, failed, finished, says, text } from "./model-in-hand.ts";
import { toolInHand } from "./tools-in-hand.ts";

/** Calls that start while the model still writes the rest of its answer. */

const LOOK = call("toolu_0000000001", "look", { n: 1 });
const PAY = call("toolu_0000000002", "pay", { n: 2 });
const PAY_AGAIN = call("toolu_0000000003", "pay", { n: 3 });

async function setUp(options: ScenarioOptions = {}) {
  const seen: string[] = [];
  const look = toolInHand({ name: "look", effect: "readonly" }, seen);
  const pay = toolInHand({ name: "pay" }, seen);
  const model = createModelInHand();
  const { agent, ...rest } = options;
  const scenario = await startScenario(
    { turns: [{ text: "unused" }] },
    { models: () => model, agent: { ...agent, tools: [look.tool, pay.tool] }, ...rest },
  );
  const session = await scenario.session();
  const run = await session.send("Go");
  const events = collect(run);
  return {
    ...{ seen, look, pay, model, scenario, session, events },
    log: () => scenario.log(session),
    [Symbol.asyncDispose]: () => scenario[Symbol.asyncDispose](),
  };
}

const kindsFrom = (log: readonly Entry[]) => story(log).replace(/^.* modelCalled /, "");

function outcomes(log: readonly Entry[]): readonly string[] {
  return log.flatMap((entry) => (entry.type === "toolFinished" ? [`${entry.callId} ${entry.outcome}`] : []));
}

const namesOf = (events: readonly RunEvent[]) =>
  events.map((event) => (event.type === "entry" ? event.entry.type : event.type));

describe("a call that is complete before its answer is", () => {
  it("starts, and has its place in the transcript", async () => {
    await using at = await setUp();
    const { model, look, pay } = at;
    const first = await model.asked(1);
    first.write(says("Let me see."), ...calls(LOOK), completed(text("Let me see."), LOOK));
    await look.began(1);
    expect(at.seen).toEqual(["look 1 begins"]);
    first.write(...calls(PAY), finished(text("Let me see."), LOOK, PAY));
    await eventually(async () => story(await at.log()).endsWith("assistantMessage"));
    look.end(1);
    pay.end(2);
    const { request, write } = await model.asked(2);
    write(finished(text("Done.")));
    await at.events;
    expect(kindsFrom((await at.log()).slice(0, -3))).toBe(
      "answerPart toolStarted assistantMessage toolFinished toolStarted toolFinished",
    );
    expect(request.messages.slice(1)).toMatchObject([
      { role: "assistant", blocks: [text("Let me see."), LOOK, PAY] },
      { role: "tool", results: [{ callId: LOOK.callId }, { callId: PAY.callId }] },
    ]);
  });

  it("may have ended before its answer is", async () => {
    await using at = await setUp();
    const first = await at.model.asked(1);
    first.write(...calls(LOOK), completed(LOOK));
    at.look.end(1);
    await eventually(async () => story(await at.log()).endsWith("toolFinished"));
    first.write(says("That was quick."), finished(LOOK, text("That was quick.")));
    const second = await at.model.asked(2);
    expect(second.request.messages.slice(1)).toMatchObject([
      { role: "assistant" },
      { role: "tool", results: [{ callId: LOOK.callId }] },
    ]);
    second.write(finished(text("Done.")));
    await at.events;
  });

  it("waits for its turn, and those behind one that failed are not started", async () => {
    await using at = await setUp();
    const first = await at.model.asked(1);
    first.write(completed(LOOK), completed(LOOK, PAY), completed(LOOK, PAY, PAY_AGAIN));
    await at.look.began(1);
    at.look.end(1);
    await at.pay.began(2);
    expect(at.seen).toEqual(["look 1 begins", "look 1 ends", "pay 2 begins"]);
    at.pay.end(2, { fails: true });
    await eventually(async () => outcomes(await at.log()).length === 2);
    first.write(finished(LOOK, PAY, PAY_AGAIN));
    (await at.model.asked(2)).write(finished(text("Done.")));
    await at.events;
    expect(outcomes(await at.log())).toEqual([
      `${LOOK.callId} ok`,
      `${PAY.callId} error`,
      `${PAY_AGAIN.callId} cancelled`,
    ]);
  });

  it("has one id from its first delta on, also where the provider numbers its calls", async () => {
    await using at = await setUp();
    const numbered = { ...LOOK, callId: "0" };
    const first = await at.model.asked(1);
    first.write(...calls(numbered), completed(numbered));
    at.look.end(1);
    first.write(...calls({ ...PAY, callId: "1" }), finished(numbered, { ...PAY, callId: "1" }));
    at.pay.end(2);
    (await at.model.asked(2)).write(
      ...calls({ ...PAY_AGAIN, callId: "0" }),
      finished({ ...PAY_AGAIN, callId: "0" }),
    );
    at.pay.end(3);
    (await at.model.asked(3)).write(finished(text("Done.")));
    const events = await at.events;
    const told = events.flatMap((event) => (event.type === "toolCallStarted" ? [event.callId] : []));
    const answered = (await at.log()).flatMap((entry) =>
      entry.type === "assistantMessage" ? entry.blocks.filter(isCall).map(({ callId }) => callId) : [],
    );
    expect(told).toEqual(answered);
    expect(new Set(answered).size).toBe(3);
    expect(outcomes(await at.log())).toEqual(answered.map((callId) => `${callId} ok`));
  });

  it("does not start when a message came before it", async () => {
    await using at = await setUp();
    const first = await at.model.asked(1);
    first.write(says("I will"));
    await at.session.send("Wait!");
    await eventually(async () => story(await at.log()).endsWith("userMessage"));
    first.write(completed(text("I will"), PAY), says("then"));
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    first.write(finished(text("I will"), PAY));
    (await at.model.asked(2)).write(finished(text("Done.")));
    await at.scenario.runtime.idle();
    expect(at.seen).toEqual([]);
    expect(story(await at.log())).not.toContain("answerPart");
    expect(outcomes(await at.log())).toEqual([`${PAY.callId} cancelled`]);
  });

  it("waits for the end of its answer where a hook wants to be asked about it", async () => {
    const asked: unknown[] = [];
    const hook = defineHook({
      on: "beforeTool",
      name: "guard",
      tools: ["pay"],
      ask: (question) => {
        asked.push(question);
        return {};
      },
    });
    await using at = await setUp({ agent: { hooks: [hook] } });
    const first = await at.model.asked(1);
    first.write(completed(LOOK), completed(LOOK, PAY));
    await at.look.began(1);
    at.look.end(1);
    await eventually(async () => outcomes(await at.log()).length === 1);
    expect(at.seen).toEqual(["look 1 begins", "look 1 ends"]);
    first.write(finished(LOOK, PAY));
    await at.pay.began(2);
    at.pay.end(2);
    (await at.model.asked(2)).write(finished(text("Done.")));
    await at.events;
  });
});

it("hooks are asked about the result of a call that ended before its answer did, before the model is", async () => {
  const release = Promise.withResolvers<void>();
  const hook = defineHook({
    on: "afterTool",
    name: "reviewer",
    ask: async () => {
      await release.promise;
      return { context: "Mind the gap." };
    },
  });
  await using at = await setUp({ agent: { hooks: [hook] } });
  const first = await at.model.asked(1);
  first.write(completed(LOOK));
  at.look.end(1);
  await eventually(async () => story(await at.log()).endsWith("toolFinished"));
  first.write(finished(LOOK));
  await eventually(async () => story(await at.log()).endsWith("assistantMessage"));
  release.resolve();
  const second = await at.model.asked(2);
  expect(JSON.stringify(second.request.messages)).toContain("Mind the gap.");
  second.write(finished(text("Done.")));
  await at.events;
});

describe("an answer that breaks off behind a call that has started", () => {
  it("is kept as far as it was complete: the call runs once, and the model goes on from its result", async () => {
    await using at = await setUp();
    const first = await at.model.asked(1);
    first.write(says("Paying."), ...calls(PAY), completed(text("Paying."), PAY));
    await at.pay.began(2);
    first.write(says("And now"), failed());
    await eventually(async () => story(await at.log()).endsWith("assistantMessage"));
    at.pay.end(2);
    const second = await at.model.asked(2);
    expect(second.request.messages.slice(1)).toMatchObject([
      { role: "assistant", blocks: [text("Paying."), PAY] },
      { role: "tool", results: [{ callId: PAY.callId, isError: false }] },
    ]);
    second.write(finished(text("Done.")));
    const names = namesOf(await at.events);
    expect(names.indexOf("retracted")).toBeGreaterThan(names.indexOf("toolStarted"));
    expect(at.seen).toEqual(["pay 2 begins", "pay 2 ends"]);
    expect(kindsFrom((await at.log()).slice(0, -3))).toBe(
      "answerPart toolStarted modelFailed assistantMessage toolFinished",
    );
    expect((await at.log()).find(({ type }) => type === "assistantMessage")).toMatchObject({
      brokeOff: true,
      costUsd: null,
    });
  });

  it("is not taken back where nothing beyond that had been shown", async () => {
    await using at = await setUp();
    const first = await at.model.asked(1);
    first.write(...calls(LOOK), completed(LOOK));
    await at.look.began(1);
    first.write(failed());
    at.look.end(1);
    (await at.model.asked(2)).write(finished(text("Done.")));
    expect(namesOf(await at.events)).not.toContain("retracted");
  });

  it("also when it ends as another one than it had begun", async () => {
    await using at = await setUp();
    const first = await at.model.asked(1);
    first.write(completed(LOOK));
    await at.look.began(1);
    first.write(finished(text("I never called anything.")));
    at.look.end(1);
    const second = await at.model.asked(2);
    expect(second.request.messages.at(-1)).toMatchObject({ results: [{ callId: LOOK.callId }] });
    second.write(finished(text("Done.")));
    await at.events;
    expect(story(await at.log())).toContain("modelFailed assistantMessage");
  });
});

describe("a call that has started early", () => {
  it("is ended by a stop, with what is complete of its answer kept", async () => {
    await using at = await setUp();
    const first = await at.model.asked(1);
    first.write(completed(PAY), completed(PAY, PAY_AGAIN));
    await at.pay.began(2);
    expect(await at.session.stop()).toBe(true);
    await at.events;
    expect(at.seen).toEqual(["pay 2 begins"]);
    expect(outcomes(await at.log())).toEqual([`${PAY.callId} cancelled`, `${PAY_AGAIN.callId} cancelled`]);
    expect(kindsFrom(await at.log())).toMatch(/assistantMessage .*runFinished$/);

    await at.session.send("Go on");
    const second = await at.model.asked(2);
    expect(second.request.messages.slice(1)).toMatchObject([
      { role: "assistant", blocks: [PAY, PAY_AGAIN] },
      { role: "tool", results: [{ callId: PAY.callId }, { callId: PAY_AGAIN.callId }] },
      { role: "user" },
    ]);
    second.write(finished(text("Done.")));
    await at.scenario.runtime.idle();
  });

  it("is found by the next process when this one lets go of the session", async () => {
    await using at = await setUp({ graceMs: 10 });
    const first = await at.model.asked(1);
    first.write(completed(PAY));
    await at.pay.began(2);
    await at.scenario.runtime[Symbol.asyncDispose]();
    await at.events;

    const model = createModelInHand();
    await using next = await startScenario(
      { turns: [{ text: "unused" }] },
      { models: () => model, agent: { tools: [at.look.tool, at.pay.tool] }, dataDir: at.scenario.dataDir },
    );
    const again = await model.asked(1);
    expect(again.request.messages.slice(1)).toMatchObject([
      { role: "assistant", blocks: [PAY] },
      { role: "tool", results: [{ callId: PAY.callId, isError: true }] },
    ]);
    again.write(finished(text("Done.")));
    await next.runtime.idle();
    expect(outcomes(await next.log(at.session))).toEqual([`${PAY.callId} unknown`]);
    expect(at.seen).toEqual(["pay 2 begins"]);
  });
});

describe("the time limit of a run", () => {
  const limited = () => {
    const clock = createFakeClock();
    return { clock, options: { clock, agent: { limits: { duration: "1m" } } } as const };
  };

  it("ends a request to the model", async () => {
    const { clock, options } = limited();
    await using at = await setUp(options);
    const first = await at.model.asked(1);
    first.write(says("Hm"));
    await clock.advance(59_999);
    expect(story(await at.log())).not.toContain("runFinished");
    await clock.advance(1);
    await at.events;
    expect((await at.log()).at(-1)).toMatchObject({ type: "runFinished", reason: "timeLimit" });
  });

  it("ends the call under way, and starts none of those behind it", async () => {
    const { clock, options } = limited();
    await using at = await setUp(options);
    (await at.model.asked(1)).write(finished(PAY, PAY_AGAIN));
    await at.pay.began(2);
    await clock.advance(60_000);
    await at.events;
    const log = await at.log();
    expect(outcomes(log)).toEqual([`${PAY.callId} timedOut`, `${PAY_AGAIN.callId} cancelled`]);
    expect(JSON.stringify(log).match(/the run has reached its time limit/g)).toHaveLength(2);
    expect(log.at(-1)).toMatchObject({ type: "runFinished", reason: "timeLimit" });
  });

  it("ends a call that has started early, and its answer", async () => {
    const { clock, options } = limited();
    await using at = await setUp(options);
    (await at.model.asked(1)).write(completed(PAY));
    await at.pay.began(2);
    await clock.advance(60_000);
    await at.events;
    expect(outcomes(await at.log())).toEqual([`${PAY.callId} timedOut`]);
    expect((await at.log()).at(-1)).toMatchObject({ type: "runFinished", reason: "timeLimit" });
  });

  it("ends the pause before another try", async () => {
    const { clock, options } = limited();
    await using at = await setUp(options);
    const patience = { kind: "rateLimited", message: "later", retryAfterMs: 100_000 } as const;
    (await at.model.asked(1)).write({ type: "failed", failure: patience });
    await eventually(async () => story(await at.log()).endsWith("modelFailed"));
    await clock.advance(60_000);
    await at.events;
    expect((await at.log()).at(-1)).toMatchObject({ type: "runFinished", reason: "timeLimit" });
  });
});

function isCall(block: { readonly type: string }): block is ToolCallBlock {
  return block.type === "toolCall";
}

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("it did not become true within 10 s");
}
