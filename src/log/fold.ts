import { utcDay } from "../lib/units.ts";
import type { AssistantBlock, Message, ToolCallBlock, ToolResultMessage, Usage } from "./content.ts";
import { addUsage, noUsage } from "./content.ts";
import type {
  AnswerPart,
  AssistantMessage,
  Compacted,
  Entry,
  HookDecided,
  InterruptResolved,
  ModelCalled,
  ResultsCleared,
  RunEnd,
  RunFailed,
  RunFinished,
  RunStarted,
  ToolFinished,
  ToolStarted,
} from "./entry.ts";
import { clearedText, noteText } from "./notes.ts";
import {
  type CarriedState,
  type CompactionTier,
  type DeferredMessage,
  type Draft,
  emptyState,
  hookKey,
  type Input,
  type OpenCall,
  type RunState,
  type SentRequest,
  type SessionState,
  type Unanswered,
} from "./state.ts";

/** @pure */
export function fold(entries: Iterable<Entry>): SessionState {
  const state = emptyState();
  for (const entry of entries) advance(state, entry);
  return state;
}

/**
 * Applies one entry, in place. Entries of kinds that a newer release added change nothing here but the head, so that
 * different releases can work on one log.
 */
export function advance(state: Draft, entry: Entry): void {
  state.headId = entry.id;
  state.headSeq = entry.seq;
  switch (entry.type) {
    case "sessionCreated":
      state.agent = entry.agent;
      if (entry.forkedFrom !== undefined) leaveRunBehind(state);
      return;
    case "userMessage": {
      const { inboxId, blocks, delivery = "steer", model } = entry;
      defer(state, { inboxId, blocks, delivery, ...(model === undefined ? {} : { model }), stopped: false });
      return;
    }
    case "runStarted":
      state.run = newRun(entry, state.unanswered);
      state.unanswered = null;
      return;
    case "runResumed":
      if (entry.lostCall) loseCall(state);
      updateRun(state, (run) => ({ ...run, resumes: run.resumes + 1, calling: false }));
      return;
    case "contextOpened":
      state.context = entry;
      state.toldDay = utcDay(entry.at);
      return;
    case "contextAdded":
      if (entry.source === "environment") state.toldDay = utcDay(entry.at);
      addNote(state, entry.source, entry.text);
      return;
    case "modelCalled":
      applyModelCalled(state, entry);
      return;
    case "modelFailed": {
      // A summary that fails is a failed compaction, and no failure of the turn.
      const { attempt, failure, purpose } = entry;
      if (entry.lostCall) loseCall(state);
      updateRun(state, (run) => ({
        ...run,
        calling: false,
        // What is kept of an answer is counted with it.
        reservedUsd: run.part === null ? 0 : run.reservedUsd,
        resumes: 0,
        failures: purpose === undefined ? [...run.failures, { attempt, failure }] : run.failures,
      }));
      return;
    }
    case "modelSwitched":
      updateRun(state, (run) => ({
        ...run,
        model: entry.to,
        givenUp: [...run.givenUp, entry.from],
        failures: [],
      }));
      return;
    case "answerPart":
      applyPart(state, entry);
      return;
    case "assistantMessage":
      applyAnswer(state, entry);
      return;
    case "toolStarted":
      applyToolStarted(state, entry);
      return;
    case "toolFinished":
      applyToolFinished(state, entry);
      return;
    case "hookDecided":
      applyHook(state, entry);
      return;
    case "resultsCleared":
      applyResultsCleared(state, entry);
      return;
    case "compacted":
      applyCompacted(state, entry);
      return;
    case "compactionFailed":
      spend(state, entry);
      state.compactionFailedAt = entry.tokens;
      updateRun(state, (run) => ({ ...run, calling: false, compactions: [...run.compactions, entry.tier] }));
      return;
    case "interrupted": {
      const { interruptId, request, at } = entry;
      updateRun(state, (run) => ({ ...run, interrupt: { interruptId, request, at } }));
      return;
    }
    case "interruptResolved":
      applyAnswerOfPerson(state, entry);
      return;
    case "stopRequested":
      applyStop(state);
      return;
    case "runFinished":
      if (entry.lostCall) loseCall(state);
      endRun(state, entry, entry.reason);
      return;
    case "runFailed":
      endRun(state, entry, "failed");
      return;
  }
}

