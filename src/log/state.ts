import type { Message, ToolResultMessage, Usage, UserBlock } from "./content.ts";
import { noUsage } from "./content.ts";
import type {
  AnswerPart,
  CallClassified,
  Compacted,
  CompactionFailed,
  ContextOpened,
  Delivery,
  Effect,
  HookDecided,
  InterruptAnswer,
  Interrupted,
  LeftMessages,
  ModelFailure,
  PermissionMode,
  RuleAdded,
  RunEnd,
  StopReason,
} from "./entry.ts";
import type { SessionStatus } from "./session-record.ts";

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
  /** Since the last compaction, and those of the calls that it kept. */
  readonly callIds: ReadonlySet<string>;
  /** There are no others: the session was never compacted. */
  readonly knowsAllCallIds: boolean;
  readonly usage: Usage;
  readonly costUsd: number;
  readonly unpricedCalls: number;
  /** The most that calls can have cost whose cost is not known, as far as they were reserved for. */
  readonly lostUsd: number;
  /** What stands before the messages; null until the first request. */
  readonly context: ContextOpened | null;
  /** The day (UTC, "2026-01-31") that the model was last told; null until the first request. */
  readonly toldDay: string | null;
  /** The last request, as far as the next one can begin with it; null when none is known. */
  readonly sent: SentRequest | null;
  /** How often each tool was called. */
  readonly toolUses: ReadonlyMap<string, number>;
  /** How long the transcript was when a provider last counted it. */
  readonly measured: Measured | null;
  /** The transcript was compacted, and no request has been sent since. */
  readonly compactedSince: boolean;
  /** Estimated tokens at the last compaction that failed; null when one has succeeded since. */
  readonly compactionFailedAt: number | null;
  /** The session's budget, where a person has raised it. */
  readonly raisedUsd: number | null;
  /** Messages that have joined the transcript since the last request. */
  readonly inputs: readonly Input[];
  /** What hooks have said in this run, by `hookKey`. */
  readonly hooks: ReadonlyMap<string, HookDecided>;
  /** The hooks of `sessionStart` have been asked. */
  readonly sessionHooks: ReadonlySet<string>;
  /** What somebody has switched the session to; null: the agent's. */
  readonly mode: PermissionMode | null;
  /** The mode that the model was last told of; null: of none. */
  readonly toldMode: PermissionMode | null;
  /** What people have made of their answers ("always"), in this session. */
  readonly rules: readonly AddedRule[];
  /** The last messages of people that a model has been shown, or is about to be; cut, and kept over compactions. */
  readonly said: readonly Said[];
  readonly workspace: WorkspaceState;
  /** What a classifier has decided since the last of them, by binding. */
  readonly classified: ReadonlyMap<string, CallClassified>;
}

export type AddedRule = Pick<RuleAdded, "scope" | "list" | "rule">;

export interface WorkspaceState {
  /** The last one on the path; null where there is none. */
  readonly snapshot: string | null;
  /** The last call since then that can have changed files, as the `seq` of its start; null when there is none. */
  readonly changedAt: number | null;
}

/** The parts of the state that a compaction carries over, so that nothing before it has to be read. */
export type CarriedState = Pick<
  SessionState,
  | "agent"
  | "run"
  | "deferred"
  | "unanswered"
  | "lastRun"
  | "usage"
  | "costUsd"
  | "unpricedCalls"
  | "lostUsd"
  | "raisedUsd"
  | "inputs"
  | "sent"
  | "mode"
  | "toldMode"
  | "rules"
  | "said"
  | "workspace"
> & {
  readonly hooks: readonly HookDecided[];
  readonly sessionHooks: readonly string[];
  readonly toolUses: readonly (readonly [name: string, count: number])[];
};

export interface SentRequest {
  readonly model: string;
  readonly promptHash: string;
  readonly toolsHash: string;
  /** How many of the messages that are in the transcript now it held, all of them unchanged since. */
  readonly messages: number;
  /** The same of the last one that was shorter: where the provider knows the transcript from at the latest. */
  readonly before: number;
  /** It held more than these, which a compaction has replaced. */
  readonly cut: boolean;
}

export interface Measured {
  /** Prompt and answer together, as the provider counted them. */
  readonly tokens: number;
  /** The messages that are in it: `messages.slice(0, messages)`. */
  readonly messages: number;
}

