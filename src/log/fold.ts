import type { AssistantBlock, Message, ToolCallBlock, ToolResultMessage, Usage } from "./content.ts";
import { addUsage, noUsage } from "./content.ts";
import type {
  AssistantMessage,
  Effect,
  Entry,
  ModelFailure,
  RunEnd,
  RunStarted,
  StopReason,
  ToolFinished,
  ToolStarted,
  UserMessage,
} from "./entry.ts";
import type { SessionStatus } from "./session-log.ts";

/**
 * What a session's log adds up to. A pure function of the path from the root to the head: `fold(entries)` is the whole
 * definition, `advance` its incremental step for whoever owns the state, so that a turn costs the same at the start and at
 * the end of a long session.
 */
export interface SessionState {
  readonly agent: string | null;
  readonly headId: string | null;
  readonly headSeq: number;
  /** The transcript as the model sees it. Every call in it has its result, except those in `openCalls`. */
  readonly messages: readonly Message[];
  /** The calls of the last answer, in order, while at least one has no result. */
  readonly openCalls: readonly OpenCall[];
  /** The run that is under way. */
  readonly run: RunState | null;
  /**
   * Messages that arrived while the model was answering or calls were open. They join the transcript where the model can
   * see them next, and never stand between a call and its result.
   */
  readonly deferred: readonly DeferredMessage[];
  /** A message that no run has taken up, the model that it asked for, and whether it was stopped before it began. */
  readonly unanswered: Unanswered | null;
  readonly lastRun: { readonly runId: string; readonly end: RunEnd | "failed" } | null;
  readonly callIds: ReadonlySet<string>;
  readonly usage: Usage;
  readonly costUsd: number;
  readonly unpricedCalls: number;
}

export interface RunState {
  readonly id: string;
  readonly model: string;
  readonly startedAt: number;
  /** Model calls that were answered or are being tried. */
  readonly turns: number;
  readonly stopRequested: boolean;
  /** Whether the model has the last word, and how it ended it. */
  readonly answered: StopReason | null;
  /** Failures since the last answer. */
  readonly failures: readonly { readonly attempt: number; readonly failure: ModelFailure }[];
  /** Tries of the current turn, lost ones included; above 0 while an answer is awaited. */
  readonly attempts: number;
}

export interface DeferredMessage {
  readonly message: UserMessage;
  /** A stop came after it: it stays in the transcript, and nothing is done about it. */
  readonly stopped: boolean;
}

export interface Unanswered {
  readonly model: string | undefined;
  readonly stopRequested: boolean;
}

export interface OpenCall {
  readonly callId: string;
  readonly name: string;
  readonly input: unknown;
  readonly malformed: string | undefined;
  /** Set once it is on disk that it may have begun. */
  readonly started: {
    readonly operationId: string;
    readonly effect: Effect;
    readonly attempt: number;
    readonly at: number;
  } | null;
  readonly result: ToolResultMessage | null;
}

/** @pure */
export function fold(entries: Iterable<Entry>): SessionState {
  const state = emptyState();
  for (const entry of entries) advance(state, entry);
  return state;
}

/** Whether somebody has to work on the session, as its log alone tells. */
export function statusOf(state: SessionState): SessionStatus {
  if (state.run !== null) return "running";
  return state.unanswered === null ? "idle" : "queued";
}

export function emptyState(): Draft {
  return {
    agent: null,
    headId: null,
    headSeq: 0,
    messages: [],
    openCalls: [],
    deferred: [],
    run: null,
    unanswered: null,
    lastRun: null,
    callIds: new Set(),
    usage: noUsage,
    costUsd: 0,
    unpricedCalls: 0,
  };
}

/** A state that its owner may advance. */
export interface Draft extends SessionState {
  agent: string | null;
  headId: string | null;
  headSeq: number;
  messages: Message[];
  openCalls: OpenCall[];
  deferred: DeferredMessage[];
  run: RunState | null;
  unanswered: Unanswered | null;
  lastRun: SessionState["lastRun"];
  callIds: Set<string>;
  usage: Usage;
  costUsd: number;
  unpricedCalls: number;
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
    case "userMessage":
      state.deferred.push({ message: entry, stopped: false });
      if (isBetweenTurns(state)) takeDeferred(state);
      return;
    case "runStarted":
      state.run = newRun(entry, state.unanswered);
      state.unanswered = null;
      return;
    case "runResumed":
      return;
    case "modelCalled":
      takeDeferred(state);
      updateRun(state, (run) => ({
        ...run,
        turns: entry.attempt === 1 ? run.turns + 1 : run.turns,
        attempts: entry.attempt,
      }));
      return;
    case "modelFailed":
      updateRun(state, (run) => ({
        ...run,
        failures: [...run.failures, { attempt: entry.attempt, failure: entry.failure }],
      }));
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
    case "stopRequested":
      applyStop(state);
      return;
    case "runFinished":
      endRun(state, entry.runId, entry.reason);
      return;
    case "runFailed":
      endRun(state, entry.runId, "failed");
      return;
  }
}