function newRun({ runId, model, at }: Entry & RunStarted, unanswered: Unanswered | null): RunState {
  const stopRequested = unanswered?.stopRequested ?? false;
  return { ...BLANK_RUN, id: runId, model, startedAt: at, stopRequested };
}

const BLANK_RUN: Omit<RunState, "id" | "model" | "startedAt"> = {
  turns: 0,
  stopRequested: false,
  unseen: null,
  answered: null,
  failures: [],
  attempts: 0,
  calling: false,
  givenUp: [],
  part: null,
  compactions: [],
  interrupt: null,
  raisedUsd: null,
  ending: null,
  costUsd: 0,
  lostUsd: 0,
  reservedUsd: 0,
  resumes: 0,
};

/** A fork shares the history, not the work: what was under way goes on in the session that it came from, and only there. */
function leaveRunBehind(state: Draft): void {
  const results = state.openCalls.map(
    ({ callId, name, result }): ToolResultMessage =>
      result ?? { callId, name, blocks: [{ type: "text", text: FORKED_BEFORE_RESULT }], isError: true },
  );
  // Of an answer that was still being written, what was complete: results must have their calls before them.
  const part = state.run?.part ?? null;
  if (part !== null) showAnswer(state, part);
  if (results.length > 0) state.messages.push({ role: "tool", results });
  for (const { blocks, inboxId } of state.deferred) {
    state.messages.push({ role: "user", blocks });
    if (inboxId !== undefined) state.inputs.push({ inboxId, blocks });
  }
  state.openCalls = [];
  state.deferred = [];
  state.run = null;
  state.unanswered = null;
  // What the shared history cost is on the account of the session that it came from.
  Object.assign(state, { usage: noUsage, costUsd: 0, unpricedCalls: 0, lostUsd: 0, raisedUsd: null });
}

const FORKED_BEFORE_RESULT =
  "No result: this session was forked from another one while the call was under way there.";

function isBetweenTurns(state: SessionState): boolean {
  return state.openCalls.length === 0 && (state.run?.attempts ?? 0) === 0;
}

function defer(state: Draft, message: DeferredMessage): void {
  state.deferred.push(message);
  if (isBetweenTurns(state)) takeDeferred(state);
}

function addNote(state: Draft, source: string, text: string): void {
  const blocks = [{ type: "text" as const, text: noteText(source, text) }];
  defer(state, { blocks, delivery: "note", stopped: false });
}

/** Moves the messages that waited into the transcript: to the run that is under way, or else to the next one. */
function takeDeferred(state: Draft): void {
  const waiting: DeferredMessage[] = [];
  for (const message of state.deferred) {
    if (mustWait(message, state)) waiting.push(message);
    else show(message, state);
  }
  state.deferred = waiting;
}

/** The transcript as the next request shows it: with what joins it when the request is sent. */
export function messagesOfNextRequest(state: SessionState): readonly Message[] {
  const joining = state.deferred.filter((message) => !mustWait(message, state));
  if (joining.length === 0) return state.messages;
  return [...state.messages, ...joining.map(({ blocks }) => ({ role: "user" as const, blocks }))];
}

/** Each message that is to be answered by a run of its own waits until no other run has anything to answer. */
function mustWait({ delivery, stopped }: DeferredMessage, state: SessionState): boolean {
  return delivery === "followUp" && !stopped && (state.run !== null || state.unanswered !== null);
}

