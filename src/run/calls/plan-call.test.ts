import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { Effect, NewEntry } from "../../log/entry.ts";
import { fold } from "../../log/fold.ts";
import { agentWith, deciding } from "../../testing/agent-builder.ts";
import {
  call,
  created,
  entries,
  modelIsCalled,
  modelSays,
  runStarts,
  stopIsAsked,
  toolEnds,
  toolStarts,
  userSays,
} from "../../testing/log-builder.ts";
import { defineTool } from "../../tools/define.ts";
import { planCall } from "./plan-call.ts";

const pay = defineTool({
  name: "pay",
  description: "",
  input: z.object({ amount: z.number() }),
  run: () => "paid",
  reconcile: async () => ({ type: "notStarted" }),
});
const look = { ...pay, name: "look", effect: "readonly" } as const;
const notify = { ...pay, name: "notify", parallel: true };
const forbidden = { ...pay, name: "forbidden" };
const tester = agentWith([pay, look, notify, forbidden], {
  policy: deciding("deny", { reason: "not here", tools: ["forbidden"] }),
});

/** The run began 2 s after the log did, and may take a minute. */
const TIME_IS_UP = 62_000;

/** What is to be done about each call without a result, were it asked for now. */
function plans(facts: readonly NewEntry[], agent = tester, now = 10_000) {
  const state = fold(entries(...facts));
  const { run } = state;
  if (run === null) throw new Error("there is no run");
  const open = state.openCalls.filter(({ result }) => result === null);
  return open.map((each) => planCall(each, { state, run, agent, now, added: [] }));
}

const called = (...names: readonly string[]): readonly NewEntry[] => [
  created(),
  userSays("hi"),
  runStarts(),
  modelIsCalled(),
  modelSays(names.map((name, i) => call("abcdefgh".charAt(i), name, { amount: 1 }))),
];
const payCall = (input: unknown): readonly NewEntry[] => [
  ...called().slice(0, -1),
  modelSays([call("a", "pay", input)]),
];

describe("a call through call_tool", () => {
  const through = (name: string, input: unknown): readonly NewEntry[] => [
    ...called().slice(0, -1),
    modelSays([call("a", "call_tool", { name, arguments: input })]),
  ];

  it.each<[string, string, unknown, object]>([
    ["runs the tool with its arguments", "pay", { amount: 1 }, { type: "run", input: { amount: 1 } }],
    ["is checked against the tool's schema", "pay", { amount: "1" }, { outcome: "invalid" }],
    ["is under the rules for the tool", "forbidden", { amount: 1 }, { outcome: "denied" }],
    ["cannot name one that there is not", "fly", {}, { outcome: "invalid" }],
    [
      "cannot name itself",
      "call_tool",
      { name: "pay", arguments: {} },
      { type: "run", tool: { name: "call_tool" } },
    ],
  ])("%s", (_name, tool, input, plan) => {
    expect(plans(through(tool, input))).toMatchObject([plan]);
  });

  it("is taken up after a crash as a call of the tool", () => {
    const facts = [...through("pay", { amount: 1 }), toolStarts("a", "pay", "reconcile")];
    expect(plans(facts)).toMatchObject([{ type: "reconcile", tool: { name: "pay" }, input: { amount: 1 } }]);
  });
});

describe("a call that has not started", () => {
  it("runs with checked arguments", () => {
    expect(plans(called("pay"))).toMatchObject([{ type: "run", attempt: 1, input: { amount: 1 } }]);
  });

  const malformed = { type: "toolCall", callId: "a", name: "pay", input: {}, malformed: "{" } as const;

  it.each<[string, readonly NewEntry[], string, RegExp]>([
    ["arguments that do not fit", payCall({ amount: "1" }), "invalid", /expected number/],
    ["an unknown tool", called("fly"), "invalid", /no tool named "fly"/],
    ["a rule", called("forbidden"), "denied", /not here/],
    ["a stop", [...called("pay"), stopIsAsked()], "cancelled", /the run was stopped/],
    ["a message", [...called("pay"), userSays("wait")], "cancelled", /the user has sent a message/],
    [
      "arguments that are not JSON",
      [...called().slice(0, -1), modelSays([malformed])],
      "invalid",
      /not valid JSON/,
    ],
  ])("is answered without being started: %s", (_name, facts, outcome, text) => {
    expect(plans(facts)).toMatchObject([{ type: "finish", outcome, text: expect.stringMatching(text) }]);
  });

  it("is not started when the time of the run is up", () => {
    expect(plans(called("pay"), tester, TIME_IS_UP - 1)).toMatchObject([{ type: "run" }]);
    expect(plans(called("pay"), tester, TIME_IS_UP)).toMatchObject([
      { type: "finish", outcome: "cancelled", text: expect.stringContaining("time limit") },
    ]);
  });

  it("runs although a message is to be answered after the run", () => {
    const later = { ...userSays("later"), delivery: "followUp" } as NewEntry;
    expect(plans([...called("pay"), later])).toMatchObject([{ type: "run" }]);
  });
});