function newRun({ runId, model, at }: Entry & RunStarted, unanswered: Unanswered | null): RunState {
  const stopRequested = unanswered?.stopRequested ?? false;
  return {
    id: runId,
    model,
    startedAt: at,
    turns: 0,
    stopRequested,
    answered: null,
    failures: [],
    attempts: 0,
  };
}

/** A fork shares the history, not the work: what was under way goes on in the session that it came from, and only there. */
function leaveRunBehind(state: Draft): void {
  const results = state.openCalls.map(
    ({ callId, name, result }): ToolResultMessage =>
      result ?? { callId, name, blocks: [{ type: "text", text: FORKED_BEFORE_RESULT }], isError: true },
  );
  if (results.length > 0) state.messages.push({ role: "tool", results });
  for (const { message } of state.deferred) state.messages.push({ role: "user", blocks: message.blocks });
  state.openCalls = [];
  state.deferred = [];
  state.run = null;
  state.unanswered = null;
}

const FORKED_BEFORE_RESULT =
  "No result: this session was forked from another one while the call was under way there.";

function isBetweenTurns(state: SessionState): boolean {
  return state.openCalls.length === 0 && (state.run?.attempts ?? 0) === 0;
}

/** Moves the messages that waited into the transcript: to the run that is under way, or else to the next one. */
function takeDeferred(state: Draft): void {
  for (const { message, stopped } of state.deferred) {
    state.messages.push({ role: "user", blocks: message.blocks });
    if (stopped) continue;
    if (state.run === null || state.run.stopRequested) {
      state.unanswered = { model: message.model ?? state.unanswered?.model, stopRequested: false };
    } else {
      state.run = { ...state.run, answered: null };
    }
  }
  state.deferred = [];
}

/** A stop ends what was asked for before it, and nothing that is asked for after it. */
function applyStop(state: Draft): void {
  state.deferred = state.deferred.map(({ message }) => ({ message, stopped: true }));
  if (state.unanswered !== null) state.unanswered = { ...state.unanswered, stopRequested: true };
  updateRun(state, (run) => ({ ...run, stopRequested: true }));
}

function updateRun(state: Draft, change: (run: RunState) => RunState): void {
  if (state.run !== null) state.run = change(state.run);
}

function applyAnswer(state: Draft, entry: AssistantMessage): void {
  const calls = entry.blocks.filter(isToolCall);
  // A message without blocks is refused by every provider, so the transcript goes without it; the entry stays.
  if (entry.blocks.length > 0) {
    state.messages.push({
      role: "assistant",
      blocks: entry.blocks,
      model: entry.model,
      ...(entry.sidecar === undefined ? {} : { sidecar: entry.sidecar }),
    });
  }
  state.openCalls = calls.map(openCall);
  for (const call of calls) state.callIds.add(call.callId);
  state.usage = addUsage(state.usage, entry.usage);
  state.costUsd += entry.costUsd ?? 0;
  if (entry.costUsd === null) state.unpricedCalls += 1;
  updateRun(state, (run) => ({
    ...run,
    answered: calls.length === 0 ? entry.stopReason : null,
    failures: [],
    attempts: 0,
  }));
  if (calls.length === 0) takeDeferred(state);
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
    started: null,
    result: null,
  };
}

function applyToolStarted(state: Draft, entry: Entry & ToolStarted): void {
  const { operationId, effect, attempt, at } = entry;
  replaceCall(state, entry.callId, (call) => ({ ...call, started: { operationId, effect, attempt, at } }));
}

function applyToolFinished(state: Draft, entry: ToolFinished): void {
  replaceCall(state, entry.callId, (call) => ({
    ...call,
    result: { callId: call.callId, name: call.name, blocks: entry.blocks, isError: entry.outcome !== "ok" },
  }));
  const results = state.openCalls.flatMap((call) => (call.result === null ? [] : [call.result]));
  if (results.length < state.openCalls.length) return;
  // Results come in any order; the transcript has them in the order of the calls.
  if (results.length > 0) state.messages.push({ role: "tool", results });
  state.openCalls = [];
  takeDeferred(state);
}

function replaceCall(state: Draft, callId: string, change: (call: OpenCall) => OpenCall): void {
  const index = state.openCalls.findIndex((call) => call.callId === callId);
  const call = state.openCalls[index];
  if (call !== undefined) state.openCalls[index] = change(call);
}

function endRun(state: Draft, runId: string, end: RunEnd | "failed"): void {
  state.run = null;
  state.lastRun = { runId, end };
  takeDeferred(state);
}
