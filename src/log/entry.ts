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
  | CallClassified
  | ModeChanged
  | RuleAdded
  | WorkspaceSaved
  | HeadMoved
  | ResultsCleared
  | Compacted
  | CompactionFailed
  | Interrupted
  | InterruptVoted
  | RunPaused
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
  /** What a fork's workspace begins with. */
  readonly files?: WorkspaceOrigin;
  /**
   * Those of the session that it was forked from, as they were when it was: nobody gets around a rule by going back. Absent in those
   * of earlier releases: then what they were at that entry counts.
   */
  readonly permissions?: PermissionsOfSession;
  /** The run that waited for people at that point waits here too, under ids of its own. */
  readonly waits?: true;
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
  /** Where it is from: "hook lint", "environment", "permissions". */
  readonly source: string;
  readonly text: string;
  /** The model has been told that the session works in this mode. */
  readonly mode?: PermissionMode;
}

/** A request is about to be sent. Written before the answer, so that a call lost in a crash is still accounted for. */
export interface ModelCalled {
  readonly type: "modelCalled";
  readonly runId: string;
  readonly model: string;
  /** 1 for the first try of a turn. */
  readonly attempt: number;
  /** Absent: a turn of the conversation. */
  readonly purpose?: CallPurpose;
  readonly prefix?: Prefix;
  /** Set where a budget is in force. */
  readonly reservation?: Reservation;
}

/** `summary`: the request of a compaction. `classification`: whether a call may start (`CallClassified`). */
export type CallPurpose = "summary" | "classification";

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
  readonly purpose?: CallPurpose;
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
  /** 1, and one more for each time that a crash, or a question of the tool's own, made it necessary to start again. */
  readonly attempt: number;
  /** What let it start. Absent in entries of releases that had no permissions. */
  readonly permission?: Permission;
}

/** Which of the layers decided that a call may start, or may not (docs/permissions.md). */
export type PermissionLayer = "validation" | "mode" | "rules" | "classifier" | "hook" | "person";

export interface Permission {
  readonly layer: PermissionLayer;
  /** Which mode, rule, hook or person: "default", "deny: shell(rm *)", "alice". */
  readonly by: string;
}

/**
 * - `ok`, `error`: the tool answered.
 * - `invalid`: the call never started: unknown tool, or arguments that do not fit its schema.
 * - `denied`: a mode, rule, hook or person refused it (`details.permission` says which); it never started.
 * - `expired`: nobody answered in time whether it may start; it never started.
 * - `answered`: a person answered in the tool's place; it never started.
 * - `cancelled`: stopped before or while it ran; what it did until then stays done.
 * - `timedOut`: ended by its time limit, or by the run's.
 * - `unknown`: it had started when its node died, and nobody can tell whether it happened.
 */
export type ToolOutcome =
  | "ok"
  | "error"
  | "invalid"
  | "denied"
  | "expired"
  | "answered"
  | "cancelled"
  | "timedOut"
  | "unknown";

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
  readonly decision: "allow" | "change" | "ask" | "veto" | "end" | "failed" | "timedOut";
  readonly blocks: boolean;
  /** For the model and for people. */
  readonly reason?: string;
  /** The arguments that a call gets instead (`beforeTool`, `change`). */
  readonly input?: unknown;
  /** What the model gets to see in addition. */
  readonly context?: string;
  readonly durationMs: number;
}

/** What a model said about a call that rules leave open (mode `auto`). Unsure means `ask`. */
export interface CallClassified {
  readonly type: "callClassified";
  readonly runId: string;
  readonly callId: string;
  /** Of tool, arguments and policy: what was decided about. */
  readonly binding: string;
  readonly decision: "allow" | "ask" | "deny";
  /** For people; of `deny` also for the model that made the call. */
  readonly reason: string;
  /** Null where none was asked: an earlier decision about the same was used, or there is too much to check. */
  readonly model: string | null;
  /** None has answered, so that a person is asked; `reason` says why. */
  readonly failed?: true;
  readonly usage: Usage;
  readonly costUsd: number | null;
  readonly durationMs: number;
}

export type PermissionMode = "default" | "acceptEdits" | "plan" | "auto" | "dontAsk" | "bypass";

/** The session works in this mode from now on. */
export interface ModeChanged {
  readonly type: "modeChanged";
  readonly mode: PermissionMode;
  /** Absent where a message brought it, which follows. */
  readonly inboxId?: string;
  readonly actor?: string;
}

