import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import {
  type AgentDefinition,
  type Answer,
  askUser,
  defineTool,
  type InterruptAnswer,
  type Tool,
  type ToolContext,
} from "../../src/index.ts";
import type { Effect } from "../../src/log/entry.ts";
import { createFakeClock, type Script } from "../../src/testing/testing.ts";
import { atRest, ofType, openQuestion, openQuestions, results, sendTo } from "./asking.ts";
import { type ScenarioOptions, startScenario, story } from "./in-process.ts";

/** Tools that ask a person while they run (`context.ask`). */

let dataDir: string;
let seen: string[];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "holdfast-questions-"));
  seen = [];
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

/** A tool that says into `seen` how often it began, and what it was answered. */
function asking(
  work: (context: ToolContext, n: number) => Promise<string>,
  more: Partial<Pick<Tool, "name" | "effect" | "parallel">> = {},
): Tool {
  return defineTool({
    name: "asks",
    description: "Asks.",
    input: z.object({ n: z.number().default(1) }),
    ...more,
    async run({ n }, context) {
      seen.push(`attempt ${context.attempt} of ${context.operationId.slice(0, 3)}`);
      return work(context, n);
    },
  });
}

const say = (answer: Answer): string =>
  answer.type === "answered" ? JSON.stringify(answer.value) : answer.type;
const once = asking(async ({ ask }) => `They say ${say(await ask({ message: "Which one?" }))}.`);

const calling = (...calls: readonly (readonly [string, Record<string, unknown>])[]): Script => ({
  turns: [{ calls: calls.map(([tool, input]) => ({ tool, input })) }, { times: "any", text: "Done." }],
});
const oneCall = calling(["asks", {}]);

function start(
  tools: readonly Tool[],
  script = oneCall,
  agent: Partial<AgentDefinition> = {},
  more: ScenarioOptions = {},
) {
  return startScenario(script, { dataDir, ...more, agent: { tools, ...agent } });
}