export interface RunState {
  readonly id: string;
  readonly model: string;
  /** Milliseconds since 1970, later by the time that it has waited for people: that does not count against its limit. */
  readonly startedAt: number;
  /** Model calls that were answered or are being tried. */
  readonly turns: number;
  readonly stopRequested: boolean;
  /** Messages that steer this run and that no request has held yet; where it ends first, the next run answers them. */
  readonly unseen: Unanswered | null;
  /** Whether the model has the last word, and how it ended it. */
  readonly answered: StopReason | null;
  /** Failures since the last answer. */
  readonly failures: readonly { readonly attempt: number; readonly failure: ModelFailure }[];
  /** Tries of the current turn, lost ones included; above 0 while an answer is awaited. */
  readonly attempts: number;
  /** A request has been sent and neither answer nor failure is known. */
  readonly calling: boolean;
  /** Models that this run has given up. */
  readonly givenUp: readonly string[];
  /** What was complete of an answer when its first call started. */
  readonly part: AnswerPart | null;
  /** The compactions that were made or tried since the last answer. */
  readonly compactions: readonly CompactionTier[];
  /** What it has asked people and nobody has answered yet, oldest first. */
  readonly interrupts: readonly OpenInterrupt[];
  /** Since when there has been such a question without a break; null when there is none. */
  readonly askingSince: number | null;
  /** It has nothing to do before one of them is answered. */
  readonly paused: boolean;
  /** Who sent the messages that it answers; `UNNAMED` stands for whoever did not say so. */
  readonly actors: readonly string[];
  /** The run's budget, where a person has raised it. */
  readonly raisedUsd: number | null;
  /** A person ended it at its budget, or a hook, or nobody has answered for too long. */
  readonly ending: "budget" | "hook" | "abandoned" | null;
  readonly costUsd: number;
  /** The part of the session's `lostUsd` that is this run's. */
  readonly lostUsd: number;
  /** What was reserved for the call that is under way. */
  readonly reservedUsd: number;
  /** How often it was taken up by another process since it last got any further. */
  readonly resumes: number;
}

export interface OpenInterrupt extends Pick<Interrupted, "interruptId" | "request"> {
  readonly at: number;
}

export type CompactionTier = CompactionFailed["tier"] | Compacted["tier"];

export interface DeferredMessage {
  /** Absent for a note. */
  readonly inboxId?: string;
  readonly blocks: readonly UserBlock[];
  /** `note`: of the runtime, to which no answer is expected. */
  readonly delivery: Delivery | "note";
  readonly model?: string;
  readonly actor?: string;
  /** A stop came after it: it stays in the transcript, and nothing is done about it. */
  readonly stopped: boolean;
}

export interface Input {
  readonly inboxId: string;
  readonly blocks: readonly UserBlock[];
}

export interface Said {
  readonly inboxId: string;
  /** Its first characters; images by their type. */
  readonly text: string;
}

export interface Unanswered {
  /** Their inbox ids. */
  readonly messages: readonly string[];
  readonly model: string | undefined;
  readonly stopRequested: boolean;
  /** Who sent them, as of `RunState.actors`. Absent in what releases carried over that did not know it. */
  readonly actors?: readonly string[];
}

export interface OpenCall {
  readonly callId: string;
  readonly name: string;
  readonly input: unknown;
  readonly malformed: string | undefined;
  /** The arguments that a hook, or a person, wants instead. */
  readonly amended: { readonly input: unknown } | null;
  /** What a classifier has said about it. */
  readonly classified: CallClassified | null;
  /** What a person, or the time for an answer, has said about it. */
  readonly approval: Approval | null;
  /** How often somebody was asked the last question about it and has not answered in time. */
  readonly rounds: number;
  /** When that was first asked; null when it has its answer. Milliseconds since 1970. */
  readonly askedAt: number | null;
  /** What people have answered to the questions of the tool itself, in their order. */
  readonly answers: readonly PersonsAnswer[];
  /** It has asked a person, and is started again when there is an answer. */
  readonly suspended: boolean;
  /** Set once it is on disk that it may have begun. */
  readonly started: {
    readonly operationId: string;
    readonly effect: Effect;
    readonly attempt: number;
    readonly at: number;
  } | null;
  readonly result: ToolResultMessage | null;
}

/** No person is called so. */
export const UNNAMED = "";

export interface PersonsAnswer {
  readonly answer: InterruptAnswer;
  readonly actor: string | null;
}