/** A rule that a person has made for this session, or for all sessions of its agent ("always allow this"). */
export interface RuleAdded {
  readonly type: "ruleAdded";
  readonly scope: "session" | "agent";
  readonly list: "deny" | "ask" | "allow";
  /** As it would stand in harness.json. */
  readonly rule: string;
  /** Absent where it comes with an answer. */
  readonly inboxId?: string;
  readonly actor?: string;
}

/** The files of the workspace were kept as they are, so that a fork or a rewind can start with them. */
export interface WorkspaceSaved {
  readonly type: "workspaceSaved";
  /** Absent where it belongs to no run. */
  readonly runId?: string;
  /** Names it in the store of snapshots. */
  readonly snapshot: string;
  /** All that it holds. */
  readonly files: number;
  readonly bytes: number;
  /** Against the one before it. */
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
  /** What is not in it, and why; the first hundred. */
  readonly skipped: readonly { readonly path: string; readonly why: string }[];
  readonly durationMs: number;
}

/**
 * The head was moved back to the entry that is this one's parent. What stood behind it stays in the log, on a branch of its
 * own, and what it cost stays on the session's account.
 */
export interface HeadMoved {
  readonly type: "headMoved";
  /** Where the session stood. */
  readonly from: string;
  /** What the files of the workspace are from then on. */
  readonly files?: WorkspaceOrigin;
  /** What the whole session has cost until now. */
  readonly spent: {
    readonly usage: Usage;
    readonly costUsd: number;
    readonly unpricedCalls: number;
    readonly lostUsd: number;
  };
  /** A move undoes none of it. Absent in those of earlier releases: then what they were at that entry counts. */
  readonly permissions?: PermissionsOfSession;
  readonly actor?: string;
}

/** What people have made of a session's permissions. */
export interface PermissionsOfSession {
  /** Absent: the agent's. */
  readonly mode?: PermissionMode;
  readonly rules: readonly Pick<RuleAdded, "scope" | "list" | "rule">[];
}

/**
 * What the files of a workspace were made from when the session was forked, or its head moved.
 * - `snapshot`: what they were at that point of the session.
 * - `template`: nothing had been written by then, or nothing can be kept; the agent's workspace, as a new session has it.
 * - `now`: what they were when it was forked or moved.
 */