describe("a call behind one that did not succeed", () => {
  const ended = (name: string, outcome: Parameters<typeof toolEnds>[3]) => toolEnds("a", name, "no", outcome);

  it.each(["error", "timedOut", "unknown", "cancelled", "invalid", "denied"] as const)(
    "that writes is not started: %s",
    (outcome) => {
      expect(plans([...called("pay", "look"), ended("pay", outcome)])).toMatchObject([
        { type: "finish", outcome: "cancelled", text: expect.stringMatching(/^Not started: pay \(a\)/) },
      ]);
    },
  );

  it.each([
    ["only reads", "look"],
    ["has nothing to do with others", "notify"],
  ])("that %s is started", (_what, name) => {
    expect(plans([...called(name, "pay"), ended(name, "error")])).toMatchObject([{ type: "run" }]);
  });

  it("is not started when nobody knows the other one's tool", () => {
    expect(plans([...called("fly", "pay"), ended("fly", "invalid")])).toMatchObject([
      { type: "finish", outcome: "cancelled" },
    ]);
  });

  it("is told what is wrong with itself, if that would have kept it from starting, too", () => {
    expect(plans([...called("pay", "fly"), ended("pay", "error")])).toMatchObject([{ outcome: "invalid" }]);
  });

  it("is started when the other one comes after it", () => {
    const facts = [...called("look", "pay"), toolEnds("b", "pay", "no", "error")];
    expect(plans(facts)).toMatchObject([{ type: "run", call: { callId: "a" } }]);
  });
});

describe("a call that had started when its node died", () => {
  const started = (effect: Effect): readonly NewEntry[] => [...called("pay"), toolStarts("a", "pay", effect)];

  it.each<[Effect, object]>([
    ["readonly", { type: "run", attempt: 2 }],
    ["idempotent", { type: "run", attempt: 2 }],
    ["keyed", { type: "run", attempt: 2, call: { started: { operationId: "op-a" } } }],
    ["reconcile", { type: "reconcile", denied: null }],
    ["once", { type: "finish", outcome: "unknown", text: expect.stringContaining("NOT repeated") }],
  ])("%s", (effect, plan) => {
    expect(plans(started(effect))).toMatchObject([plan]);
  });

  it("counts as what it was started as, whatever the tool says today", () => {
    const readonlyNow = agentWith([{ ...pay, effect: "readonly" }]);
    expect(plans(started("once"), readonlyNow)).toMatchObject([{ type: "finish", outcome: "unknown" }]);
  });

  describe("that a rule does not allow any more", () => {
    const strict = { ...tester, policy: deciding("deny", { reason: "not any more" }) };
    const unknown = { type: "finish", outcome: "unknown", text: expect.stringContaining("not any more") };

    it.each<[Effect, object]>([
      ["readonly", { type: "finish", outcome: "denied" }],
      ["idempotent", unknown],
      ["keyed", unknown],
      ["reconcile", { type: "reconcile", denied: "not any more" }],
    ])("is not run again: %s", (effect, plan) => {
      expect(plans(started(effect), strict)).toMatchObject([plan]);
    });
  });

  it("is unknown when the tool is gone", () => {
    expect(plans(started("keyed"), agentWith([]))).toMatchObject([{ type: "finish", outcome: "unknown" }]);
  });

  it("is reconciled even when the run was stopped or its time is up, so that what goes on is ended", () => {
    expect(plans([...started("reconcile"), stopIsAsked()])).toMatchObject([{ type: "reconcile" }]);
    expect(plans(started("reconcile"), tester, TIME_IS_UP)).toMatchObject([{ type: "reconcile" }]);
  });

  it("is not run again when the run was stopped or its time is up", () => {
    const finish = { type: "finish", outcome: "cancelled" };
    expect(plans([...started("keyed"), stopIsAsked()])).toMatchObject([finish]);
    expect(plans(started("keyed"), tester, TIME_IS_UP)).toMatchObject([finish]);
  });

  it("is taken care of although a message has arrived", () => {
    expect(plans([...started("keyed"), userSays("wait")])).toMatchObject([{ type: "run", attempt: 2 }]);
  });
});
