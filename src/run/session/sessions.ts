import type { ContextView } from "../../context/view.ts";
import type { Entry, InterruptAnswer, PermissionMode } from "../../log/entry.ts";
import type { EraseOptions, SessionFilter, SessionRecord } from "../../log/session-log.ts";
import type { AddedRule } from "../../log/state.ts";
import type { Execution, Sandbox } from "../../sandboxes/sandbox.ts";
import type { TimeTravelCommands } from "../time-travel/time-travel.ts";
import type { InboxItem } from "../worker/queue.ts";
import type { AuditQuery, PermissionAudit } from "./audit.ts";
import type { CostQuery, CostReport } from "./costs.ts";
import type { RunEvent } from "./events.ts";
import type { CallExplanation } from "./explain-call.ts";
import type { InterruptFilter, InterruptRecord } from "./interrupts.ts";
import type { SendMessage } from "./send-message.ts";
import type { Transfer } from "./transfer.ts";

/**
 * What anybody may do with sessions: the one interface under HTTP, the command line and the programming interface. Where it
 * belongs to a tenant, it holds that tenant's sessions only; others are `not_found`.
 * Everything that creates takes an idempotency key, and a key that was used with other content is a `conflict`.
 */
export interface Sessions extends Transfer, TimeTravelCommands {
  /**
   * @throws AppError `not_found` for an unknown agent (with the nearest name), `conflict`, `invalid_input` for a bad id,
   * `rate_limited` where agent or tenant has made too many within a minute.
   */
  create(request: CreateSession): Promise<{ readonly session: SessionRecord; readonly created: boolean }>;
  /** @throws AppError `not_found`. So do all that follow. */
  get(sessionId: string): Promise<SessionRecord>;
  list(filter?: SessionFilter): Promise<readonly SessionRecord[]>;
  entries(sessionId: string, after?: number, limit?: number): Promise<readonly Entry[]>;
  /** What the model would be sent next, and what each part of it takes; with `request`: the request itself, too. */
  context(sessionId: string, options?: { readonly request?: boolean }): Promise<ContextView>;
  /** What was sent and is not in the log yet, oldest first. */
  inbox(sessionId: string): Promise<readonly InboxItem[]>;

  /**
   * Durable when it resolves: the message will be answered, whatever happens to this process.
   * @throws AppError `conflict` where it is to be refused because the session is at work; `rate_limited` where it would
   * begin one run more than agent or tenant may have at once, or a thousand messages wait already.
   */
  send(
    sessionId: string,
    message: SendMessage,
  ): Promise<{ readonly messageId: string; readonly duplicate: boolean }>;

  /**
   * Entries with `seq > after` (default 0: from the start), then what happens live, until the signal is aborted. A reader
   * that leaves changes nothing. Reading starts when this is called, not at the first `next()`.
   */
  watch(
    sessionId: string,
    options: { readonly after?: number; readonly signal: AbortSignal },
  ): AsyncIterable<RunEvent>;

  /**
   * As `watch`, but ends after the run that answers the given message (as returned by `send`) has ended: its last event is
   * that run's `runFinished` or `runFailed` entry. Where a person has to decide something first, it ends with `waiting`
   * instead; once they have, the same call reads on. `after` has to stand before the message. Where that run had begun before,
   * the events begin in its middle; where others come first, they are among them.
   */
  watchRun(
    sessionId: string,
    messageId: string,
    options: { readonly after?: number; readonly signal: AbortSignal },
  ): AsyncIterable<RunEvent>;

  /**
   * Ends the current run: model request, commands, timers. Resolves when the log says how it ended, or at once when
   * nothing runs. @throws AppError `unavailable` when no process has done so within half a minute; the stop stands.
   */
  stop(sessionId: string, reason?: string): Promise<{ readonly stopped: boolean }>;

  /**
   * Deletes a session for good: its log, its inbox, its sandbox with whatever runs in it, and its workspace. Sessions that
   * were forked from it keep the history that they share with it.
   * @throws AppError `conflict` while it has work: stop it first; with `onlyUnused` also when anything was ever sent to it.
   */
  delete(sessionId: string, options?: EraseOptions): Promise<void>;

