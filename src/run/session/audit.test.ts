import { describe, expect, it } from "vitest";
import { noUsage } from "../../log/content.ts";
import type { InterruptAnswer, NewEntry, Permission, Risk } from "../../log/entry.ts";
import {
  answerPart,
  call,
  created,
  entries,
  modelIsCalled,
  modelSays,
  runStarts,
  toolEnds,
  toolStarts,
  userSays,
} from "../../testing/log-builder.ts";
import { createAuditTally } from "./audit-summary.ts";
import { createDecisionReader, type DecidedCall } from "./decided-calls.ts";

const risk: Risk = { reversibility: "hard", reach: "outside", why: ["asked"] };
const guessed: Risk = { reversibility: "none", reach: "workspace", why: [] };

const started = (callId: string, layer: Permission["layer"], by: string, attempt = 1): NewEntry =>
  ({ ...toolStarts(callId, "pay", "once", attempt), permission: { layer, by } }) as NewEntry;
const refused = (callId: string, layer: Permission["layer"], by: string): NewEntry =>
  ({ ...toolEnds(callId, "pay", "no", "denied"), details: { permission: { layer, by } } }) as NewEntry;
const classified = (callId: string, more: object = {}): NewEntry => ({
  type: "callClassified",
  runId: "r1",
  callId,
  binding: "b",
  decision: "ask",
  reason: "unsure",
  model: "m",
  usage: noUsage,
  costUsd: 0.5,
  durationMs: 1,
  ...more,
});
const asked = (callId: string): NewEntry => ({
  type: "interrupted",
  runId: "r1",
  interruptId: `int-${callId}`,
  request: {
    kind: "approval",
    message: "?",
    call: { callId, tool: "pay", input: {}, risk },
    permission: { layer: "mode", by: "mode auto" },
    binding: "b",
  },
});
const answered = (callId: string, answer: InterruptAnswer, waitedMs: number): NewEntry => ({
  type: "interruptResolved",
  interruptId: `int-${callId}`,
  answer,
  actor: "ada",
  channel: "http",
  waitedMs,
});
const called = (...ids: readonly string[]): readonly NewEntry[] => [
  created(),
  userSays("hi"),
  runStarts(),
  modelIsCalled(),
  modelSays(ids.map((id) => call(id, "pay", { to: id }))),
];

function decided(facts: readonly NewEntry[], session = "s"): readonly DecidedCall[] {
  const reader = createDecisionReader({ id: session, agent: "tester" }, () => guessed);
  return entries(...facts).flatMap((entry) => reader.add(entry) ?? []);
}

describe("a decided call", () => {
  it("says what had the last word, and everybody who had a say", () => {
    const facts = [
      ...called("a"),
      classified("a"),
      asked("a"),
      answered("a", { action: "approve" }, 4_000),
      started("a", "person", "ada"),
      toolEnds("a", "pay"),
    ];
    expect(decided(facts)).toEqual([
      {
        sessionId: "s",
        agent: "tester",
        runId: "r1",
        callId: "a",
        tool: "pay",
        at: 8_000,
        risk,
        outcome: "started",
        layer: "person",
        by: "ada",
        classifier: { decision: "ask", reason: "unsure" },
        person: { action: "approve", actor: "ada", channel: "http", waitedMs: 4_000 },
      },
    ]);
  });

  it.each<[string, readonly NewEntry[], object[]]>([
    [
      "nobody was asked",
      [started("a", "rules", "allow: pay")],
      [{ risk: guessed, classifier: null, person: null }],
    ],
    ["it is refused", [refused("a", "rules", "deny: pay")], [{ outcome: "refused", layer: "rules" }]],
    [
      "a person has answered in its place",
      [{ ...refused("a", "person", "ada"), outcome: "answered" } as NewEntry],
      [{ outcome: "answered" }],
    ],
    ["it is started again", [started("a", "mode", "x"), started("a", "mode", "x", 2)], [{ layer: "mode" }]],
    [
      "it comes from a release without permissions",
      [toolStarts("a", "pay", "once"), toolEnds("a", "pay")],
      [],
    ],
    ["it was never decided about", [toolEnds("a", "pay", "stopped", "cancelled")], []],
    [
      "what was asked was stale, and asked again",
      [
        asked("a"),
        answered("a", { action: "stale" }, 9_000),
        asked("a"),
        answered("a", { action: "reject" }, 1_000),
        refused("a", "person", "ada"),
      ],
      [{ person: { action: "reject", waitedMs: 1_000 } }],
    ],
  ])("when %s", (_name, facts, expected) => {
    expect(decided([...called("a"), ...facts])).toMatchObject(expected);
  });

  it("counts once, also where its answer was recorded in parts", () => {
    const facts = [...called().slice(0, -1), answerPart([call("a", "pay")]), started("a", "mode", "x")];
    const whole = modelSays([call("a", "pay")]);
    expect(decided([...facts, whole, toolEnds("a", "pay")])).toHaveLength(1);
  });

  it("is one of the session that it was decided in, not of its forks", () => {
    expect(decided([...called("a"), started("a", "mode", "x")], "fork")).toEqual([]);
  });
});