describe("a question", () => {
  test("holds nothing while nobody answers; then the call begins again and gets the answer", async () => {
    await using scenario = await start([once]);
    const session = await sendTo(scenario);
    await scenario.runtime.idle();
    const { id, request } = await openQuestion(scenario, session);
    expect(request).toMatchObject({ kind: "question", message: "Which one?", call: { tool: "asks" } });
    expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({ status: "waiting" });
    await session.answer(id, { action: "respond", value: "the red one" }, { actor: "ada" });
    await atRest(scenario, session);
    const log = await scenario.log(session);
    expect(results(log)).toEqual([{ outcome: "ok", text: 'They say "the red one".' }]);
    expect(seen).toEqual(["attempt 1 of op_", "attempt 2 of op_"]);
    expect(story(log)).toMatch(
      /toolStarted interrupted runPaused interruptResolved toolStarted toolFinished/,
    );
    expect(new Set(ofType(log, "toolStarted").map(({ operationId }) => operationId)).size).toBe(1);
  });

  test("comes after another one", async () => {
    const twice = asking(async ({ ask }) => {
      const first = await ask({ message: "First?" });
      const second = await ask({ message: `After ${say(first)}?` });
      return `${say(first)} ${say(second)}`;
    });
    await using scenario = await start([twice]);
    const session = await sendTo(scenario);
    for (const [message, value] of [
      ["First?", 1],
      ["After 1?", 2],
    ] as const) {
      const { id, request } = await openQuestion(scenario, session);
      expect(request.message).toBe(message);
      await session.answer(id, { action: "respond", value });
      await atRest(scenario, session);
    }
    expect(results(await scenario.log(session))).toEqual([{ outcome: "ok", text: "1 2" }]);
    expect(seen).toHaveLength(3);
  });

  test("asked beside another one counts first; the other is asked when it has its answer", async () => {
    const both = asking(async ({ ask }) =>
      (await Promise.all([ask({ message: "A?" }), ask({ message: "B?" })])).map(say).join(),
    );
    await using scenario = await start([both]);
    const session = await sendTo(scenario);
    for (const message of ["A?", "B?"]) {
      const { id, request } = await openQuestion(scenario, session);
      expect(request.message).toBe(message);
      await session.answer(id, { action: "respond", value: message });
      await atRest(scenario, session);
    }
    expect(results(await scenario.log(session))).toEqual([{ outcome: "ok", text: '"A?","B?"' }]);
  });

  test("with a schema takes nothing else", async () => {
    const schema = {
      type: "object",
      properties: { amount: { type: "integer", minimum: 1 } },
      required: ["amount"],
    };
    const amount = asking(async ({ ask }) => say(await ask({ message: "How much?", schema })));
    await using scenario = await start([amount]);
    const session = await sendTo(scenario);
    const { id, request } = await openQuestion(scenario, session);
    expect(request).toMatchObject({ schema });
    for (const value of ["much", {}, { amount: 0 }, null]) {
      await expect(session.answer(id, { action: "respond", value })).rejects.toMatchObject({
        code: "invalid_input",
      });
    }
    await expect(session.answer(id, { action: "approve" })).rejects.toMatchObject({ code: "invalid_input" });
    await session.answer(id, { action: "respond", value: { amount: 3 } });
    await atRest(scenario, session);
    expect(results(await scenario.log(session))).toEqual([{ outcome: "ok", text: '{"amount":3}' }]);
  });

  test("that sends people somewhere says where", async () => {
    const logIn = asking(async ({ ask }) =>
      say(await ask({ message: "Log in.", url: "https://example.com/login" })),
    );
    await using scenario = await start([logIn]);
    const session = await sendTo(scenario);
    expect((await openQuestion(scenario, session)).request).toMatchObject({
      kind: "auth",
      url: "https://example.com/login",
    });
  });

  test("can be refused, which the tool hears", async () => {
    const polite = asking(async ({ ask }) => {
      const answer = await ask({ message: "Really?" });
      return answer.type === "rejected" ? `${answer.actor} says no: ${answer.feedback}` : "yes";
    });
    await using scenario = await start([polite]);
    const session = await sendTo(scenario);
    const { id } = await openQuestion(scenario, session);
    await session.answer(id, { action: "reject", feedback: "not today" }, { actor: "ada" });
    await atRest(scenario, session);
    expect(results(await scenario.log(session))).toEqual([{ outcome: "ok", text: "ada says no: not today" }]);
  });

  test("can be answered by whoever has sent the message, and once, whatever approvals need", async () => {
    const approvals = { excludeRequester: true, quorum: 2 };
    await using scenario = await start([once], oneCall, { approvals });
    const session = await scenario.session();
    await scenario.runtime.sessions.send(session.id, {
      blocks: [{ type: "text", text: "go" }],
      actor: "ada",
    });
    await atRest(scenario, session);
    const { id } = await openQuestion(scenario, session);
    await session.answer(id, { action: "respond", value: "me" }, { actor: "ada" });
    await atRest(scenario, session);
    expect(results(await scenario.log(session))).toMatchObject([{ outcome: "ok" }]);
  });
});

describe("time answers", () => {
  async function expired(onExpire: "deny" | "approve" | "askAgain" | "escalate") {
    const clock = createFakeClock();
    const escalateTo = onExpire === "escalate" ? ["boss"] : [];
    const approvals = { expiresAfter: "1h", onExpire, escalateTo };
    const scenario = await start([once], oneCall, { approvals }, { clock });
    const session = await sendTo(scenario);
    const before = await openQuestion(scenario, session);
    await clock.advance(3_600_000);
    const isResolved = async () => ofType(await scenario.log(session), "interruptResolved").length > 0;
    while (!(await isResolved())) await delay(20);
    await atRest(scenario, session);
    return { scenario, session, before, clock };
  }

  test.each(["deny", "approve"] as const)("%s: the tool hears that nobody has", async (onExpire) => {
    const { scenario, session } = await expired(onExpire);
    await using _ = scenario;
    expect(results(await scenario.log(session))).toEqual([{ outcome: "ok", text: "They say expired." }]);
  });

  test.each([
    ["askAgain", undefined],
    ["escalate", ["boss"]],
  ] as const)("%s: somebody is asked again", async (onExpire, approvers) => {
    const { scenario, session, before } = await expired(onExpire);
    await using _ = scenario;
    const { id, request } = await openQuestion(scenario, session);
    expect(id).not.toBe(before.id);
    expect(request).toMatchObject({ kind: "question", message: "Which one?", round: 1 });
    expect(request.approvers).toEqual(approvers);
    // It has been waiting since it was first asked.
    expect(request.abandonAt).toBe(before.request.abandonAt);
    await session.answer(id, { action: "respond", value: "late" }, { actor: "boss" });
    await atRest(scenario, session);
    expect(results(await scenario.log(session))).toMatchObject([{ text: 'They say "late".' }]);
  });
});