export interface WorkspaceOrigin {
  readonly from: "snapshot" | "template" | "now";
  /** Absent where the files were not kept: of `template`, and where there are no snapshots. */
  readonly snapshot?: string;
  /** How many files the snapshot left out. */
  readonly skipped: number;
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

/**
 * A question to a person. One about the run itself (`budget`) lets it wait at once; one about a call lets the others go on, and the
 * run waits when nothing else can be done (`runPaused`). Waiting costs nothing, and survives restarts.
 */
export interface Interrupted {
  readonly type: "interrupted";
  readonly runId: string;
  readonly interruptId: string;
  readonly request: InterruptRequest;
}

/** What is asked, and on which terms. */
export type InterruptRequest = ApprovalRequest | OutcomeRequest | QuestionRequest | BudgetRequest;

export type InterruptKind = InterruptRequest["kind"];

/**
 * Whether a call may start. `breakpoint`: because it is one of those that always wait for a person. Answers: `approve`, `edit`,
 * `reject`, `respond`.
 */
export interface ApprovalRequest extends InterruptTerms {
  readonly kind: "approval" | "breakpoint";
  /** For people: what the agent wants to do, and why they are asked. */
  readonly message: string;
  readonly call: AskedCall;
  /** Which layer asks: a mode, a rule, a hook, the classifier. */
  readonly permission: Permission;
  /**
   * Of tool, arguments and policy. An answer holds for what was asked: where one of them has changed meanwhile it is refused.
   */
  readonly binding: string;
  /** What would change, as far as it can be told before. */
  readonly preview?: CallPreview;
  /** What the call would change has changed since it was asked about before. */
  readonly changedSince?: true;
}

export interface AskedCall {
  readonly callId: string;
  readonly tool: string;
  readonly input: unknown;
  readonly risk: Risk;
}

/** What a call can do: how hard it is to take back, and how far it reaches. docs/permissions.md has the table. */
export interface Risk {
  /** `none`: it changes nothing. */
  readonly reversibility: "none" | "undoable" | "hard" | "irreversible";
  readonly reach: "workspace" | "session" | "outside";
  /** For people: what in the call makes it so. */
  readonly why: readonly string[];
}

export interface CallPreview {
  /** `diff`: a unified diff. `command`: what a shell would run. `text`: anything else. */
  readonly type: "diff" | "command" | "text";
  readonly text: string;
  /** Of what the call is about to change; another one later means that it has changed. */
  readonly basis?: string;
}

/** A call whose outcome nobody knows. Answers: `done`, `retry`, `skip`. */
export interface OutcomeRequest extends InterruptTerms {
  readonly kind: "outcome";
  readonly message: string;
  readonly call: AskedCall;
}

/**
 * A tool that runs asks a person (`context.ask`), or sends them somewhere to log in (`auth`). Answers: `respond` with a value that
 * fits the schema, `reject`.
 */
export interface QuestionRequest extends InterruptTerms {
  readonly kind: "question" | "auth";
  readonly message: string;
  readonly call: AskedCall;
  /** JSON Schema of the value that is asked for. Absent: any text. */
  readonly schema?: Readonly<Record<string, unknown>>;
  /** Where a person has to go (`auth`). */
  readonly url?: string;
}

/** The next model call could cost more than what is left. Answers: `raise`, `end`. */
export interface BudgetRequest extends InterruptTerms {
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

/** Who may answer, and until when. Absent: anybody, for as long as the session waits. */
export interface InterruptTerms {
  /** Names of those who may answer. */
  readonly approvers?: readonly string[];
  /** Names of those who may not: they asked for it. */
  readonly excluded?: readonly string[];
  /** How many different people have to approve. Default 1. */
  readonly quorum?: number;
  /** Milliseconds since 1970. */
  readonly expiresAt?: number;
  /** What becomes of it then. */
  readonly onExpire?: OnExpire;
  /** Who is asked when it expires and is to be escalated. */
  readonly escalateTo?: readonly string[];
  /** When people are reminded. */
  readonly remindAt?: readonly number[];
  /** When the run is given up because nobody has answered anything. Milliseconds since 1970. */
  readonly abandonAt?: number;
  /** How often it was asked before this. */
  readonly round?: number;
}

/** `askAgain`: the same people; `escalate`: others. */
export type OnExpire = "deny" | "approve" | "escalate" | "askAgain";

/** One of several people whose approval is needed has given it. */
export interface InterruptVoted {
  readonly type: "interruptVoted";
  readonly interruptId: string;
  readonly inboxId: string;
  readonly actor: string;
}

/** Nothing can be done before one of the open questions has its answer. */
export interface RunPaused {
  readonly type: "runPaused";
  readonly runId: string;
}

export interface InterruptResolved {
  readonly type: "interruptResolved";
  readonly interruptId: string;
  /** Absent where nobody has answered (`withdrawn`). */
  readonly inboxId?: string;
  readonly answer: InterruptAnswer;
  /** Absent where time has answered, or nobody said who they are. */
  readonly actor?: string;
  /** How it was answered: "cli", "http", "link", "clock". Absent in entries of earlier releases. */
  readonly channel?: string;
  /** How long it waited. */
  readonly waitedMs?: number;
}

/**
 * - `raise`: the budget is `limitUsd` from now on (for an agent or tenant: today). `end`: the run ends.
 * - `approve`: the call may start. `always`: and so may others like it, in this session or in all of its agent.
 * - `edit`: it may start with these arguments instead.
 * - `reject`: it does not start, and the model is told why.
 * - `respond`: this is the answer to a question, or the result of a call that does not start.
 * - `done`, `retry`, `skip`: what became, or is to become, of a call whose outcome nobody knows.
 * - `expired`: nobody has answered in time. `abandoned`: nobody has for so long that the run is given up.
 * - `stale`: somebody has answered, and what was asked about is not the same any more; it is looked at anew.
 * - `withdrawn`: rules or a mode of today decide it, so that nobody has to be asked.
 */
export type InterruptAnswer =
  | { readonly action: "raise"; readonly limitUsd: number }
  | { readonly action: "end" }
  | { readonly action: "approve"; readonly always?: "session" | "agent" }
  | { readonly action: "edit"; readonly input: unknown }
  | { readonly action: "reject"; readonly feedback?: string }
  | { readonly action: "respond"; readonly value: unknown }
  | { readonly action: "done"; readonly note?: string }
  | { readonly action: "retry" }
  | { readonly action: "skip" }
  | { readonly action: "expired"; readonly onExpire: OnExpire }
  | { readonly action: "abandoned" }
  | { readonly action: "stale" }
  | { readonly action: "withdrawn" };

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
 * - `abandoned`: nobody answered for so long that it was given up.
 */
export type RunEnd =
  | "endTurn"
  | "stopped"
  | "turnLimit"
  | "timeLimit"
  | "maxTokens"
  | "refused"
  | "budget"
  | "hook"
  | "abandoned";

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
