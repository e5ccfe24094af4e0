import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { Agent } from "../../agents/agent.ts";
import { noUsage } from "../../log/content.ts";
import type { Effect, InterruptAnswer, InterruptRequest, NewEntry, OnExpire } from "../../log/entry.ts";
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
import { termsOf } from "../approvals/terms.ts";
import { nextCall } from "./next-call.ts";
import { bindingOf } from "./permit.ts";
import { planCall } from "./plan-call.ts";

/** What becomes of calls about which somebody is asked, or has answered. */

const pay = defineTool({
  name: "pay",
  description: "",
  input: z.object({ amount: z.number() }),
  run: () => "paid",
});
const look = { ...pay, name: "look", effect: "readonly" } as const;
const tell = { ...pay, name: "tell", parallel: true };
const tester = agentWith([pay, look], { policy: deciding("ask", { reason: "may it?", tools: ["pay"] }) });
const input = { amount: 1 };

function situationOf(facts: readonly NewEntry[], agent: Agent = tester, now = 20_000) {
  const state = fold(entries(...facts));
  if (state.run === null) throw new Error("there is no run");
  return { state, run: state.run, agent, now, added: [] };
}

function plans(facts: readonly NewEntry[], agent?: Agent) {
  const situation = situationOf(facts, agent);
  const open = situation.state.openCalls.filter(({ result }) => result === null);
  return open.map((each) => planCall(each, situation));
}

const ids = ["a", "b", "c"] as const;
const called = (...names: readonly string[]): readonly NewEntry[] => [
  created(),
  userSays("hi"),
  runStarts(),
  modelIsCalled(),
  modelSays(names.map((name, i) => call(ids[i] ?? "z", name, input))),
];

const asked = (callId = "a", changes: Partial<InterruptRequest> = {}): NewEntry => ({
  type: "interrupted",
  runId: "r1",
  interruptId: `int-${callId}`,
  request: {
    kind: "approval",
    message: "?",
    call: { callId, tool: "pay", input, risk: { reversibility: "hard", reach: "outside", why: [] } },
    permission: { layer: "rules", by: "ask: pay" },
    binding: bindingOf(pay, input, tester),
    ...changes,
  } as InterruptRequest,
});
const says = (answer: InterruptAnswer, callId = "a", actor = "ada"): NewEntry => ({
  type: "interruptResolved",
  interruptId: `int-${callId}`,
  answer,
  ...(answer.action === "expired" ? {} : { actor }),
});
const approve = (callId = "a") => says({ action: "approve" }, callId);
const expires = (onExpire: OnExpire) => says({ action: "expired", onExpire });

const byAda = { layer: "person", by: "ada" };
const askPerson = { type: "ask", whom: "person" };
const wait = { type: "wait" };

describe("a call that a person has to let start", () => {
  it.each<[string, readonly NewEntry[], object]>([
    [
      "is asked about",
      [],
      { ...askPerson, decision: { reason: "may it?" }, binding: expect.stringMatching(/^\w{32}$/) },
    ],
    ["waits while nobody answers", [asked()], wait],
    ["approve", [asked(), approve()], { type: "run", attempt: 1, input, permission: byAda }],
    [
      "edit",
      [asked(), says({ action: "edit", input: { amount: 5 } })],
      { type: "run", input: { amount: 5 }, permission: byAda },
    ],
    [
      "edit, into what does not fit",
      [asked(), says({ action: "edit", input: { amount: "5" } })],
      {
        type: "finish",
        outcome: "invalid",
        text: expect.stringContaining("a person has changed your arguments"),
      },
    ],
    [
      "reject",
      [asked(), says({ action: "reject", feedback: "too much" })],
      { type: "finish", outcome: "denied", permission: byAda, text: expect.stringContaining("too much") },
    ],
    [
      "respond",
      [asked(), says({ action: "respond", value: { paid: 1 } })],
      { type: "finish", outcome: "answered", permission: byAda, text: expect.stringContaining('{"paid":1}') },
    ],
    [
      "expired: deny",
      [asked(), expires("deny")],
      { type: "finish", outcome: "expired", text: expect.stringContaining("not a refusal") },
    ],
    [
      "expired: approve",
      [asked(), expires("approve")],
      { type: "run", permission: { layer: "person", by: expect.stringContaining("nobody in time") } },
    ],
    ["expired: askAgain", [asked(), expires("askAgain")], { ...askPerson, call: { rounds: 1 } }],
    ["expired: escalate", [asked(), expires("escalate")], { ...askPerson, call: { rounds: 1 } }],
    [
      "expired twice",
      [asked(), expires("askAgain"), asked(), expires("askAgain")],
      { ...askPerson, call: { rounds: 2 } },
    ],
    ["stale", [asked(), says({ action: "stale" })], askPerson],
    ["abandoned", [asked(), says({ action: "abandoned" })], { type: "finish", outcome: "expired" }],
    ["a stop", [asked(), stopIsAsked()], { type: "finish", outcome: "cancelled" }],
    [
      "a stop behind an approval",
      [asked(), approve(), stopIsAsked()],
      { type: "finish", outcome: "cancelled" },
    ],
    ["a message before it was asked about", [userSays("wait")], { type: "finish", outcome: "cancelled" }],
    ["a message while it is asked about", [asked(), userSays("wait")], wait],
    [
      "a message, and an approval",
      [asked(), userSays("wait"), approve()],
      { type: "run", permission: byAda },
    ],
  ])("%s", (_name, facts, plan) => {
    expect(plans([...called("pay"), ...facts])).toMatchObject([plan]);
  });
});