describe("between question and answer", () => {
  test.each<Effect>(["once", "keyed", "reconcile", "readonly"])(
    "the process may be another one: a call of effect %s has done nothing but ask",
    async (effect) => {
      const tool: Tool = {
        ...asking(async ({ ask }) => say(await ask({ message: "Which one?" })), { effect }),
        ...(effect === "reconcile"
          ? {
              reconcile: async () => {
                seen.push("reconciled");
                return { type: "notStarted" as const };
              },
            }
          : {}),
      };
      const first = await start([tool]);
      const session = await sendTo(first);
      const { id } = await openQuestion(first, session);
      await first.runtime[Symbol.asyncDispose]();

      await using second = await start([tool]);
      await second.runtime.sessions.answer(session.id, id, { action: "respond", value: "x" });
      await atRest(second, session);
      expect(results(await second.runtime.sessions.entries(session.id))).toEqual([
        { outcome: "ok", text: '"x"' },
      ]);
      expect(seen).toEqual(["attempt 1 of op_", "attempt 2 of op_"]);
    },
  );

  test("a stop ends the call and the question", async () => {
    await using scenario = await start([once]);
    const session = await sendTo(scenario);
    expect(await session.stop()).toBe(true);
    const log = await scenario.log(session);
    expect(results(log)).toMatchObject([{ outcome: "cancelled" }]);
    expect(ofType(log, "interruptResolved")).toMatchObject([{ answer: { action: "withdrawn" } }]);
    expect(await openQuestions(scenario, session)).toEqual([]);
    expect(seen).toHaveLength(1);
  });

  test("a message of the user does not end it", async () => {
    await using scenario = await start([once]);
    const session = await sendTo(scenario);
    await sendTo(scenario, "and?", session);
    const { id } = await openQuestion(scenario, session);
    await session.answer(id, { action: "respond", value: "x" });
    await atRest(scenario, session);
    expect(results(await scenario.log(session))).toMatchObject([{ outcome: "ok" }]);
  });

  test("rules may change: what they forbid is not taken up again", async () => {
    const first = await start([once]);
    const session = await sendTo(first);
    const { id } = await openQuestion(first, session);
    await first.runtime[Symbol.asyncDispose]();
    await using second = await start([once], oneCall, { permissions: { deny: ["asks"] } });
    await second.runtime.sessions.answer(session.id, id, { action: "respond", value: "x" });
    await atRest(second, session);
    expect(results(await second.runtime.sessions.entries(session.id))).toMatchObject([{ outcome: "denied" }]);
    expect(seen).toHaveLength(1);
  });

  test("nobody for a week: the run is given up", async () => {
    const clock = createFakeClock();
    await using scenario = await start([once], oneCall, {}, { clock });
    const session = await sendTo(scenario);
    await clock.advance(8 * 86_400_000);
    while ((await scenario.runtime.sessions.get(session.id)).status !== "idle") await delay(20);
    expect(results(await scenario.log(session))).toMatchObject([
      { outcome: "expired", text: expect.stringContaining("nobody has answered for so long") },
    ]);
    expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({ lastRunEnd: "abandoned" });
  });
});

describe("a tool that does not behave", () => {
  const answerAll = async (tool: Tool) => {
    await using scenario = await start([tool]);
    const session = await sendTo(scenario);
    const { id } = await openQuestion(scenario, session);
    expect(results(await scenario.log(session))).toEqual([]);
    await session.answer(id, { action: "respond", value: "x" });
    await atRest(scenario, session);
    return results(await scenario.log(session));
  };

  test.each<[string, (context: ToolContext) => Promise<string>]>([
    ["swallows that it has to wait", async ({ ask }) => ask({ message: "?" }).then(say, () => "so what")],
    [
      "throws something else instead",
      async ({ ask }) =>
        ask({ message: "?" }).then(say, () => {
          throw new Error("broken");
        }),
    ],
  ])("is asked again all the same: it %s", async (_name, work) => {
    expect(await answerAll(asking(work))).toEqual([{ outcome: "ok", text: '"x"' }]);
  });

  test("does not end the process: it does not wait for its answer", async () => {
    const careless = asking(async ({ ask, attempt }) => {
      void ask({ message: "?" });
      return `done at attempt ${attempt}`;
    });
    expect(await answerAll(careless)).toEqual([{ outcome: "ok", text: "done at attempt 2" }]);
  });
});

