import type { AssistantBlock, Message, ResultBlock, Sidecar, Usage, UserBlock } from "./content.ts";

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
 * - *prefix*: the bytes of a request that the one before it began with, too; what a provider's cache can serve.
 * - *compaction*: the recorded replacement of old messages by less, when the context window fills up.
 * - *interrupt*: a question to a person on which a run waits, for as long as it takes.
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
  | ContextOpened
  | ContextAdded
  | ModelCalled
  | ModelFailed
  | ModelSwitched
  | AnswerPart
  | AssistantMessage
  | ToolStarted
  | ToolFinished
  | HookDecided
  | ResultsCleared
  | Compacted
  | CompactionFailed
  | Interrupted
  | InterruptResolved
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
  /** Default `steer`. `interrupt` has a `stopRequested` before it. */
  readonly delivery?: Delivery;
  /** Who sent it, where the sender said so. */
  readonly actor?: string;
}

/**
 * What becomes of a message that arrives while a run goes on.
 * - `steer`: the model sees it before its next call; calls that have not started are skipped.
 * - `followUp`: it is answered by a run of its own, after this one has ended.
 * - `interrupt`: the run is stopped, then it is answered.
 */
export type Delivery = "steer" | "followUp" | "interrupt";

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
  /** A request was under way: its answer is lost, and what it cost is not known. */
  readonly lostCall?: true;
}

/**
 * From here on, until the next one, the part of the request that stands before the messages stays byte for byte the same:
 * tools and system prompt. What the agent's own files say follows from the agent and is recorded as a hash; what only this
 * moment could tell is recorded as text.
 */
export interface ContextOpened {
  readonly type: "contextOpened";
  /** Why the request does not go on with the bytes of the one before it. */
  readonly cause: PrefixBreak;
  readonly promptHash: string;
  readonly toolsHash: string;
  /** Names of the tools that the model is told of in full, in order. */
  readonly tools: readonly string[];
  /** Names of those that it can find (`find_tools`). */
  readonly deferred: readonly string[];
  /** Project files, memory, environment: as they were. */
  readonly sections: readonly RecordedSection[];
}

export type PrefixBreak = "start" | "promptChanged" | "toolsChanged" | "modelChanged" | "compacted";

export interface RecordedSection {
  readonly name: "project" | "memory" | "environment";
  /** Where the text is from, for people: "AGENTS.md". */
  readonly source: string;
  readonly text: string;
}

/** A note of the runtime to the model: what a hook wants it to know, or that the day has changed. */
export interface ContextAdded {
  readonly type: "contextAdded";
  /** Where it is from: "hook lint", "environment". */
  readonly source: string;
  readonly text: string;
}

/** A request is about to be sent. Written before the answer, so that a call lost in a crash is still accounted for. */
export interface ModelCalled {
  readonly type: "modelCalled";
  readonly runId: string;
  readonly model: string;
  /** 1 for the first try of a turn. */
  readonly attempt: number;
  /** `summary`: the request of a compaction; no turn of the conversation. */
  readonly purpose?: "summary";
  readonly prefix?: Prefix;
  /** Set where a budget is in force. */
  readonly reservation?: Reservation;
}

export interface Prefix {
  /** Of the whole request, 16 hexadecimal digits. */
  readonly hash: string;
  /** Estimated tokens of the whole request. */
  readonly tokens: number;
  /** How many of them the request before it began with, too. */
  readonly reusable: number;
  /** Why that is not all of the request before it. */
  readonly broke?: PrefixBreak;
}

/** The most that a call can cost, kept free in every budget that it counts against until its price is known. */
export interface Reservation {
  readonly usd: number;
  /**
   * The answer was held to so many tokens, which is less than the model may write, because no more was left; or because nobody
   * knows how much it may write.
   */
  readonly maxOutputTokens?: number;
  readonly budgets: readonly ReservedBudget[];
}

/** A budget that several sessions share. Those of a run and a session need no reservation: a session has one call at a time. */
export interface ReservedBudget {
  readonly scope: "agent" | "tenant";
  /** Name of the agent or tenant. */
  readonly key: string;
  /** The day (UTC) that it is for, as "2026-01-31". */
  readonly day: string;
  readonly limitUsd: number;
}

