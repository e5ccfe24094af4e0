import { expect } from "vitest";
import { type Entry, fold, type InterruptAnswer } from "../../src/index.ts";
import { problemsIn } from "../../src/log/transcript.ts";
import { nextCall } from "../../src/run/calls/next-call.ts";
import { planCall } from "../../src/run/calls/plan-call.ts";
import { type Home, isCall, type World } from "./interleaved-world.ts";

/** What holds of a session in which everything has happened in some order, once it is idle. */
export function checkLog(log: readonly Entry[], { requests, effects }: World): void {
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1));
  const state = fold(log);
  for (const [index, { type }] of log.entries()) {
    if (type === "compacted") expect(fold(log.slice(index))).toEqual(state);
  }
  expect(unansweredOf(log)).toEqual([]);
  expect([state.run, state.unanswered, state.openCalls, state.deferred]).toEqual([null, null, [], []]);
  expect(problemsIn(state.messages, { callsAtEnd: false })).toEqual([]);
  for (const { messages } of requests) expect(problemsIn(messages, { callsAtEnd: false })).toEqual([]);
  const asked = log
    .flatMap((entry) => (entry.type === "assistantMessage" ? entry.blocks : []))
    .filter(isCall);
  const finished = log.flatMap((entry) => (entry.type === "toolFinished" ? [entry.callId] : []));
  expect(new Set(finished).size).toBe(finished.length);
  expect([...finished].sort()).toEqual(asked.map(({ callId }) => callId).sort());
  checkQuestions(log);
  checkEffects(log, effects);
}

/** Each question gets one answer; a second one can only come where nobody had to answer any more. */
function checkQuestions(log: readonly Entry[]): void {
  const resolved = log.filter((entry) => entry.type === "interruptResolved");
  for (const [id, answers] of Map.groupBy(resolved, ({ interruptId }) => interruptId)) {
    const counting = answers.filter(({ answer }) => answer.action !== "withdrawn");
    expect(
      counting.length,
      `answers to ${id}: ${JSON.stringify(answers.map(({ answer }) => answer))}`,
    ).toBeLessThanOrEqual(1);
    expect(answers.length - counting.length, `${id} was withdrawn`).toBeLessThanOrEqual(1);
  }
}

/** What has happened was allowed, happened as it was allowed, and happened once, unless a person has said "again". */
function checkEffects(log: readonly Entry[], effects: World["effects"]): void {
  for (const [callId, happened] of Map.groupBy(effects, (effect) => effect.callId)) {
    const answers = answersAbout(callId, log);
    const retries = answers.filter(({ action }) => action === "retry").length;
    expect(happened.length, `${callId} happened`).toBeLessThanOrEqual(1 + retries);
    expect(new Set(happened.map(({ operationId }) => operationId)).size).toBe(1);
    const starts = log.filter((entry) => entry.type === "toolStarted" && entry.callId === callId);
    expect(starts.length).toBeGreaterThan(0);
    const [first] = starts;
    if (first?.type !== "toolStarted" || first.permission?.layer !== "person") continue;
    const approval = answers.find(allows);
    expect(approval, `${callId} was started by ${first.permission.by}`).toBeDefined();
    const amount = approval?.action === "edit" ? 2 : 1;
    expect(happened.map((effect) => effect.amount)).toEqual(happened.map(() => amount));
  }
  for (const entry of log) {
    if (entry.type !== "toolFinished") continue;
    const happened = effects.some(({ callId }) => callId === entry.callId);
    if (entry.outcome === "denied" || entry.outcome === "expired")
      expect(happened, `${entry.callId} ${entry.outcome}`).toBe(false);
    if (entry.outcome === "ok" && entry.name !== "look")
      expect(happened, `${entry.callId} is said to have happened`).toBe(true);
  }
}

function answersAbout(callId: string, log: readonly Entry[]): readonly InterruptAnswer[] {
  const ids = log.flatMap((entry) =>
    entry.type === "interrupted" && "call" in entry.request && entry.request.call.callId === callId
      ? [entry.interruptId]
      : [],
  );
  return log.flatMap((entry) =>
    entry.type === "interruptResolved" && ids.includes(entry.interruptId) ? [entry.answer] : [],
  );
}

function allows(answer: InterruptAnswer): boolean {
  return (
    answer.action === "approve" ||
    answer.action === "edit" ||
    (answer.action === "expired" && answer.onExpire === "approve")
  );
}

/**
 * A session that waits has something to wait for that people can see and answer, and nothing else to do. Looked at only where nothing
 * happens meanwhile.
 */
export async function checkWaiting({ runtime, store }: Home, id: string): Promise<void> {
  const before = await store.session(id);
  const [log, open, inbox, added] = await Promise.all([
    store.path(id),
    store.interrupts({ sessionId: id, status: "open" }),
    store.inbox(id),
    store.rules("tester"),
  ]);
  const after = await store.session(id);
  const isStill =
    before?.status === "waiting" && after?.status === "waiting" && before.headSeq === after.headSeq;
  if (!isStill || inbox.length > 0) return;
  const state = fold(log);
  const { run } = state;
  expect(run).not.toBeNull();
  if (run === null) return;
  expect(open.map((each) => each.id).sort()).toEqual(run.interrupts.map((each) => each.interruptId).sort());
  expect(open.length, "questions on which it waits").toBeGreaterThan(0);
  if (run.interrupts.some(({ request }) => !("call" in request))) return;
  const situation = { state, run, agent: runtime.agents.get("tester"), now: Date.now(), added };
  const due = nextCall(state.openCalls, new Map(), (call) => planCall(call, situation), situation.agent);
  expect(due, "what could be done while it waits").toBeNull();
}

/** Messages that no request has held, although nobody has stopped them and no person has ended their run. */
function unansweredOf(log: readonly Entry[]): readonly string[] {
  let waiting: readonly string[] = [];
  /** Those with which a run began that failed before its first request. */
  let begun: readonly string[] = [];
  for (const entry of log) {
    if (entry.type === "userMessage") waiting = [...waiting, entry.inboxId];
    if (entry.type === "runStarted") begun = waiting;
    if (entry.type === "modelCalled" && entry.purpose === undefined) waiting = [];
    if (entry.type === "stopRequested") waiting = [];
    if (entry.type === "runFinished" || entry.type === "runFailed") {
      waiting = waiting.filter((id) => !begun.includes(id) || entry.left?.includes(id));
    }
  }
  return waiting;
}
