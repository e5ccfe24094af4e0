import type { UserBlock } from "../log/content.ts";
import type { Entry } from "../log/entry.ts";
import type { SessionFilter, SessionRecord } from "../log/session-log.ts";
import type { Execution, Sandbox } from "../sandboxes/sandbox.ts";
import type { RunEvent } from "./events.ts";

/**
 * What anybody may do with sessions: the one interface under HTTP, the command line and the programming interface.
 * Everything that creates takes an idempotency key, and a key that was used with other content is a `conflict`.
 */
export interface Sessions {
  /** @throws AppError `not_found` for an unknown agent (with the nearest name), `conflict`, `invalid_input` for a bad id. */
  create(request: CreateSession): Promise<{ readonly session: SessionRecord; readonly created: boolean }>;
  /** @throws AppError `not_found`. So do all that follow. */
  get(sessionId: string): Promise<SessionRecord>;
  list(filter?: SessionFilter): Promise<readonly SessionRecord[]>;
  entries(sessionId: string, after?: number, limit?: number): Promise<readonly Entry[]>;

  /** Durable when it resolves: the message will be answered, whatever happens to this process. */
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
   * that run's `runFinished` or `runFailed` entry. `after` has to stand before the message.
   */
  watchRun(
    sessionId: string,
    messageId: string,
    options: { readonly after?: number; readonly signal: AbortSignal },
  ): AsyncIterable<RunEvent>;

  /**
   * Ends the current run: model request, commands, timers. Resolves when the log says how it ended, or at once when
   * nothing runs.
   */
  stop(sessionId: string, reason?: string): Promise<{ readonly stopped: boolean }>;

  /**
   * Deletes a session for good: its log, its inbox, its sandbox with whatever runs in it, and its workspace. Sessions that
   * were forked from it keep the history that they share with it.
   * @throws AppError `conflict` while it has work: stop it first.
   */
  delete(sessionId: string): Promise<void>;

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

export interface SendMessage {
  readonly blocks: readonly UserBlock[];
  /** Use this model for the run that answers. */
  readonly model?: string;
  readonly idempotencyKey?: string;
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
