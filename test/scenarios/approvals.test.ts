import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { type AgentDefinition, defineTool, type Entry, type InterruptAnswer } from "../../src/index.ts";
import { createFakeClock, type Script } from "../../src/testing/testing.ts";
import { type Scenario, startScenario, story } from "./in-process.ts";

/** Calls that wait for a person: what is asked, what each answer does, and that nothing happens without one. */

let dataDir: string;
let done: string[];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "holdfast-approvals-"));
  done = [];
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const refund = defineTool({
  name: "refund",
  description: "Pays an order back.",
  input: z.object({ order: z.string(), amount: z.number() }),
  run({ order, amount }) {
    done.push(`${order}:${amount}`);
    return `refunded ${amount}`;
  },
});

const lookUp = defineTool({
  name: "look_up",
  description: "Looks up an order.",
  effect: "readonly",
  input: z.object({ order: z.string() }),
  run: ({ order }) => `${order} was paid`,
});

function scriptOf(...calls: readonly (readonly [name: string, input: Record<string, unknown>])[]): Script {
  return {
    turns: [{ calls: calls.map(([tool, input]) => ({ tool, input })) }, { times: "any", text: "Done." }],
  };
}

const one = scriptOf(["refund", { order: "A1", amount: 90 }]);

function start(script: Script, agent: Partial<AgentDefinition> = {}, more: Record<string, unknown> = {}) {
  return startScenario(script, {
    dataDir,
    agent: { tools: [refund, lookUp], permissions: {}, ...agent },
    ...more,
  });
}

async function until({ runtime }: Scenario, id: string, status: string): Promise<void> {
  while ((await runtime.sessions.get(id)).status !== status) await delay(5);
}

async function asked(scenario: Scenario, message = "pay it back", actor?: string) {
  const session = await scenario.session();
  const blocks = [{ type: "text" as const, text: message }];
  await scenario.runtime.sessions.send(session.id, { blocks, ...(actor === undefined ? {} : { actor }) });
  await until(scenario, session.id, "waiting");
  return { session, open: await openOf(scenario, session.id) };
}

async function openOf({ runtime }: Scenario, sessionId: string) {
  const open = await runtime.sessions.interrupts({ sessionId, status: "open" });
  return open.toReversed();
}

function resultOf(entries: readonly Entry[], callId?: string) {
  const results = entries.filter((entry) => entry.type === "toolFinished");
  return callId === undefined ? results.at(-1) : results.find((entry) => entry.callId === callId);
}

function textOf(entry: ReturnType<typeof resultOf>): string {
  return entry?.blocks.map((block) => (block.type === "text" ? block.text : "")).join("\n") ?? "";
}