describe("the summary", () => {
  const person = (action: "approve" | "reject" | "expired", waitedMs: number): DecidedCall => ({
    ...base,
    layer: "person",
    by: "ada",
    outcome: action === "approve" ? "started" : "refused",
    classifier: { decision: "ask", reason: "" },
    person: { action, actor: "ada", channel: null, waitedMs },
  });
  const base: DecidedCall = {
    sessionId: "s",
    agent: "tester",
    runId: "r",
    callId: "c",
    tool: "pay",
    at: 0,
    risk: null,
    outcome: "started",
    layer: "rules",
    by: "allow: pay (harness.json)",
    classifier: null,
    person: null,
  };

  function summaryOf(calls: readonly DecidedCall[]) {
    const tally = createAuditTally();
    tally.session();
    for (const each of calls) tally.call(each);
    return tally.summary([
      { name: "tester", rules: ["allow: pay (harness.json)", "deny: fly (harness.json)"] },
    ]);
  }

  it("counts by layer and outcome, in the order of the layers", () => {
    const calls = [
      person("approve", 1),
      base,
      base,
      { ...base, outcome: "refused", by: "deny: fly" } as const,
    ];
    expect(summaryOf(calls)).toMatchObject({
      sessions: 1,
      calls: 4,
      layers: [
        { layer: "rules", started: 2, refused: 1, answered: 0 },
        { layer: "person", started: 1, refused: 0, answered: 0 },
      ],
    });
  });

  it("says how a classifier compares with people; one that has failed has said nothing", () => {
    const failed = {
      ...person("reject", 1),
      classifier: { decision: "ask", reason: "", failed: true },
    } as const;
    const denied = { ...person("approve", 1), classifier: { decision: "deny", reason: "" } } as const;
    const calls = [person("approve", 1), person("approve", 1), person("reject", 1), denied, failed];
    expect(summaryOf(calls).classifier.agreement).toEqual([
      { classifier: "ask", people: { approve: 2, edit: 0, reject: 1, respond: 0, expired: 0 } },
      { classifier: "deny", people: { approve: 1, edit: 0, reject: 0, respond: 0, expired: 0 } },
    ]);
  });

  it.each<[readonly number[], number | null, number | null]>([
    [[], null, null],
    [[7], 7, 7],
    [[3, 1, 2], 2, 3],
    [Array.from({ length: 100 }, (_, i) => 100 - i), 50, 95],
  ])("says how long people took: %j", (waits, medianMs, p95Ms) => {
    const summary = summaryOf([...waits.map((ms) => person("approve", ms)), person("expired", 1e9)]);
    expect(summary.people).toEqual({ answered: waits.length, expired: 1, medianMs, p95Ms });
  });

  it("names the rules that decided most, and those that decided nothing", () => {
    const together = { ...base, by: "allow: pay (harness.json), allow: shell(a, b) (this session)" };
    const { rules, unusedRules } = summaryOf([base, together]);
    expect(rules).toEqual([
      { rule: "allow: pay (harness.json)", calls: 2 },
      { rule: "allow: shell(a, b) (this session)", calls: 1 },
    ]);
    expect(unusedRules).toEqual([{ agent: "tester", rule: "deny: fly (harness.json)" }]);
  });

  it("counts what the classifier was asked, from memory and in vain", () => {
    const tally = createAuditTally();
    for (const more of [{}, { model: null, costUsd: 0 }, { failed: true, costUsd: 0 }, { costUsd: null }]) {
      const [entry] = entries(classified("a", more));
      if (entry?.type === "callClassified") tally.classified(entry);
    }
    expect(tally.summary([]).classifier).toMatchObject({ asked: 2, reused: 1, failed: 1, costUsd: 0.5 });
  });
});
