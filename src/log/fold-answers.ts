import type { AssistantBlock, ToolCallBlock, Usage } from "./content.ts";
import { addUsage } from "./content.ts";
import type {
  AnswerPart,
  AssistantMessage,
  CallClassified,
  Entry,
  ModelCalled,
  ToolFinished,
  ToolStarted,
} from "./entry.ts";
import { takeDeferred, updateRun } from "./fold-messages.ts";
import type { Draft, OpenCall, SentRequest, SessionState } from "./state.ts";

/** How requests, answers, calls and their results add up. Steps of `fold.ts`. */

export function applyModelCalled(state: Draft, entry: ModelCalled): void {
  const { attempt, model, purpose, prefix, reservation } = entry;
  updateRun(state, (run) => ({ ...run, reservedUsd: reservation?.usd ?? 0 }));
  if (purpose !== undefined) {
    // One about a part of the transcript does not begin like the request that comes next.
    if (prefix !== undefined) state.sent = sentRequest(state, model);
    updateRun(state, (run) => ({ ...run, calling: true }));
    return;
  }
  takeDeferred(state);
  state.sent = sentRequest(state, model);
  state.compactedSince = false;
  state.inputs = [];
  updateRun(state, (run) => ({
    ...run,
    turns: attempt === 1 ? run.turns + 1 : run.turns,
    unseen: null,
    attempts: attempt,
    calling: true,
  }));
}

function sentRequest({ context, messages, sent }: SessionState, model: string): SentRequest | null {
  if (context === null) return null;
  const { promptHash, toolsHash } = context;
  const count = messages.length;
  const last = sent?.messages ?? 0;
  const before = last < count ? last : (sent?.before ?? 0);
  return { model, promptHash, toolsHash, messages: count, before, cut: false };
}

/** Calls of an answer that is still being written may start; the transcript has the answer when it is complete. */
export function applyPart(state: Draft, part: AnswerPart): void {
  state.openCalls = callsOf(part.blocks, state.openCalls);
  for (const { callId } of state.openCalls) state.callIds.add(callId);
  updateRun(state, (run) => ({ ...run, part }));
}

export function applyAnswer(state: Draft, entry: AssistantMessage): void {
  // A message without blocks is refused by every provider, so the transcript goes without it; the entry stays.
  if (entry.blocks.length > 0) showAnswer(state, entry);
  state.openCalls = callsOf(entry.blocks, state.openCalls);
  for (const { callId } of state.openCalls) state.callIds.add(callId);
  spend(state, entry);
  measure(state, entry.usage);
  // What was asked before the answer has been heeded; its calls are asked about from now on.
  state.hooks.clear();
  updateRun(state, (run) => ({
    ...run,
    answered: state.openCalls.length === 0 ? entry.stopReason : null,
    failures: [],
    attempts: 0,
    calling: false,
    part: null,
    compactions: [],
    resumes: 0,
  }));
  closeCalls(state);
}

export function showAnswer(
  state: Draft,
  { blocks, model, sidecar }: Pick<AnswerPart, "blocks" | "model" | "sidecar">,
): void {
  const rest = sidecar === undefined ? {} : { sidecar };
  state.messages.push({ role: "assistant", blocks, model, ...rest });
}

export function spend(state: Draft, { usage, costUsd }: Pick<AssistantMessage, "usage" | "costUsd">): void {
  state.usage = addUsage(state.usage, usage);
  if (costUsd === null) {
    loseCall(state);
    return;
  }
  state.costUsd += costUsd;
  updateRun(state, (run) => ({ ...run, costUsd: run.costUsd + costUsd, reservedUsd: 0 }));
}

/** Nobody can tell what it cost; budgets count the most that it can have been. */
export function loseCall(state: Draft): void {
  state.unpricedCalls += 1;
  state.lostUsd += state.run?.reservedUsd ?? 0;
  updateRun(state, (run) => ({ ...run, lostUsd: run.lostUsd + run.reservedUsd, reservedUsd: 0 }));
}

/** Servers that do not count say zero. */
function measure(state: Draft, { input, cacheRead, cacheWrite, output }: Usage): void {
  const prompt = input + cacheRead + cacheWrite;
  if (prompt > 0) state.measured = { tokens: prompt + output, messages: state.messages.length };
}

/** The calls among these blocks, with what is known of those that have been started already. @pure */
export function callsOf(blocks: readonly AssistantBlock[], known: readonly OpenCall[]): OpenCall[] {
  return blocks
    .filter(isToolCall)
    .map((block) => known.find((call) => call.callId === block.callId) ?? openCall(block));
}

export function isToolCall(block: AssistantBlock): block is ToolCallBlock {
  return block.type === "toolCall";
}

function openCall(block: ToolCallBlock): OpenCall {
  return {
    callId: block.callId,
    name: block.name,
    input: block.input,
    malformed: block.malformed,
    amended: null,
    classified: null,
    approval: null,
    rounds: 0,
    askedAt: null,
    answers: [],
    suspended: false,
    started: null,
    result: null,
  };
}

export function applyToolStarted(state: Draft, entry: Entry & ToolStarted): void {
  const { operationId, effect, attempt, at } = entry;
  replaceCall(state, entry.callId, (call) => ({
    ...call,
    started: { operationId, effect, attempt, at },
    suspended: false,
    // "Try it again" is said of one attempt.
    approval: call.approval?.binding === null ? null : call.approval,
  }));
}

export function applyToolFinished(state: Draft, entry: ToolFinished): void {
  if (entry.outcome !== "invalid") {
    state.toolUses.set(entry.name, (state.toolUses.get(entry.name) ?? 0) + 1);
  }
  replaceCall(state, entry.callId, (call) => ({
    ...call,
    result: {
      callId: call.callId,
      name: call.name,
      blocks: entry.blocks,
      isError: !SUCCESSES.has(entry.outcome),
    },
  }));
  updateRun(state, (run) => ({ ...run, resumes: 0 }));
  // While the answer is still being written, more calls may come, and it has to stand before their results.
  if (state.run === null || state.run.part === null) closeCalls(state);
}

const SUCCESSES: ReadonlySet<ToolFinished["outcome"]> = new Set(["ok", "answered"]);

/** When every call of the answer has its result, the results join the transcript, and what waited for them. */
function closeCalls(state: Draft): void {
  const results = state.openCalls.flatMap((call) => (call.result === null ? [] : [call.result]));
  if (results.length < state.openCalls.length) return;
  // Results come in any order; the transcript has them in the order of the calls.
  if (results.length > 0) state.messages.push({ role: "tool", results });
  state.openCalls = [];
  takeDeferred(state);
}

export function applyClassified(state: Draft, entry: CallClassified): void {
  spend(state, entry);
  replaceCall(state, entry.callId, (call) => ({ ...call, classified: entry }));
  // Another time there may be an answer.
  if (entry.failed !== true) state.classified.set(entry.binding, entry);
  updateRun(state, (run) => ({ ...run, calling: false, resumes: 0 }));
}

export function replaceCall(state: Draft, callId: string, change: (call: OpenCall) => OpenCall): void {
  const index = state.openCalls.findIndex((call) => call.callId === callId);
  const call = state.openCalls[index];
  if (call !== undefined) state.openCalls[index] = change(call);
}