describe("a call that changes something", () => {
  test("waits for a person, holds nothing meanwhile, and runs once when it is approved", async () => {
    await using scenario = await start(one);
    const { session, open } = await asked(scenario);
    await scenario.runtime.idle();
    expect(done).toEqual([]);
    expect(open).toMatchObject([
      {
        request: {
          kind: "approval",
          call: { tool: "refund", input: { amount: 90 } },
          permission: { layer: "mode" },
        },
      },
    ]);
    const record = await session.answer(
      open[0]?.id ?? "",
      { action: "approve" },
      { actor: "ada", channel: "test" },
    );
    expect(record).toMatchObject({ status: "answered", answered: { actor: "ada", channel: "test" } });
    await until(scenario, session.id, "idle");
    expect(done).toEqual(["A1:90"]);
    const log = await scenario.log(session);
    expect(story(log)).toMatch(
      /assistantMessage interrupted runPaused interruptResolved toolStarted toolFinished/,
    );
    expect(log.find((entry) => entry.type === "toolStarted")).toMatchObject({
      permission: { layer: "person", by: "ada" },
    });
  });

  test.each<[string, InterruptAnswer, string[], string, RegExp]>([
    [
      "edit",
      { action: "edit", input: { order: "A1", amount: 40 } },
      ["A1:40"],
      "ok",
      /other arguments than yours.*40/,
    ],
    [
      "reject",
      { action: "reject", feedback: "not on Friday" },
      [],
      "denied",
      /ada does not allow it.*not on Friday/,
    ],
    [
      "respond",
      { action: "respond", value: "was paid by hand" },
      [],
      "answered",
      /ada has answered.*\n.*by hand/,
    ],
  ])("%s", async (_, answer, effects, outcome, text) => {
    await using scenario = await start(one);
    const { session, open } = await asked(scenario);
    await session.answer(open[0]?.id ?? "", answer, { actor: "ada" });
    await until(scenario, session.id, "idle");
    expect(done).toEqual(effects);
    const result = resultOf(await scenario.log(session));
    expect(result?.outcome).toBe(outcome);
    expect(textOf(result)).toMatch(text);
  });

  test("is approved for good in its session, and no other one", async () => {
    const calls = (amount: number) => ({ calls: [{ tool: "refund", input: { order: "A1", amount } }] });
    await using scenario = await start({ turns: [calls(90), calls(90), calls(91)] });
    const { session, open } = await asked(scenario);
    const first = open[0]?.id ?? "";
    await session.answer(first, { action: "approve", always: "session" });
    while ((await openOf(scenario, session.id))[0]?.id === first) await delay(5);
    while ((await openOf(scenario, session.id)).length === 0) await delay(5);
    expect(done).toEqual(["A1:90", "A1:90"]);
    expect(await scenario.runtime.sessions.interrupts({ sessionId: session.id })).toHaveLength(2);
  });

  test("edits are checked before they count", async () => {
    await using scenario = await start(one);
    const { session, open } = await asked(scenario);
    const id = open[0]?.id ?? "";
    await expect(session.answer(id, { action: "edit", input: { order: 1 } })).rejects.toMatchObject({
      code: "invalid_input",
    });
    await expect(session.answer(id, { action: "raise", limitUsd: 1 })).rejects.toMatchObject({
      code: "invalid_input",
    });
    expect(await openOf(scenario, session.id)).toHaveLength(1);
  });
});

test("what a rule asks about every time cannot be approved for good", async () => {
  await using scenario = await start(one, { permissions: { ask: ["refund"] } });
  const { session, open } = await asked(scenario);
  const id = open[0]?.id ?? "";
  await expect(session.answer(id, { action: "approve", always: "session" })).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringContaining("ask: refund"),
  });
  await session.answer(id, { action: "approve" });
  await until(scenario, session.id, "idle");
  expect(done).toEqual(["A1:90"]);
});

describe("what people have made of the permissions", () => {
  test("holds at once where no process works on sessions", async () => {
    const quiet = await start(one, {}, { work: "none" });
    const session = await quiet.session();
    await session.setMode("plan", "ada");
    const rule = { scope: "agent", list: "deny", rule: "refund" } as const;
    await quiet.runtime.sessions.addRule(session.id, rule, "ada");
    expect(story(await quiet.log(session))).toBe("sessionCreated modeChanged ruleAdded");
    expect(await quiet.runtime.sessions.agentRules("tester")).toEqual([rule]);
    await quiet[Symbol.asyncDispose]();
  });

  test("holds in a fork at an entry before it", async () => {
    await using scenario = await start(one);
    const session = await scenario.session();
    const rule = { scope: "session", list: "deny", rule: "refund" } as const;
    await scenario.runtime.sessions.addRule(session.id, rule, "ada");
    while ((await scenario.log(session)).at(-1)?.type !== "ruleAdded") await delay(5);
    const { session: fork } = await scenario.runtime.sessions.fork(session.id, { at: "#1", id: "fork" });
    const again = await scenario.runtime.session({ id: fork.id });
    await again.send("pay it back");
    await until(scenario, fork.id, "idle");
    expect(resultOf(await scenario.log(again))).toMatchObject({
      outcome: "denied",
      details: { permission: { layer: "rules" } },
    });
  });

  test("the rules of one who has sent a message do not count for one who does not say who they are", async () => {
    const permissions = { users: { alice: { allow: ["refund"] } } };
    await using scenario = await start(one, { permissions });
    const session = await scenario.session();
    const runtime = scenario.runtime.sessions;
    const say = (text: string, actor?: string) =>
      runtime.send(session.id, {
        blocks: [{ type: "text", text }],
        ...(actor === undefined ? {} : { actor }),
      });
    await Promise.all([say("hello", "alice"), say("pay me")]);
    await until(scenario, session.id, "waiting");
    expect(done).toEqual([]);
  });
});

