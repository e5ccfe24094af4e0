import type { AssistantBlock, ResultBlock, Sidecar, Usage, UserBlock } from "./content.ts";

/**
 * Everything that durably happened in a session, as plain facts in the past tense.
 *
 * Glossary
 * - *session*: a tree of entries, a workspace and, while needed, a sandbox. Belongs to one agent.
 * - *head*: the entry at which the session stands; the *path* is the way from the root to the head.
 * - *run*: the work from a message that finds the session idle until it is idle again. Has an id; survives crashes.
 * - *turn*: one model call and the tool calls that it asked for.
 * - *call*: one tool call of the model, named by `callId`. It has exactly one result.
 * - *operation*: one attempt-independent effect in the outside world, named by `operationId`. The same operation keeps
 *   its id over every attempt, so that the other side can recognise it.
 * - *lease*, *epoch*: the right to write a session, and the number that grows each time the right changes hands.
 */
export type Entry = EntryHeader & Fact;

export interface EntryHeader {
  /** Unique over all sessions. */
  readonly id: string;
  readonly sessionId: string;
  /** The entry before this one on its branch; null for the root. */
  readonly parentId: string | null;
  /** Position in the session's log: 1, 2, 3, ... without gaps. A reader's cursor. */
  readonly seq: number;
  /** Wall clock, integer milliseconds since 1970. */
  readonly at: number;
  /** Version of the entry's shape. Readers upcast older ones (`upcast.ts`). */
  readonly v: typeof ENTRY_VERSION;
}

export const ENTRY_VERSION = 1;

export type Fact =
  | SessionCreated
  | UserMessage
  | RunStarted
  | RunResumed
  | ModelCalled
  | ModelFailed
  | AssistantMessage
  | ToolStarted
  | ToolFinished
  | StopRequested
  | RunFinished
  | RunFailed;

export type FactType = Fact["type"];

export interface SessionCreated {
  readonly type: "sessionCreated";
  readonly agent: string;
  /** Where the session came from, when it was forked. */
  readonly forkedFrom?: { readonly sessionId: string; readonly entryId: string };
}

export interface UserMessage {
  readonly type: "userMessage";
  readonly blocks: readonly UserBlock[];
  /** The inbox item that it came from; makes moving it into the log idempotent. */
  readonly inboxId: string;
  /** The model that the sender asked for, instead of the agent's. */
  readonly model?: string;
}

export interface RunStarted {
  readonly type: "runStarted";
  readonly runId: string;
  /** The model that this run uses: the agent's, or the one that the message asked for. */
  readonly model: string;
}

/** A node took over a run that another one had left unfinished. */
export interface RunResumed {
  readonly type: "runResumed";
  readonly runId: string;
  readonly nodeId: string;
  readonly epoch: number;
}

/** A request is about to be sent. Written before the answer, so that a call lost in a crash is still accounted for. */
export interface ModelCalled {
  readonly type: "modelCalled";
  readonly runId: string;
  readonly model: string;
  /** 1 for the first try of a turn. */
  readonly attempt: number;
}

export interface ModelFailed {
  readonly type: "modelFailed";
  readonly runId: string;
  readonly model: string;
  readonly attempt: number;
  readonly failure: ModelFailure;
  readonly durationMs: number;
}

export interface ModelFailure {
  readonly kind: ModelFailureKind;
  /** For people: what the provider said, without secrets. */
  readonly message: string;
  /** HTTP status of the provider, where there was one. */
  readonly status?: number;
  /** The provider asked for this much patience. */
  readonly retryAfterMs?: number;
}

export type ModelFailureKind =
  | "rateLimited"
  | "overloaded"
  | "network"
  | "timeout"
  | "contextOverflow"
  | "refused"
  | "badRequest"
  | "authentication"
  | "quota"
  | "unknown";

export type StopReason = "endTurn" | "toolCalls" | "maxTokens" | "refused" | "other";

export interface AssistantMessage {
  readonly type: "assistantMessage";
  readonly runId: string;
  readonly model: string;
  readonly blocks: readonly AssistantBlock[];
  readonly stopReason: StopReason;
  readonly usage: Usage;
  /** US dollars by the catalogue at the time of the call; null when the price is not known. */
  readonly costUsd: number | null;
  readonly timing: { readonly firstTokenMs: number | null; readonly totalMs: number };
  readonly sidecar?: Sidecar;
}

/** What becomes of a call that was under way when its node died. See docs/design.md, *Effects*. */
export type Effect = "readonly" | "idempotent" | "keyed" | "reconcile" | "once";

/** On disk before the effect can begin. */
export interface ToolStarted {
  readonly type: "toolStarted";
  readonly runId: string;
  readonly callId: string;
  readonly operationId: string;
  readonly name: string;
  readonly effect: Effect;
  /** 1, and one more for each time that a crash made it necessary to start again. */
  readonly attempt: number;
}

/**
 * - `ok`, `error`: the tool answered.
 * - `invalid`: the call never started: unknown tool, or arguments that do not fit its schema.
 * - `denied`: the policy refused it; it never started.
 * - `cancelled`: stopped before or while it ran; what it did until then stays done.
 * - `timedOut`: ended by its time limit.
 * - `unknown`: it had started when its node died, and nobody can tell whether it happened.
 */
export type ToolOutcome = "ok" | "error" | "invalid" | "denied" | "cancelled" | "timedOut" | "unknown";

export interface ToolFinished {
  readonly type: "toolFinished";
  readonly runId: string;
  readonly callId: string;
  readonly name: string;
  readonly outcome: ToolOutcome;
  /** What the model is shown. Never empty. */
  readonly blocks: readonly ResultBlock[];
  /** Facts for programs and people (exit code, paths, bytes); not shown to the model. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly durationMs: number;
}

export interface StopRequested {
  readonly type: "stopRequested";
  readonly inboxId: string;
  readonly reason?: string;
}

/**
 * - `endTurn`: the model was done.
 * - `stopped`: somebody asked for it.
 * - `turnLimit`, `timeLimit`: the agent's `limits`.
 * - `maxTokens`: the answer reached the model's output limit.
 * - `refused`: the model refused to answer.
 */
export type RunEnd = "endTurn" | "stopped" | "turnLimit" | "timeLimit" | "maxTokens" | "refused";

export interface RunFinished {
  readonly type: "runFinished";
  readonly runId: string;
  readonly reason: RunEnd;
}

export interface RunFailed {
  readonly type: "runFailed";
  readonly runId: string;
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
}

/** An entry as it is handed to a writer, which adds the header. */
export type NewEntry = Fact;