function show({ inboxId, blocks, delivery, model, stopped }: DeferredMessage, state: Draft): void {
  state.messages.push({ role: "user", blocks });
  if (inboxId !== undefined) state.inputs.push({ inboxId, blocks });
  if (stopped || delivery === "note" || inboxId === undefined) return;
  if (state.run === null || state.run.stopRequested) {
    state.unanswered = withMessage(state.unanswered, inboxId, model);
  } else {
    state.run = { ...state.run, answered: null, unseen: withMessage(state.run.unseen, inboxId, model) };
  }
}

function withMessage(before: Unanswered | null, inboxId: string, model: string | undefined): Unanswered {
  const messages = [...(before?.messages ?? []), inboxId];
  return { model: model ?? before?.model, messages, stopRequested: false };
}

/** A stop ends what was asked for before it, and nothing that is asked for after it. */
function applyStop(state: Draft): void {
  state.deferred = state.deferred.map((message) => ({ ...message, stopped: true }));
  if (state.unanswered !== null) state.unanswered = { ...state.unanswered, stopRequested: true };
  updateRun(state, (run) => ({ ...run, stopRequested: true, unseen: null }));
}

function updateRun(state: Draft, change: (run: RunState) => RunState): void {
  if (state.run !== null) state.run = change(state.run);
}

