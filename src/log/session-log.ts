import type { Entry } from "./entry.ts";
import type { SessionImport } from "./session-import.ts";
import type { NewSession, Quota, SessionFilter, SessionRecord, SessionStatus } from "./session-record.ts";
import type { TimeTravel } from "./time-travel.ts";

export {
  DEFAULT_TENANT,
  type NewSession,
  type Quota,
  type SessionFilter,
  type SessionPosition,
  type SessionRecord,
  type SessionStatus,
} from "./session-record.ts";

/**
 * The port to the log. One implementation per database; `testing/store-contract.ts` says what each must do.
 *
 * A session has one writer: whoever holds its lease. Every append names the head that it expects and the epoch of its
 * lease; a writer that was replaced cannot write, however late it wakes up.
 */
export interface SessionLog extends TimeTravel, SessionImport {
  /**
   * Creates a session with its root entry. With a `createKey` that was seen before, or an id that exists and has the same
   * key, returns the existing one with `created: false`.
   * `perMinute`: new sessions in any 60 seconds, over all processes.
   * @throws AppError `conflict` when the id is taken, or the key was used with another `fingerprint`; `rate_limited`, with
   * `details.retryAfterMs`, when there are too many.
   */
  create(
    session: NewSession,
    perMinute?: Quota,
  ): Promise<{ readonly session: SessionRecord; readonly created: boolean }>;

  /** One session, or undefined. */
  session(sessionId: string): Promise<SessionRecord | undefined>;

  /** Sessions, newest change first. Pages hold each session that does not change meanwhile exactly once. */
  sessions(filter?: SessionFilter): Promise<readonly SessionRecord[]>;

  /**
   * Appends entries that follow `fence.head`. Resolves when they would survive a power cut, in the order of the calls.
   * Several appends of one session may be under way at once: each names the last entry of the one before it.
   * `status` is what the session is after these entries, by the writer's fold; stored with them, so that no crash can leave
   * a session with unanswered messages that nobody takes up. Default: what the entries alone tell.
   * @throws AppError `stale_head` when the session stands elsewhere, `fenced` when the lease is held by somebody else,
   * `no_space` when the disk is full. Then nothing of this append is stored.
   */
  append(sessionId: string, fence: Fence, entries: readonly Entry[], status?: SessionStatus): Promise<void>;

  /**
   * The entries from the root to `head` (default: the session's head; or any entry of its tree), across forks: those of branches
   * that were left are not among them. With `after`, only those with a greater `seq`.
   */
  path(sessionId: string, head?: string, after?: number): Promise<readonly Entry[]>;

  /**
   * The end of the path to `head` (default: the session's head): from its last `compacted` entry on, or all of it where there is
   * none. Folds to the same state as the whole path, at a cost that does not grow with the age of the session.
   */
  tail(sessionId: string, head?: string): Promise<readonly Entry[]>;

  /**
   * Up to `limit` entries (default 1,000) with `seq > after`, in order, of all branches. What a reader with a cursor sees next.
   */
  read(sessionId: string, after: number, limit?: number): Promise<readonly Entry[]>;

  /**
   * Entries with `seq > after`, each exactly once, then those that are appended from now on, by any process. Ends when
   * the signal is aborted.
   */
  follow(sessionId: string, after: number, signal: AbortSignal): AsyncIterable<Entry>;

  /**
   * Removes a session for good: its entries, its inbox and what it said at length. Forks keep the history that they share
   * with it; where they come from is then one of them. Who follows it is told that it is gone. Its id and its key are free again.
   * @throws AppError `not_found`; `conflict` while it has work, or another process holds its lease; with `onlyUnused` also when
   * anything was ever sent to it.
   */
  erase(sessionId: string, options?: EraseOptions): Promise<void>;
}

export interface EraseOptions {
  /** Default false. */
  readonly onlyUnused?: boolean;
  /** `conflict` when anybody has used it since. Milliseconds since 1970. */
  readonly unusedSince?: number;
}

export interface Fence {
  /** The id of the last entry, or null for an empty session. */
  readonly head: string | null;
  readonly epoch: number;
}