describe("several calls of one answer", () => {
  const three = scriptOf(
    ["refund", { order: "A1", amount: 1 }],
    ["look_up", { order: "B" }],
    ["refund", { order: "A2", amount: 2 }],
  );

  test("are asked about at once while others run, and answered in any order", async () => {
    await using scenario = await start(three);
    const { session, open } = await asked(scenario);
    expect(open.map(({ request }) => ("call" in request ? request.call.input : null))).toEqual([
      { order: "A1", amount: 1 },
      { order: "A2", amount: 2 },
    ]);
    expect((await scenario.log(session)).filter(({ type }) => type === "toolFinished")).toHaveLength(1);
    await session.answer(open[1]?.id ?? "", { action: "approve" });
    // The second one waits for the first, as the model wrote them.
    await until(scenario, session.id, "waiting");
    expect(done).toEqual([]);
    await session.answer(open[0]?.id ?? "", { action: "approve" });
    await until(scenario, session.id, "idle");
    expect(done).toEqual(["A1:1", "A2:2"]);
  });

  test("one that is rejected does not take the other with it", async () => {
    await using scenario = await start(three);
    const { session, open } = await asked(scenario);
    await session.answer(open[0]?.id ?? "", { action: "reject" });
    await session.answer(open[1]?.id ?? "", { action: "approve" });
    await until(scenario, session.id, "idle");
    expect(done).toEqual(["A2:2"]);
    expect((await scenario.log(session)).filter(({ type }) => type === "toolFinished")).toHaveLength(3);
  });

  test("what one answer allows for good does not ask any more", async () => {
    const same = ["refund", { order: "A1", amount: 1 }] as const;
    await using scenario = await start(scriptOf(same, same));
    const { session, open } = await asked(scenario);
    await session.answer(open[0]?.id ?? "", { action: "approve", always: "session" });
    await until(scenario, session.id, "idle");
    expect(done).toEqual(["A1:1", "A1:1"]);
    expect(
      await scenario.runtime.sessions.interrupts({ sessionId: session.id, status: "closed" }),
    ).toHaveLength(1);
  });

  test("independent ones do not wait for each other", async () => {
    const parallel = { ...refund, parallel: true };
    await using scenario = await start(three, { tools: [parallel, lookUp] });
    const { session, open } = await asked(scenario);
    await session.answer(open[1]?.id ?? "", { action: "approve" });
    while (done.length === 0) await delay(5);
    expect(done).toEqual(["A2:2"]);
    await until(scenario, session.id, "waiting");
    await session.answer(open[0]?.id ?? "", { action: "approve" });
    await until(scenario, session.id, "idle");
    expect(done).toEqual(["A2:2", "A1:1"]);
  });
});