  /** Questions on which runs wait, or waited, for a person; the latest first. */
  interrupts(filter?: InterruptFilter): Promise<readonly InterruptRecord[]>;

  /**
   * A person's answer. The first one counts, and is durable when this resolves. Where several people have to approve, each
   * approval but the last is a vote. A budget of an agent or a tenant is raised for all sessions that wait because of it.
   * @throws AppError `conflict` for a second answer, with who gave the first and when, when the run has ended meanwhile, or when tool
   * or rules have changed since (`details.stale`; it is asked anew); `invalid_input` for what does not answer the question;
   * `forbidden` for whoever may not answer it.
   */
  answer(
    sessionId: string,
    interruptId: string,
    answer: InterruptAnswer,
    options?: AnswerOptions,
  ): Promise<AnsweredInterrupt>;

  /**
   * From now on the session works in this mode: durable when it resolves, seen by the run that is under way before its next call.
   * @throws AppError `forbidden` for `bypass` where the process does not allow it, and for one that asks less than the agent's own where
   * it matters who approves and they are none of them (`loosen.ts`; so with rules that allow).
   */
  setMode(sessionId: string, mode: PermissionMode, actor?: string): Promise<void>;

  /**
   * One more rule, for this session or for all of its agent. @throws AppError `invalid_input` for what is no rule; `forbidden` for
   * a tenant that would make one for all sessions of an agent.
   */
  addRule(sessionId: string, rule: AddedRule, actor?: string): Promise<void>;

  /** What the session works in, and the rules that people have made for it. What waits in its inbox is not in it yet. */
  permissions(sessionId: string): Promise<SessionPermissions>;

  /** Why a call on the session's path might start, or might not: then and now, layer by layer. @throws AppError `not_found` */
  explain(sessionId: string, callId: string): Promise<CallExplanation>;

  /** The rules that people have made for all sessions of an agent, in order. @throws AppError `forbidden` for a tenant. */
  agentRules(agent: string): Promise<readonly AddedRule[]>;

  /** @throws AppError `not_found` where there is no such rule; `forbidden` for a tenant. */
  removeAgentRule(agent: string, rule: Pick<AddedRule, "list" | "rule">, actor?: string): Promise<void>;

  /** What calls to models have cost, added up. */
  costs(query: CostQuery): Promise<CostReport>;

  /** Who or what has decided whether calls may start. Reads the logs of all sessions that the query is about. */
  audit(query?: AuditQuery): Promise<PermissionAudit>;

  /** A command straight into the session's sandbox, without the model and without a trace in the transcript. */
  exec(sessionId: string, command: DirectCommand): Promise<Execution>;

  /** The session's sandbox, for its files. Shared: do not destroy it. */
  sandbox(sessionId: string): Promise<Sandbox>;
}

export interface CreateSession {
  readonly agent: string;
  /** Default: a new id. 1 to 256 characters of `[A-Za-z0-9._:-]`, starting with a letter or digit. */
  readonly id?: string;
  readonly title?: string;
  readonly idempotencyKey?: string;
}

export type { SendMessage } from "./send-message.ts";

export interface SessionPermissions {
  readonly mode: PermissionMode;
  readonly rules: readonly AddedRule[];
}

export interface AnswerOptions {
  /** Who gives it. */
  readonly actor?: string;
  /** How: "cli", "http", "link". */
  readonly channel?: string;
  readonly idempotencyKey?: string;
}

export interface AnsweredInterrupt extends InterruptRecord {
  /** The idempotency key was seen before: this is what came of it then. */
  readonly duplicate?: true;
}

export interface DirectCommand {
  readonly command: string;
  readonly cwd?: string;
  readonly stdin?: Uint8Array;
  /** Default 10 minutes. */
  readonly timeoutMs?: number;
  /** With the same key nothing is started again: the first command's output is read. */
  readonly idempotencyKey?: string;
}