function applyModelCalled(state: Draft, entry: ModelCalled): void {
  const { attempt, model, purpose, prefix, reservation } = entry;
  updateRun(state, (run) => ({ ...run, reservedUsd: reservation?.usd ?? 0 }));
  if (purpose === "summary") {
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
function applyPart(state: Draft, part: AnswerPart): void {
  state.openCalls = callsOf(part.blocks, state.openCalls);
  for (const { callId } of state.openCalls) state.callIds.add(callId);
  updateRun(state, (run) => ({ ...run, part }));
}

function applyAnswer(state: Draft, entry: AssistantMessage): void {
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

function showAnswer(
  state: Draft,
  { blocks, model, sidecar }: Pick<AnswerPart, "blocks" | "model" | "sidecar">,
): void {
  const rest = sidecar === undefined ? {} : { sidecar };
  state.messages.push({ role: "assistant", blocks, model, ...rest });
}

function spend(state: Draft, { usage, costUsd }: Pick<AssistantMessage, "usage" | "costUsd">): void {
  state.usage = addUsage(state.usage, usage);
  if (costUsd === null) {
    loseCall(state);
    return;
  }
  state.costUsd += costUsd;
  updateRun(state, (run) => ({ ...run, costUsd: run.costUsd + costUsd, reservedUsd: 0 }));
}

/** Nobody can tell what it cost; budgets count the most that it can have been. */
function loseCall(state: Draft): void {
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

function isToolCall(block: AssistantBlock): block is ToolCallBlock {
  return block.type === "toolCall";
}

function openCall(block: ToolCallBlock): OpenCall {
  return {
    callId: block.callId,
    name: block.name,
    input: block.input,
    malformed: block.malformed,
    amended: null,
    started: null,
    result: null,
  };
}

function applyToolStarted(state: Draft, entry: Entry & ToolStarted): void {
  const { operationId, effect, attempt, at } = entry;
  replaceCall(state, entry.callId, (call) => ({ ...call, started: { operationId, effect, attempt, at } }));
}

function applyToolFinished(state: Draft, entry: ToolFinished): void {
  if (entry.outcome !== "invalid") {
    state.toolUses.set(entry.name, (state.toolUses.get(entry.name) ?? 0) + 1);
  }
  replaceCall(state, entry.callId, (call) => ({
    ...call,
    result: { callId: call.callId, name: call.name, blocks: entry.blocks, isError: entry.outcome !== "ok" },
  }));
  updateRun(state, (run) => ({ ...run, resumes: 0 }));
  // While the answer is still being written, more calls may come, and it has to stand before their results.
  if (state.run === null || state.run.part === null) closeCalls(state);
}

/** When every call of the answer has its result, the results join the transcript, and what waited for them. */
function closeCalls(state: Draft): void {
  const results = state.openCalls.flatMap((call) => (call.result === null ? [] : [call.result]));
  if (results.length < state.openCalls.length) return;
  // Results come in any order; the transcript has them in the order of the calls.
  if (results.length > 0) state.messages.push({ role: "tool", results });
  state.openCalls = [];
  takeDeferred(state);
}

function applyHook(state: Draft, entry: HookDecided): void {
  // One that has said no is asked again by the next run, so that the session does not begin without it.
  if (entry.point !== "sessionStart") state.hooks.set(hookKey(entry), entry);
  else if (!entry.blocks) state.sessionHooks.add(entry.hook);
  if (entry.decision === "change" && entry.point === "beforeTool") {
    replaceCall(state, entry.subject, (call) => ({ ...call, amended: { input: entry.input } }));
  }
  if (entry.decision === "end" || (entry.blocks && ENDING.has(entry.point))) {
    updateRun(state, (run) => ({ ...run, ending: "hook" }));
  }
  if (entry.blocks && entry.point === "input") {
    withhold(state, entry.subject, noteText(`hook ${entry.hook}`, "A message was withheld here."));
  }
  if (entry.context !== undefined) addNote(state, `hook ${entry.hook}`, entry.context);
  // A run that may not end goes on with the reason for it: a request has to have something to answer.
  if (entry.point === "runEnd" && entry.decision === "veto") {
    if (entry.context === undefined) addNote(state, `hook ${entry.hook}`, entry.reason ?? NOT_DONE);
    updateRun(state, (run) => ({ ...run, answered: null }));
  }
}

/** A message that a hook does not let pass is not shown to any model, in this run or later. */
function withhold(state: Draft, inboxId: string, text: string): void {
  const blocks = [{ type: "text", text } as const];
  state.deferred = state.deferred.map((message) =>
    message.inboxId === inboxId ? { blocks, delivery: "note", stopped: message.stopped } : message,
  );
  const input = state.inputs.find((each) => each.inboxId === inboxId);
  const index = state.messages.findLastIndex(
    (message) => message.role === "user" && message.blocks === input?.blocks,
  );
  // Another array, since whoever remembers something of a transcript relies on it that it only grows at its end.
  if (index >= 0) state.messages = state.messages.with(index, { role: "user", blocks });
  state.inputs = state.inputs.filter((each) => each !== input);
  updateRun(state, (run) => ({ ...run, unseen: withoutMessage(run.unseen, inboxId) }));
}

function withoutMessage(unseen: Unanswered | null, inboxId: string): Unanswered | null {
  if (unseen === null) return null;
  const messages = unseen.messages.filter((each) => each !== inboxId);
  return messages.length === 0 ? null : { ...unseen, messages };
}

const NOT_DONE = "You are not done yet: go on with the work.";

/** Points at which "no" is the end of the run: there is nothing else to go on with. */
const ENDING: ReadonlySet<HookDecided["point"]> = new Set(["sessionStart", "input", "beforeModel"]);

function applyResultsCleared(state: Draft, { results, tokensBefore, tokensAfter }: ResultsCleared): void {
  const files = new Map(results.map(({ callId, file }) => [callId, file]));
  const before = state.messages;
  state.messages = before.map((message) => {
    if (message.role !== "tool" || !message.results.some(({ callId }) => files.has(callId))) return message;
    return {
      role: "tool",
      results: message.results.map((result) => {
        const file = files.get(result.callId);
        if (file === undefined) return result;
        return { ...result, blocks: [{ type: "text", text: clearedText(result.name, file) }] };
      }),
    };
  });
  const same = before.findIndex((message, index) => message !== state.messages[index]);
  if (same >= 0) cutSent(state, same);
  noteCompaction(state, "results");
  if (state.measured !== null) {
    const tokens = Math.max(0, state.measured.tokens - (tokensBefore - tokensAfter));
    state.measured = { ...state.measured, tokens };
  }
  state.compactedSince = true;
  state.compactionFailedAt = null;
}

function applyCompacted(state: Draft, entry: Compacted): void {
  const { messages, tokensAfter, tier } = entry;
  const carried = entry.carried as CarriedState;
  const { hooks, sessionHooks, toolUses, ...rest } = carried;
  Object.assign(state, rest);
  // An earlier release may have known less of a run.
  if (carried.run !== null) state.run = { ...BLANK_RUN, ...carried.run };
  state.hooks = new Map(hooks.map((decided) => [hookKey(decided), decided]));
  state.sessionHooks = new Set(sessionHooks);
  state.toolUses = new Map(toolUses);
  cutSent(state, 0);
  state.deferred = [...carried.deferred];
  state.messages = [...messages];
  state.inputs = inTranscript(carried.inputs, messages);
  state.openCalls = [];
  // Folding may begin here, so nothing from before may show: the context is opened anew.
  state.context = null;
  state.toldDay = null;
  state.callIds = new Set(messages.flatMap(callIdsOf));
  state.knowsAllCallIds = false;
  state.measured = { tokens: tokensAfter, messages: messages.length };
  state.compactedSince = true;
  state.compactionFailedAt = null;
  spend(state, entry);
  noteCompaction(state, tier);
}

/** Inputs are known by their blocks, which an entry that was stored and read has twice. They are the newest messages. */
function inTranscript(inputs: readonly Input[], messages: readonly Message[]): Input[] {
  const shown = messages.flatMap((message) => (message.role === "user" ? [message.blocks] : []));
  const found = inputs.toReversed().map((input) => {
    const text = JSON.stringify(input.blocks);
    const index = shown.findLastIndex((blocks) => JSON.stringify(blocks) === text);
    const [blocks = input.blocks] = index === -1 ? [] : shown.splice(index, 1);
    return { ...input, blocks };
  });
  return found.reverse();
}

/** Only the first `same` messages are still what the last request held. */
function cutSent(state: Draft, same: number): void {
  const { sent } = state;
  if (sent === null || same >= sent.messages) return;
  state.sent = { ...sent, messages: same, before: Math.min(sent.before, same), cut: true };
}

function callIdsOf(message: Message): readonly string[] {
  return message.role === "assistant" ? message.blocks.filter(isToolCall).map(({ callId }) => callId) : [];
}

/** What the provider said about the length of the old transcript does not hold for the new one. */
function noteCompaction(state: Draft, tier: CompactionTier): void {
  updateRun(state, (run) => ({
    ...run,
    calling: false,
    resumes: 0,
    compactions: [...run.compactions, tier],
    failures: run.failures.filter(({ failure }) => failure.kind !== "contextOverflow"),
  }));
}

function applyAnswerOfPerson(state: Draft, { interruptId, answer, at }: Entry & InterruptResolved): void {
  const { run } = state;
  if (run === null || run.interrupt?.interruptId !== interruptId) return;
  const { scope } = run.interrupt.request.budget;
  const startedAt = run.startedAt + (at - run.interrupt.at);
  const resolved = { ...run, startedAt, interrupt: null, resumes: 0 };
  if (answer.action === "end") {
    state.run = { ...resolved, ending: "budget" };
    return;
  }
  state.run = scope === "run" ? { ...resolved, raisedUsd: answer.limitUsd } : resolved;
  if (scope === "session") state.raisedUsd = answer.limitUsd;
}

function replaceCall(state: Draft, callId: string, change: (call: OpenCall) => OpenCall): void {
  const index = state.openCalls.findIndex((call) => call.callId === callId);
  const call = state.openCalls[index];
  if (call !== undefined) state.openCalls[index] = change(call);
}

function endRun(state: Draft, { runId, left = [] }: RunFinished | RunFailed, end: RunEnd | "failed"): void {
  const unseen = state.run?.unseen ?? null;
  // Earlier releases left none of those.
  if (unseen?.messages.some((inboxId) => left.includes(inboxId))) state.unanswered = unseen;
  state.run = null;
  state.lastRun = { runId, end };
  // What was decided about a message holds until a model has seen it.
  for (const [key, { point }] of state.hooks) if (point !== "input") state.hooks.delete(key);
  takeDeferred(state);
}