describe("an approval holds for what was asked", () => {
  const approved = [...called("pay"), asked(), approve()];
  const other = (changes: Partial<Agent>) => agentWith([pay, look], { policy: tester.policy, ...changes });

  it.each<[string, Agent, object]>([
    ["the same", tester, { type: "run" }],
    [
      "other rules, which still ask",
      other({ permissions: { ...tester.permissions, fingerprint: "new" } }),
      askPerson,
    ],
    [
      "another schema",
      agentWith([{ ...pay, inputSchema: { type: "object" } }], { policy: tester.policy }),
      askPerson,
    ],
    ["another effect", agentWith([{ ...pay, effect: "keyed" }], { policy: tester.policy }), askPerson],
    [
      "rules that forbid it by now",
      other({ policy: deciding("deny") }),
      { type: "finish", outcome: "denied" },
    ],
    [
      "rules that allow it by now",
      other({ policy: deciding("allow") }),
      { type: "run", permission: { layer: "rules", by: "allow: pay" } },
    ],
    ["a tool that is gone", agentWith([]), { type: "finish", outcome: "invalid" }],
  ])("%s", (_name, agent, plan) => {
    expect(plans(approved, agent)).toMatchObject([plan]);
  });

  it("and no other arguments", () => {
    const changed: NewEntry = {
      type: "hookDecided",
      runId: "r1",
      hook: "cap",
      point: "beforeTool",
      subject: "a",
      decision: "change",
      blocks: false,
      input: { amount: 9 },
      durationMs: 1,
    };
    expect(plans([...approved, changed])).toMatchObject([{ ...askPerson, call: { input: { amount: 9 } } }]);
  });
});

