import type { Entry, Interrupted, InterruptResolved } from "./entry.ts";
import { replaceCall } from "./fold-answers.ts";
import { updateRun } from "./fold-messages.ts";
import type { Draft, OpenCall, OpenInterrupt } from "./state.ts";

/** What questions to people, and their answers, change. Steps of `fold.ts`. */

export function applyQuestion(state: Draft, { interruptId, request, at }: Entry & Interrupted): void {
  updateRun(state, (run) => ({
    ...run,
    interrupts: [...run.interrupts, { interruptId, request, at }],
    askingSince: run.askingSince ?? at,
    // One about the run itself leaves nothing else to be done.
    paused: run.paused || !("call" in request),
  }));
  if (!("call" in request)) return;
  const isOfTool = request.kind === "question" || request.kind === "auth";
  replaceCall(state, request.call.callId, (call) => ({
    ...call,
    approval: isOfTool ? call.approval : null,
    askedAt: call.askedAt ?? at,
    suspended: call.suspended || isOfTool,
  }));
}

/** Something may be possible that was not: what the run waits for is looked at anew. */
export function goOn(state: Draft): void {
  updateRun(state, (run) => ({ ...run, paused: run.interrupts.some(({ request }) => !("call" in request)) }));
}

/** The first answer to a question counts; the store sees to it that there is no other. */
export function applyAnswerOfPerson(state: Draft, entry: Entry & InterruptResolved): void {
  const open = state.run?.interrupts.find(({ interruptId }) => interruptId === entry.interruptId);
  if (open === undefined) return;
  closeQuestion(state, entry);
  const { answer } = entry;
  if (answer.action === "abandoned") updateRun(state, (run) => ({ ...run, ending: "abandoned" }));
  if (!("call" in open.request)) {
    answerAboutBudget(state, open, entry);
    return;
  }
  const { callId } = open.request.call;
  replaceCall(state, callId, (call) => answered(call, open, entry));
  // Nobody has looked at the arguments that a person has written; hooks are asked about them as about any others.
  if (answer.action === "edit") forgetHooks(state, callId);
}

function closeQuestion(state: Draft, { interruptId, at }: Entry & InterruptResolved): void {
  updateRun(state, (run) => {
    const interrupts = run.interrupts.filter((each) => each.interruptId !== interruptId);
    if (interrupts.length > 0) return { ...run, interrupts, paused: false, resumes: 0 };
    // The time for which it has waited does not count against its limit.
    const startedAt = run.startedAt + (at - (run.askingSince ?? at));
    return { ...run, interrupts, startedAt, askingSince: null, paused: false, resumes: 0 };
  });
}

function answerAboutBudget(
  state: Draft,
  { request }: OpenInterrupt,
  { answer }: Entry & InterruptResolved,
): void {
  if (request.kind !== "budget") return;
  if (answer.action === "end" || answer.action === "expired") {
    updateRun(state, (run) => ({ ...run, ending: "budget" }));
  }
  if (answer.action !== "raise") return;
  const { scope } = request.budget;
  if (scope === "run") updateRun(state, (run) => ({ ...run, raisedUsd: answer.limitUsd }));
  if (scope === "session") state.raisedUsd = answer.limitUsd;
}

function answered(
  call: OpenCall,
  { interruptId, request }: OpenInterrupt,
  { answer, actor: from }: Entry & InterruptResolved,
): OpenCall {
  const actor = from ?? null;
  if (!("call" in request) || answer.action === "abandoned") return call;
  if (answer.action === "stale" || answer.action === "withdrawn") return call;
  const asksAgain =
    answer.action === "expired" && (answer.onExpire === "askAgain" || answer.onExpire === "escalate");
  if (asksAgain) return { ...call, rounds: call.rounds + 1 };
  // Whatever is asked about it after this is another question.
  const settled = { ...call, rounds: 0, askedAt: null };
  if (request.kind === "question" || request.kind === "auth") {
    return { ...settled, answers: [...call.answers, { answer, actor }] };
  }
  const isApproval = request.kind === "approval" || request.kind === "breakpoint";
  const approval = {
    interruptId,
    answer,
    actor,
    asked: request.call.input,
    binding: isApproval ? request.binding : null,
    basis: isApproval ? (request.preview?.basis ?? null) : null,
  };
  return { ...settled, approval, ...(answer.action === "edit" ? { amended: { input: answer.input } } : {}) };
}

function forgetHooks(state: Draft, callId: string): void {
  for (const [key, { point, subject }] of state.hooks) {
    if (point === "beforeTool" && subject === callId) state.hooks.delete(key);
  }
}