export interface ModelFailed {
  readonly type: "modelFailed";
  readonly runId: string;
  readonly model: string;
  readonly attempt: number;
  readonly failure: ModelFailure;
  readonly durationMs: number;
  readonly purpose?: "summary";
  /** It broke off after a part of the answer had come: what that cost is not known. */
  readonly lostCall?: true;
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

/** The run goes on with the next model of its fallback list. */
export interface ModelSwitched {
  readonly type: "modelSwitched";
  readonly runId: string;
  readonly from: string;
  readonly to: string;
  /** The failure that made it necessary. */
  readonly why: ModelFailureKind;
}

/**
 * What was complete of an answer when the first of its calls was started, while the rest was still being written. Holds
 * everything from the start of the answer; a later one of the same answer replaces it. When the rest never comes, this is
 * the answer.
 */
export interface AnswerPart {
  readonly type: "answerPart";
  readonly runId: string;
  readonly model: string;
  readonly blocks: readonly AssistantBlock[];
  readonly sidecar?: Sidecar;
}

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
  /** The answer broke off behind calls that had been started: what was complete is kept, what it cost is not known. */
  readonly brokeOff?: true;
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
 * - `timedOut`: ended by its time limit, or by the run's.
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
  /** The result as plain JSON, for programs; of tools that have one. A large one is in the file `details.structuredFile`. */
  readonly structured?: unknown;
  /** Facts for programs and people (exit code, paths, bytes); not shown to the model. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly durationMs: number;
}

/** A point in a run at which hooks are asked. docs/hooks.md has the table of what each gets and may do. */
export type HookPoint =
  | "sessionStart"
  | "input"
  | "beforeModel"
  | "beforeTool"
  | "afterTool"
  | "beforeCompact"
  | "runEnd";

/** What one hook said at one point. */
export interface HookDecided {
  readonly type: "hookDecided";
  readonly runId: string;
  readonly hook: string;
  readonly point: HookPoint;
  /** What it was asked about: a callId, an inboxId, the number of a turn, the runId. */
  readonly subject: string;
  /** `failed`, `timedOut`: it did not answer; `blocks` says whether that stopped what it was asked about. */
  readonly decision: "allow" | "change" | "veto" | "end" | "failed" | "timedOut";
  readonly blocks: boolean;
  /** For the model and for people. */
  readonly reason?: string;
  /** The arguments that a call gets instead (`beforeTool`, `change`). */
  readonly input?: unknown;
  /** What the model gets to see in addition. */
  readonly context?: string;
  readonly durationMs: number;
}

/** Old tool results are shown to the model as a marker from now on. The first, cheapest tier of compaction. */
export interface ResultsCleared {
  readonly type: "resultsCleared";
  readonly runId: string;
  readonly results: readonly ClearedResult[];
  /** Estimated tokens of the request. */
  readonly tokensBefore: number;
  readonly tokensAfter: number;
}

export interface ClearedResult {
  readonly callId: string;
  /** Where the whole of it is, relative to the workspace; null when it could not be kept. */
  readonly file: string | null;
}

/**
 * The transcript is `messages` from now on. The log keeps everything before it; state need not be folded from further back
 * than here, which is what makes an old session cheap to resume.
 */
export interface Compacted {
  readonly type: "compacted";
  /** Absent where it belongs to no run. */
  readonly runId?: string;
  /**
   * `summary`: written by the model. `emergency`: the oldest messages are left out without one. `repair`: nothing is left
   * out; what no provider would accept was put right (`holdfast doctor <session> --repair`).
   */
  readonly tier: "summary" | "emergency" | "repair";
  readonly messages: readonly Message[];
  /** Everything else that is known of the session, as `CarriedState` of `state.ts`. For this runtime only. */
  readonly carried: unknown;
  readonly tokensBefore: number;
  readonly tokensAfter: number;
  /** What the summary cost. */
  readonly usage: Usage;
  readonly costUsd: number | null;
}

/** A compaction that could not be made or did not help. The next one is tried; none is tried twice for the same request. */
export interface CompactionFailed {
  readonly type: "compactionFailed";
  readonly runId: string;
  readonly tier: "results" | "summary" | "emergency";
  readonly reason: string;
  /** Estimated tokens of the request that was to become shorter. */
  readonly tokens: number;
  readonly usage: Usage;
  readonly costUsd: number | null;
}

/** The run waits for a person. It costs nothing meanwhile, and survives restarts. */
export interface Interrupted {
  readonly type: "interrupted";
  readonly runId: string;
  readonly interruptId: string;
  readonly request: InterruptRequest;
}

/** What is asked. `budget`: the next call could cost more than what is left. */
export interface InterruptRequest {
  readonly kind: "budget";
  /** For people: what happened and what they can do. */
  readonly message: string;
  readonly budget: {
    readonly scope: "run" | "session" | "agent" | "tenant";
    /** Id of the run or session, name of the agent or tenant. */
    readonly key: string;
    readonly limitUsd: number;
    /** Spent and reserved by others, as far as prices are known. */
    readonly spentUsd: number;
    /** What the next call could cost. */
    readonly neededUsd: number;
  };
}

export interface InterruptResolved {
  readonly type: "interruptResolved";
  readonly interruptId: string;
  readonly inboxId: string;
  readonly answer: InterruptAnswer;
  readonly actor?: string;
}

/** `raise`: the budget is `limitUsd` from now on (for an agent or tenant: today). `end`: the run ends. */
export type InterruptAnswer =
  | { readonly action: "raise"; readonly limitUsd: number }
  | { readonly action: "end" };

export interface StopRequested {
  readonly type: "stopRequested";
  /** Absent where it comes with a message that interrupts. */
  readonly inboxId?: string;
  readonly reason?: string;
}

/**
 * - `endTurn`: the model was done.
 * - `stopped`: somebody asked for it.
 * - `turnLimit`, `timeLimit`: the agent's `limits`.
 * - `maxTokens`: the answer reached the model's output limit.
 * - `refused`: the model refused to answer.
 * - `budget`: a person ended it instead of raising its budget.
 * - `hook`: a hook ended it.
 */
export type RunEnd =
  | "endTurn"
  | "stopped"
  | "turnLimit"
  | "timeLimit"
  | "maxTokens"
  | "refused"
  | "budget"
  | "hook";

export interface RunFinished {
  readonly type: "runFinished";
  readonly runId: string;
  readonly reason: RunEnd;
  /** A request was cut off: what it cost is not known. */
  readonly lostCall?: true;
  readonly left?: LeftMessages;
}

/**
 * The inbox ids of messages that a run leaves to those that follow: they came too late for it, or wait for a run of their
 * own. A message that is not among them has had its answer, or gets none. Absent: there are none.
 */
export type LeftMessages = readonly string[];

export interface RunFailed {
  readonly type: "runFailed";
  readonly runId: string;
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
  readonly left?: LeftMessages;
}

/** An entry as it is handed to a writer, which adds the header. */
export type NewEntry = Fact;