/** Holds for exactly what was asked. */
export interface Approval extends PersonsAnswer {
  readonly interruptId: string;
  /** Of the arguments that were shown, their tool and the policy; null where the call's outcome was asked about. */
  readonly binding: string | null;
  readonly asked: unknown;
  /** What the call would change was like this when it was shown. */
  readonly basis: string | null;
}

/** Whether somebody has to work on the session, as its log alone tells. */
export function statusOf(state: SessionState): SessionStatus {
  if (state.run !== null) return isWaiting(state.run) ? "waiting" : "running";
  return state.unanswered === null ? "idle" : "queued";
}

/** Nobody has to work on the session until somebody says something. */
export function isAtRest(state: SessionState): boolean {
  return state.run === null ? state.unanswered === null : isWaiting(state.run);
}

/** For a person's answer. A stop ends the waiting. */
export function isWaiting(run: RunState): boolean {
  return run.paused && run.interrupts.length > 0 && !run.stopRequested && run.ending === null;
}

/** The question about a call that nobody has answered yet. */
export function questionAbout(callId: string, { interrupts }: RunState): OpenInterrupt | undefined {
  return interrupts.find(({ request }) => "call" in request && request.call.callId === callId);
}

/** What a compaction has to carry over: see `Compacted`. */
export function carriedState(state: SessionState): CarriedState {
  const { agent, run, deferred, unanswered, lastRun, inputs } = state;
  const { usage, costUsd, unpricedCalls, lostUsd, raisedUsd } = state;
  const hooks = [...state.hooks.values()];
  const sessionHooks = [...state.sessionHooks];
  const toolUses = [...state.toolUses];
  return {
    agent,
    run,
    deferred,
    unanswered,
    lastRun,
    inputs,
    usage,
    costUsd,
    unpricedCalls,
    lostUsd,
    raisedUsd,
    sent: state.sent,
    mode: state.mode,
    toldMode: state.toldMode,
    rules: state.rules,
    said: state.said,
    workspace: state.workspace,
    hooks,
    sessionHooks,
    toolUses,
  };
}

/** What the end of the run that is under way leaves to those that follow. */
export function leftMessages({ deferred, unanswered, run }: SessionState): LeftMessages {
  const waiting = deferred.flatMap(({ inboxId, stopped }) =>
    inboxId === undefined || stopped ? [] : [inboxId],
  );
  return [...(run?.unseen?.messages ?? []), ...(unanswered?.messages ?? []), ...waiting];
}

/** A message that is to be seen before the next model call has arrived, so calls that have not started need not. */
export function isSteered(state: SessionState): boolean {
  return state.deferred.some(({ delivery, stopped }) => delivery === "steer" && !stopped);
}

export function hookKey({ point, subject, hook }: Pick<HookDecided, "point" | "subject" | "hook">): string {
  return `${point} ${subject} ${hook}`;
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
    knowsAllCallIds: true,
    usage: noUsage,
    costUsd: 0,
    unpricedCalls: 0,
    lostUsd: 0,
    context: null,
    toldDay: null,
    sent: null,
    toolUses: new Map(),
    measured: null,
    compactedSince: false,
    compactionFailedAt: null,
    raisedUsd: null,
    inputs: [],
    hooks: new Map(),
    sessionHooks: new Set(),
    mode: null,
    toldMode: null,
    rules: [],
    said: [],
    workspace: { snapshot: null, changedAt: null },
    classified: new Map(),
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
  knowsAllCallIds: boolean;
  usage: Usage;
  costUsd: number;
  unpricedCalls: number;
  lostUsd: number;
  context: ContextOpened | null;
  toldDay: string | null;
  sent: SentRequest | null;
  toolUses: Map<string, number>;
  measured: Measured | null;
  compactedSince: boolean;
  compactionFailedAt: number | null;
  raisedUsd: number | null;
  inputs: Input[];
  hooks: Map<string, HookDecided>;
  sessionHooks: Set<string>;
  mode: PermissionMode | null;
  toldMode: PermissionMode | null;
  rules: AddedRule[];
  said: readonly Said[];
  workspace: WorkspaceState;
  classified: Map<string, CallClassified>;
}

export const BLANK_RUN: Omit<RunState, "id" | "model" | "startedAt"> = {
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
  interrupts: [],
  askingSince: null,
  paused: false,
  actors: [],
  raisedUsd: null,
  ending: null,
  costUsd: 0,
  lostUsd: 0,
  reservedUsd: 0,
  resumes: 0,
};