describe("while a call waits", () => {
  test("a message does not skip it", async () => {
    await using scenario = await start(one);
    const { session, open } = await asked(scenario);
    await session.send("any news?");
    while ((await scenario.runtime.sessions.inbox(session.id)).length > 0) await delay(5);
    await scenario.runtime.idle();
    expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({ status: "waiting" });
    await session.answer(open[0]?.id ?? "", { action: "approve" });
    await until(scenario, session.id, "idle");
    expect(done).toEqual(["A1:90"]);
  });

  test("a stop ends the run, and the question", async () => {
    await using scenario = await start(one);
    const { session, open } = await asked(scenario);
    await session.stop();
    expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({
      status: "idle",
      lastRunEnd: "stopped",
    });
    await expect(session.answer(open[0]?.id ?? "", { action: "approve" })).rejects.toMatchObject({
      code: "conflict",
    });
    expect(done).toEqual([]);
  });

  test("the first of fifty answers counts", async () => {
    await using scenario = await start(one);
    const { session, open } = await asked(scenario);
    const all = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) =>
        session.answer(open[0]?.id ?? "", i % 2 === 0 ? { action: "approve" } : { action: "reject" }, {
          actor: `p${i}`,
        }),
      ),
    );
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const refused = all.find((each) => each.status === "rejected");
    expect(refused?.reason).toMatchObject({ code: "conflict", details: { actor: "p0" } });
    await until(scenario, session.id, "idle");
    expect(done).toEqual(["A1:90"]);
  });

  test("it can be answered by a process that comes later, and not under other rules", async () => {
    const first = await start(one);
    const { session, open } = await asked(first);
    await first[Symbol.asyncDispose]();

    await using second = await start(one, { permissions: { ask: ["refund"] } });
    const again = await second.runtime.session({ id: session.id });
    await expect(again.answer(open[0]?.id ?? "", { action: "approve" })).rejects.toMatchObject({
      code: "conflict",
      details: { stale: true },
    });
    let fresh = await openOf(second, session.id);
    while (fresh.length === 0) {
      await delay(5);
      fresh = await openOf(second, session.id);
    }
    expect(fresh[0]?.request).toMatchObject({ permission: { layer: "rules" } });
    expect(done).toEqual([]);
    await until(second, session.id, "waiting");
    await again.answer(fresh[0]?.id ?? "", { action: "approve" });
    await until(second, session.id, "idle");
    expect(done).toEqual(["A1:90"]);
  });
});

describe("nobody answers", () => {
  const hour = 3_600_000;

  async function waitOut(approvals: AgentDefinition["approvals"], waits: readonly number[]) {
    const clock = createFakeClock();
    const scenario = await start(one, { approvals }, { clock });
    const { session } = await asked(scenario);
    for (const ms of waits) {
      const before = (await scenario.log(session)).length;
      await clock.advance(ms);
      while ((await scenario.log(session)).length === before) await delay(5);
    }
    return { scenario, session, clock };
  }

  test.each<[string, NonNullable<AgentDefinition["approvals"]>, string, string[]]>([
    ["denies", { expiresAfter: "1h" }, "expired", []],
    ["approves", { expiresAfter: "1h", onExpire: "approve" }, "ok", ["A1:90"]],
  ])("%s", async (_, approvals, outcome, effects) => {
    const { scenario, session } = await waitOut(approvals, [hour]);
    await until(scenario, session.id, "idle");
    const log = await scenario.log(session);
    expect(resultOf(log)?.outcome).toBe(outcome);
    expect(done).toEqual(effects);
    expect(log.find((entry) => entry.type === "interruptResolved")).toMatchObject({
      channel: "clock",
      answer: { action: "expired" },
    });
    await scenario[Symbol.asyncDispose]();
  });

  test("asks again", async () => {
    const { scenario, session } = await waitOut({ expiresAfter: "1h", onExpire: "askAgain" }, [hour]);
    let [open] = await openOf(scenario, session.id);
    while (open === undefined) {
      await delay(5);
      [open] = await openOf(scenario, session.id);
    }
    expect(open.request).toMatchObject({ round: 1 });
    await until(scenario, session.id, "waiting");
    await session.answer(open.id, { action: "approve" });
    await until(scenario, session.id, "idle");
    expect(done).toEqual(["A1:90"]);
    await scenario[Symbol.asyncDispose]();
  });

  test("asks somebody else", async () => {
    const { scenario, session } = await waitOut(
      { expiresAfter: "1h", onExpire: "escalate", escalateTo: ["boss"], approvers: ["ada"] },
      [hour],
    );
    let [open] = await openOf(scenario, session.id);
    while (open === undefined) {
      await delay(5);
      [open] = await openOf(scenario, session.id);
    }
    expect(open.request).toMatchObject({ approvers: ["boss"], onExpire: "deny" });
    await expect(session.answer(open.id, { action: "approve" }, { actor: "ada" })).rejects.toMatchObject({
      code: "forbidden",
    });
    await session.answer(open.id, { action: "approve" }, { actor: "boss" });
    await until(scenario, session.id, "idle");
    expect(done).toEqual(["A1:90"]);
    await scenario[Symbol.asyncDispose]();
  });

  test("for a week: the run is given up, and nothing has been decided", async () => {
    const { scenario, session } = await waitOut(undefined, [7 * 24 * hour]);
    await until(scenario, session.id, "idle");
    expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({ lastRunEnd: "abandoned" });
    const result = resultOf(await scenario.log(session));
    expect(result?.outcome).toBe("expired");
    expect(textOf(result)).toContain("not a refusal");
    expect(done).toEqual([]);
    await scenario[Symbol.asyncDispose]();
  });
});

