import { describe, expect, it } from "vitest";
import {
  call,
  created,
  entries,
  modelIsCalled,
  modelSays,
  runEnds,
  runStarts,
  text,
  toolEnds,
  userSays,
} from "../testing/log-builder.ts";
import { noUsage } from "./content.ts";
import type { NewEntry } from "./entry.ts";
import { fold } from "./fold.ts";
import { noteText } from "./notes.ts";
import { carriedState } from "./state.ts";

const classified = (callId: string, binding: string, more: object = {}): NewEntry => ({
  type: "callClassified",
  runId: "r1",
  callId,
  binding,
  decision: "allow",
  reason: "asked for",
  model: "m",
  usage: { ...noUsage, input: 100 },
  costUsd: 0.25,
  durationMs: 5,
  ...more,
});
const isAsked: NewEntry = {
  ...modelIsCalled(),
  purpose: "classification",
  reservation: { usd: 2, budgets: [] },
} as NewEntry;
const answer = { ...modelSays([call("a", "pay")]), costUsd: 0 } as NewEntry;
const called = [created(), userSays("hi"), runStarts(), modelIsCalled(), answer];

describe("a decision of a classifier", () => {
  it("is about its call, costs what it cost, and is no turn", () => {
    const state = fold(entries(...called, isAsked, classified("a", "b1")));
    expect(state.openCalls).toMatchObject([{ callId: "a", classified: { decision: "allow" } }]);
    expect(state).toMatchObject({ costUsd: 0.25, usage: { input: 100 } });
    expect(state.run).toMatchObject({ turns: 1, calling: false, reservedUsd: 0, costUsd: 0.25 });
  });

  it("is remembered for the same call until a person says something", () => {
    const asked = [...called, isAsked, classified("a", "b1"), toolEnds("a", "pay")];
    expect([...fold(entries(...asked)).classified.keys()]).toEqual(["b1"]);
    const answered = [...asked, modelIsCalled(), modelSays([text("done")]), runEnds()];
    expect([...fold(entries(...answered)).classified.keys()]).toEqual(["b1"]);
    expect(fold(entries(...answered, userSays("no, stop"))).classified.size).toBe(0);
  });

  it("outlives no message that joins the transcript while its call is open", () => {
    const steered = [...called, isAsked, classified("a", "b1"), userSays("no"), toolEnds("a", "pay")];
    expect(fold(entries(...steered)).classified.size).toBe(0);
  });

  it("is not remembered where none has answered", () => {
    const failed = fold(entries(...called, classified("a", "b1", { failed: true, decision: "ask" })));
    expect(failed.classified.size).toBe(0);
    expect(failed.openCalls).toMatchObject([{ classified: { failed: true } }]);
  });

  it("that was lost in a crash counts at the most that it can have cost, and is not there", () => {
    const resumed: NewEntry = { type: "runResumed", runId: "r1", nodeId: "n", epoch: 2, lostCall: true };
    expect(fold(entries(...called, isAsked)).run?.calling).toBe(true);
    const state = fold(entries(...called, isAsked, resumed));
    expect(state).toMatchObject({ lostUsd: 2, unpricedCalls: 1 });
    expect(state.run?.calling).toBe(false);
    expect(state.openCalls).toMatchObject([{ classified: null }]);
  });
});

describe("what people have said", () => {
  const says = (n: number) => [userSays(`message ${n}`, `in-${n}`), runStarts(`r${n}`), runEnds()];

  it("is remembered: the last of it, each message cut", () => {
    const talk = [1, 2, 3, 4, 5, 6, 7].flatMap(says);
    const state = fold(entries(created(), ...talk, userSays("x".repeat(3_000), "long")));
    expect(state.said.map(({ text: said }) => said.slice(0, 9))).toEqual([
      "message 3",
      "message 4",
      "message 5",
      "message 6",
      "message 7",
      "xxxxxxxxx",
    ]);
    expect(state.said.at(-1)?.text).toMatch(/^x{2000} \[\.\.\. 1000 characters more\]$/);
  });

  it("is not what hooks or the runtime say, nor a message that was withheld", () => {
    const note: NewEntry = { type: "contextAdded", source: "environment", text: "a new day" };
    const withheld: NewEntry = {
      type: "hookDecided",
      runId: "r1",
      hook: "guard",
      point: "input",
      subject: "in-hi",
      decision: "veto",
      blocks: true,
      durationMs: 1,
    };
    const before = [created(), userSays("hi"), runStarts(), note];
    expect(fold(entries(...before)).said).toEqual([{ inboxId: "in-hi", text: "hi" }]);
    expect(fold(entries(...before, withheld)).said).toEqual([]);
  });

  it("survives a compaction; what was decided does not", () => {
    const before = entries(...called, classified("a", "b1"), toolEnds("a", "pay"));
    const summary = {
      role: "user",
      blocks: [{ type: "text", text: noteText("context", "so far") }],
    } as const;
    const compacted: NewEntry = {
      type: "compacted",
      runId: "r1",
      tier: "summary",
      messages: [summary],
      carried: carriedState(fold(before)),
      tokensBefore: 9,
      tokensAfter: 1,
      usage: noUsage,
      costUsd: 0,
    };
    const all = entries(...called, classified("a", "b1"), toolEnds("a", "pay"), compacted);
    expect(fold(all)).toMatchObject({ said: [{ inboxId: "in-hi", text: "hi" }], classified: new Map() });
    expect(fold(all.slice(-1)).said).toEqual(fold(all).said);
  });
});