describe("the model itself", () => {
  const asks = (input: Record<string, unknown>) => calling(["ask_user", input]);
  const options = ["red", "blue"];

  test("asks a person, who chooses one of its options", async () => {
    await using scenario = await start([askUser()], asks({ question: "Which colour?", options }), {
      permissions: {},
    });
    const session = await sendTo(scenario);
    const { id, request } = await openQuestion(scenario, session);
    expect(request).toMatchObject({ kind: "question", message: "Which colour?", schema: { enum: options } });
    await expect(session.answer(id, { action: "respond", value: "green" })).rejects.toMatchObject({
      code: "invalid_input",
    });
    await session.answer(id, { action: "respond", value: "blue" }, { actor: "ada" });
    await atRest(scenario, session);
    expect(results(await scenario.log(session))).toEqual([
      { outcome: "ok", text: "ada has answered:\nblue" },
    ]);
  });

  test.each<[string, Record<string, unknown>, InterruptAnswer, RegExp]>([
    [
      "several",
      { options, several: true },
      { action: "respond", value: ["red", "blue"] },
      /\["red","blue"\]/,
    ],
    ["any text", {}, { action: "respond", value: "as you like" }, /has answered:\nas you like/],
    [
      "nothing",
      { options },
      { action: "reject", feedback: "green, please" },
      /not answered.*\ngreen, please/,
    ],
  ])("or %s", async (_name, more, answer, told) => {
    await using scenario = await start([askUser()], asks({ question: "?", ...more }));
    const session = await sendTo(scenario);
    await session.answer((await openQuestion(scenario, session)).id, answer);
    await atRest(scenario, session);
    expect(results(await scenario.log(session))[0]?.text).toMatch(told);
  });

  test("hears at once that nobody answers where nobody is asked", async () => {
    const permissions = { mode: "dontAsk" } as const;
    await using scenario = await start([askUser()], asks({ question: "?" }), { permissions });
    const session = await sendTo(scenario);
    expect(results(await scenario.log(session))[0]?.text).toMatch(/Nobody has answered/);
    expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({ status: "idle" });
  });
});

describe("several calls", () => {
  test("ask at once, and are answered in any order", async () => {
    const side = asking(async ({ ask }, n) => `${n}: ${say(await ask({ message: `Number ${n}?` }))}`, {
      parallel: true,
    });
    await using scenario = await start([side], calling(["asks", { n: 1 }], ["asks", { n: 2 }]));
    const session = await sendTo(scenario);
    const [first, second] = await openQuestions(scenario, session);
    expect([first?.request.message, second?.request.message]).toEqual(["Number 1?", "Number 2?"]);
    await session.answer(second?.id ?? "", { action: "respond", value: "b" });
    await atRest(scenario, session);
    expect(results(await scenario.log(session))).toEqual([{ outcome: "ok", text: '2: "b"' }]);
    await session.answer(first?.id ?? "", { action: "respond", value: "a" });
    await atRest(scenario, session);
    expect(results(await scenario.log(session))).toHaveLength(2);
  });

  test("that build on each other wait for the answer", async () => {
    const after = defineTool({
      name: "after",
      description: "",
      input: z.object({}),
      run: () => {
        seen.push("after");
        return "done";
      },
    });
    await using scenario = await start([once, after], calling(["asks", {}], ["after", {}]));
    const session = await sendTo(scenario);
    expect(seen).toEqual(["attempt 1 of op_"]);
    const { id } = await openQuestion(scenario, session);
    await session.answer(id, { action: "respond", value: "x" });
    await atRest(scenario, session);
    expect(seen).toEqual(["attempt 1 of op_", "attempt 2 of op_", "after"]);
  });

  test("one that was approved of keeps who did so", async () => {
    await using scenario = await start([once], oneCall, { permissions: {} });
    const session = await sendTo(scenario);
    const approval = await openQuestion(scenario, session);
    expect(approval.request.kind).toBe("approval");
    await session.answer(approval.id, { action: "approve" }, { actor: "ada" });
    await atRest(scenario, session);
    const question = await openQuestion(scenario, session);
    expect(question.request.kind).toBe("question");
    await session.answer(question.id, { action: "respond", value: "x" });
    await atRest(scenario, session);
    expect(ofType(await scenario.log(session), "toolStarted").map(({ permission }) => permission)).toEqual([
      { layer: "person", by: "ada" },
      { layer: "person", by: "ada" },
    ]);
  });
});