describe("who may answer", () => {
  test("several have to approve, each once, and not whoever asked for it", async () => {
    await using scenario = await start(one, {
      approvals: { quorum: 2, excludeRequester: true, approvers: ["ada", "bob", "eve"] },
    });
    const { session, open } = await asked(scenario, "pay it back", "eve");
    const id = open[0]?.id ?? "";
    const approve = (actor?: string) =>
      session.answer(id, { action: "approve" }, actor === undefined ? {} : { actor });
    await expect(approve()).rejects.toMatchObject({ code: "forbidden" });
    await expect(approve("eve")).rejects.toMatchObject({ code: "forbidden" });
    await expect(approve("mallory")).rejects.toMatchObject({ code: "forbidden" });
    expect(await approve("ada")).toMatchObject({ status: "open", votes: [{ actor: "ada" }] });
    await expect(approve("ada")).rejects.toMatchObject({ code: "conflict" });
    await until(scenario, session.id, "waiting");
    expect(done).toEqual([]);
    await approve("bob");
    await until(scenario, session.id, "idle");
    expect(done).toEqual(["A1:90"]);
  });
});

describe("modes", () => {
  test.each([
    ["plan", "denied", /plan/],
    ["dontAsk", "denied", /refund/],
  ] as const)("%s refuses", async (mode, outcome, text) => {
    await using scenario = await start(one, { permissions: { mode } });
    const session = await scenario.session();
    await session.send("pay it back");
    await until(scenario, session.id, "idle");
    const result = resultOf(await scenario.log(session));
    expect(result?.outcome).toBe(outcome);
    expect(textOf(result)).toMatch(text);
    expect(result?.details).toMatchObject({ permission: { layer: "mode" } });
    expect(done).toEqual([]);
  });

  test("a session is switched to another one, which the model is told of", async () => {
    await using scenario = await start(one);
    const session = await scenario.session();
    await session.setMode("plan", "ada");
    await session.send("pay it back");
    await until(scenario, session.id, "idle");
    expect(resultOf(await scenario.log(session))?.outcome).toBe("denied");
    expect(JSON.stringify(scenario.model.requests[0]?.messages)).toContain("plan mode");
  });

  test("switching while a call waits decides it", async () => {
    await using scenario = await start(one);
    const { session } = await asked(scenario);
    await session.setMode("dontAsk");
    await until(scenario, session.id, "idle");
    expect(resultOf(await scenario.log(session))?.outcome).toBe("denied");
    expect(await openOf(scenario, session.id)).toEqual([]);
  });

  test("a message that brings another one is one thing with it: both count, or neither", async () => {
    await using scenario = await start(one);
    const { session } = await asked(scenario);
    const blocks = [{ type: "text" as const, text: "and now?" }];
    const message = { blocks, mode: "plan", delivery: "reject" } as const;
    const { sessions } = scenario.runtime;
    await expect(sessions.send(session.id, message)).rejects.toMatchObject({ code: "conflict" });
    expect(await sessions.permissions(session.id)).toMatchObject({ mode: "default" });
    expect(await openOf(scenario, session.id)).toHaveLength(1);

    await sessions.stop(session.id);
    await sessions.send(session.id, message);
    await until(scenario, session.id, "idle");
    expect(await sessions.permissions(session.id)).toMatchObject({ mode: "plan" });
    expect(JSON.stringify(scenario.model.requests.at(-1)?.messages)).toContain("plan mode");
  });

  test("bypass needs whoever starts the process", async () => {
    await using scenario = await start(one);
    const session = await scenario.session();
    await expect(session.setMode("bypass")).rejects.toMatchObject({ code: "forbidden" });
  });
});