describe("who else decides", () => {
  const hook = (more: object): NewEntry => ({
    type: "hookDecided",
    runId: "r1",
    hook: "guard",
    point: "beforeTool",
    subject: "a",
    decision: "ask",
    blocks: false,
    durationMs: 1,
    ...more,
  });
  const allowing = agentWith([pay, look]);
  const silent = (mode: "dontAsk" | "default", policy = deciding("allow")) =>
    agentWith([pay, look], { policy, permissions: { ...tester.permissions, mode } });

  it.each<[string, Agent, NewEntry, object]>([
    [
      "a hook asks where rules allow",
      allowing,
      hook({ reason: "Friday" }),
      { ...askPerson, decision: { reason: "Friday", permission: { layer: "hook", by: "guard" } } },
    ],
    [
      "what rules deny no hook asks about",
      silent("default", deciding("deny")),
      hook({}),
      { outcome: "denied" },
    ],
    [
      "where nobody is asked, what a hook wants to be asked about is refused",
      silent("dontAsk"),
      hook({}),
      { type: "finish", outcome: "denied", permission: { layer: "hook", by: "guard" } },
    ],
    [
      "a hook's veto stands above rules",
      allowing,
      hook({ decision: "veto", blocks: true }),
      { outcome: "denied" },
    ],
  ])("%s", (_name, agent, fact, plan) => {
    expect(plans([...called("pay"), fact], agent)).toMatchObject([plan]);
  });

  it("an approval answers a hook's question, too", () => {
    const request = { permission: { layer: "hook", by: "guard" } as const };
    const facts = [...called("pay"), hook({}), asked("a", request), approve()];
    expect(plans(facts, allowing)).toMatchObject([{ type: "run", permission: byAda }]);
  });

  const open = agentWith([pay, look], { policy: deciding("classify", { tools: ["pay"] }) });
  const classified = (
    decision: "allow" | "ask" | "deny",
    binding = bindingOf(pay, input, open),
  ): NewEntry => ({
    type: "callClassified",
    runId: "r1",
    callId: "a",
    binding,
    decision,
    reason: "so it seems",
    model: "m",
    usage: noUsage,
    costUsd: 0,
    durationMs: 1,
  });
  const byClassifier = { layer: "classifier", by: "so it seems" };

  it.each<[string, readonly NewEntry[], object]>([
    ["a classifier first", [], { type: "ask", whom: "classifier" }],
    ["allow", [classified("allow")], { type: "run", permission: byClassifier }],
    ["deny", [classified("deny")], { outcome: "denied", permission: byClassifier }],
    [
      "ask",
      [classified("ask")],
      { ...askPerson, decision: { reason: "so it seems", permission: byClassifier } },
    ],
    ["about something else", [classified("allow", "other")], { type: "ask", whom: "classifier" }],
    ["then a person", [classified("ask"), asked(), approve()], { type: "run", permission: byAda }],
  ])("a classifier: %s", (_name, facts, plan) => {
    expect(plans([...called("pay"), ...facts], open)).toMatchObject([plan]);
  });
});

describe("a question that nobody could answer", () => {
  const terms = (approvals: Partial<Agent["approvals"]>, policy = tester.policy) =>
    agentWith([pay, look], { policy, approvals: { ...tester.approvals, ...approvals } });
  const said = (actor: string): NewEntry => ({ type: "userMessage", blocks: [], inboxId: actor, actor });
  const byAdaAndBob = [created(), said("ada"), said("bob")];
  const facts = [...byAdaAndBob, ...called("pay").slice(2)];
  const excluding = { excludeRequester: true, approvers: ["ada", "bob"] };
  const refusal = {
    type: "finish",
    outcome: "denied",
    permission: { layer: "person", by: "nobody may answer" },
    text: expect.stringContaining("ada, bob"),
  };

  it.each<[string, Agent, object]>([
    ["is not asked", terms(excluding), refusal],
    [
      "nor where too few are left",
      terms({ ...excluding, approvers: ["ada", "bob", "eve"], quorum: 2 }),
      refusal,
    ],
    ["where somebody is left it is", terms({ ...excluding, approvers: ["ada", "eve"] }), askPerson],
    ["and where anybody may", terms({ excludeRequester: true }), askPerson],
    [
      "and where time answers in their place",
      terms({ ...excluding, onExpire: "approve", expiresAfterMs: 1 }),
      askPerson,
    ],
    [
      "what rules forbid is forbidden by them",
      terms(excluding, deciding("deny")),
      { permission: { layer: "rules" } },
    ],
  ])("%s", (_name, agent, plan) => {
    expect(plans(facts, agent)).toMatchObject([plan]);
  });

  it("goes at once to those above them", () => {
    const agent = terms({ ...excluding, onExpire: "escalate", escalateTo: ["eve"], expiresAfterMs: 9 });
    expect(plans(facts, agent)).toMatchObject([askPerson]);
    const { run } = situationOf(facts, agent);
    expect(termsOf(agent, run, { rounds: 0, askedAt: null }, 1)).toMatchObject({
      approvers: ["eve"],
      expiresAt: 10,
      onExpire: "deny",
    });
  });

  it("about an outcome is not asked either", () => {
    const agent = terms({ ...excluding, unknownOutcome: "ask" }, deciding("allow"));
    expect(plans([...facts, toolStarts("a", "pay", "once")], agent)).toMatchObject([{ outcome: "unknown" }]);
  });
});

describe("several calls that are asked about", () => {
  const both = [...called("pay", "pay"), asked("a"), asked("b")];
  const reject = (callId: string) => says({ action: "reject" }, callId);
  const denied = (callId: string) => toolEnds(callId, "pay", "no", "denied");

  it("can be answered in any order; each keeps its own answer", () => {
    expect(plans([...both, approve("b"), reject("a")])).toMatchObject([
      { outcome: "denied" },
      { type: "run" },
    ]);
    expect(plans([...both, reject("b"), approve("a")])).toMatchObject([
      { type: "run" },
      { outcome: "denied" },
    ]);
  });

  it("one that was rejected does not take with it one that was approved", () => {
    expect(plans([...both, reject("a"), approve("b"), denied("a")])).toMatchObject([{ type: "run" }]);
  });

  it("one that was approved and failed takes the other with it", () => {
    const failed = [toolStarts("a", "pay", "once"), toolEnds("a", "pay", "broken", "error")];
    expect(plans([...both, approve("a"), approve("b"), ...failed])).toMatchObject([
      { type: "finish", outcome: "cancelled", text: expect.stringContaining("did not succeed") },
    ]);
  });
});

describe("which call is next", () => {
  function next(
    facts: readonly NewEntry[],
    underWay: Readonly<Record<string, boolean>> = {},
    agent = tester,
  ) {
    const situation = situationOf(facts, agent);
    const plan = (each: (typeof situation.state.openCalls)[number]) => planCall(each, situation);
    const due = nextCall(situation.state.openCalls, new Map(Object.entries(underWay)), plan, agent);
    return due === null ? null : `${due.type}${due.type === "ask" ? ` ${due.whom}` : ""} ${due.call.callId}`;
  }
  const classifying = agentWith([pay, look, tell], {
    policy: deciding("classify", { tools: ["pay", "tell"] }),
  });
  const all = agentWith([pay, look]);

  it.each<[string, readonly NewEntry[], Record<string, boolean>, Agent, string | null]>([
    ["what reads runs beside others", called("look", "look"), { a: true }, all, "run b"],
    ["what writes waits for what is before it", called("look", "pay"), { a: true }, all, null],
    ["and lets nothing pass", called("pay", "look"), { a: false }, all, null],
    ["a person is asked about it when it is its turn", called("pay", "pay"), {}, tester, "ask person a"],
    [
      "about the next one, too, while the first waits",
      [...called("pay", "pay"), asked("a")],
      {},
      tester,
      "ask person b",
    ],
    ["nothing is left when all wait", [...called("pay", "pay"), asked("a"), asked("b")], {}, tester, null],
    ["what reads does not wait for an answer", [...called("pay", "look"), asked("a")], {}, tester, "run b"],
    [
      "the second does not start before the first has its answer",
      [...called("pay", "pay"), asked("a"), asked("b"), approve("b")],
      {},
      tester,
      null,
    ],
    [
      "both go in their order",
      [...called("pay", "pay"), asked("a"), asked("b"), approve("b"), approve("a")],
      {},
      tester,
      "run a",
    ],
    [
      "a classifier is asked when nothing is under way",
      called("look", "tell"),
      { a: true },
      classifying,
      null,
    ],
    ["what it is not asked about goes on", called("tell", "look", "look"), { b: true }, classifying, "run c"],
    ["and then", called("pay", "pay"), {}, classifying, "ask classifier a"],
    ["and lets nothing pass", called("pay", "look"), { a: false }, classifying, null],
  ])("%s", (_name, facts, underWay, agent, expected) => {
    expect(next(facts, underWay, agent)).toBe(expected);
  });
});

describe("a call of which nobody knows what became of it, where people are asked", () => {
  const careful = agentWith([pay, look], { approvals: { ...tester.approvals, unknownOutcome: "ask" } });
  const lost = (effect: Effect = "once"): readonly NewEntry[] => [
    ...called("pay"),
    toolStarts("a", "pay", effect),
  ];
  const outcome = asked("a", { kind: "outcome" });

  it.each<[string, readonly NewEntry[], object]>([
    ["is asked about", [], { type: "askOutcome", why: expect.stringContaining("must not be repeated") }],
    ["waits", [outcome], wait],
    [
      "done",
      [outcome, says({ action: "done", note: "paid on Friday" })],
      {
        type: "finish",
        outcome: "answered",
        permission: byAda,
        text: expect.stringContaining("paid on Friday"),
      },
    ],
    ["retry", [outcome, says({ action: "retry" })], { type: "run", attempt: 2, permission: byAda }],
    ["skip", [outcome, says({ action: "skip" })], { type: "finish", outcome: "unknown" }],
    ["nobody in time", [outcome, expires("deny")], { type: "finish", outcome: "unknown" }],
    ["a stop", [outcome, stopIsAsked()], { type: "finish", outcome: "unknown" }],
    [
      "a retry that is lost, too, is asked about anew",
      [outcome, says({ action: "retry" }), toolStarts("a", "pay", "once", 2)],
      { type: "askOutcome" },
    ],
  ])("%s", (_name, facts, plan) => {
    expect(plans([...lost(), ...facts], careful)).toMatchObject([plan]);
  });

  it("is not tried again where rules forbid it by now, whatever a person has said", () => {
    const forbidding = agentWith([pay, look], {
      ...careful,
      policy: deciding("deny", { reason: "forbidden", tools: ["pay"] }),
      tools: careful.tools,
    });
    expect(plans([...lost(), outcome, says({ action: "retry" })], forbidding)).toMatchObject([
      {
        type: "finish",
        outcome: "unknown",
        text: expect.stringContaining("forbidden"),
        permission: { layer: "rules", by: "deny: pay" },
      },
    ]);
    expect(plans([...lost(), outcome, says({ action: "done" })], forbidding)).toMatchObject([
      { type: "finish", outcome: "answered" },
    ]);
  });

  it("is not asked about where it can be run again", () => {
    expect(plans(lost("keyed"), careful)).toMatchObject([{ type: "run", attempt: 2 }]);
  });

  it("is asked about although it had been approved before it started", () => {
    const careless = agentWith([pay, look], { ...careful, policy: tester.policy, tools: careful.tools });
    const facts = [...called("pay"), asked(), approve(), toolStarts("a", "pay", "once")];
    expect(plans(facts, careless)).toMatchObject([{ type: "askOutcome" }]);
  });
});

describe("a call that waits for the answer to its own question", () => {
  const suspended = [...called("pay"), toolStarts("a", "pay", "once"), asked("a", { kind: "question" })];
  const answer = says({ action: "respond", value: "x" });
  const allowing = agentWith([pay, look]);

  it.each<[string, readonly NewEntry[], object]>([
    ["waits", [], wait],
    [
      "begins again with the answer",
      [answer],
      { type: "run", attempt: 2, call: { answers: [{ actor: "ada" }] } },
    ],
    [
      "is refused: rejected or not, the tool hears of it",
      [says({ action: "reject" })],
      { type: "run", attempt: 2 },
    ],
    ["expired: the tool hears of it", [expires("deny")], { type: "run", call: { answers: [{}], rounds: 0 } }],
    [
      "expired: asked again by the tool itself",
      [expires("escalate")],
      { type: "run", call: { answers: [], rounds: 1 } },
    ],
    ["a stop", [stopIsAsked()], { type: "finish", outcome: "cancelled" }],
    [
      "given up",
      [says({ action: "abandoned" })],
      {
        type: "finish",
        outcome: "expired",
        text: expect.stringContaining("nobody has answered for so long"),
      },
    ],
    ["a message", [userSays("wait")], wait],
    [
      "that has started again and was lost",
      [answer, toolStarts("a", "pay", "once", 2)],
      { type: "finish", outcome: "unknown" },
    ],
  ])("%s", (_name, facts, plan) => {
    expect(plans([...suspended, ...facts], allowing)).toMatchObject([plan]);
  });

  it("is asked about where that is needed by now: it has done nothing yet", () => {
    expect(plans([...suspended, answer])).toMatchObject([askPerson]);
    const approved = [...suspended, answer, asked(), approve()];
    expect(plans(approved)).toMatchObject([
      { type: "run", attempt: 2, permission: byAda, call: { answers: [{ actor: "ada" }] } },
    ]);
    expect(plans([...suspended, answer, asked(), says({ action: "reject" })])).toMatchObject([
      { type: "finish", outcome: "denied" },
    ]);
  });

  it("begins again by the same permission", () => {
    const approved = [...called("pay"), asked(), approve(), toolStarts("a", "pay", "once")];
    const facts = [...approved, asked("a", { kind: "question" }), answer];
    expect(plans(facts)).toMatchObject([{ type: "run", attempt: 2, permission: byAda }]);
  });
});
