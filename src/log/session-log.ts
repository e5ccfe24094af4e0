import type { Usage } from "./content.ts";
import type { Entry } from "./entry.ts";
import type { SessionImport } from "./session-import.ts";
import type { TimeTravel } from "./time-travel.ts";

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
}

export interface Fence {
  /** The id of the last entry, or null for an empty session. */
  readonly head: string | null;
  readonly epoch: number;
}

/** How much there may be, of one agent and of one tenant. Null: no limit. */
export interface Quota {
  readonly agent: number | null;
  readonly tenant: number | null;
}

/** Whoever is not named. Sessions of releases without tenants belong to it. */
export const DEFAULT_TENANT = "default";

export interface NewSession {
  readonly id: string;
  readonly agent: string;
  /** Whose it is. Default: `DEFAULT_TENANT`. */
  readonly tenant?: string;
  readonly title?: string;
  /** The caller's idempotency key; unique over all sessions. */
  readonly createKey?: string;
  /** A hash of what the caller asked for, so that a key used for something else is noticed. */
  readonly fingerprint?: string;
}

/**
 * `queued`: has work and no runner yet. `running`: a run is under way (or was, when its node died). `waiting`: a run waits
 * for a person's answer, and nobody has to work on it.
 */
export type SessionStatus = "idle" | "queued" | "running" | "waiting";

export interface SessionRecord {
  readonly id: string;
  readonly agent: string;
  /** Whose it is; others do not see it. */
  readonly tenant: string;
  readonly title: string | null;
  readonly status: SessionStatus;
  /** How the last run ended ("endTurn", "stopped", "failed", ...); null before the first. */
  readonly lastRunEnd: string | null;
  readonly headId: string | null;
  readonly headSeq: number;
  readonly createdAt: number;
  /** When it last got a message, or a run began or ended. */
  readonly updatedAt: number;
  readonly turns: number;
  readonly usage: Usage;
  /** Sum over the calls whose price is known. */
  readonly costUsd: number;
  /** Calls whose price is not known; when above 0, `costUsd` is a lower bound. */
  readonly unpricedCalls: number;
  readonly forkedFrom: { readonly sessionId: string; readonly entryId: string } | null;
}

export interface SessionFilter {
  readonly agent?: string;
  readonly tenant?: string;
  readonly status?: SessionStatus;
  /** Only forks of this session. */
  readonly forkOf?: string;
  /** Only sessions that come after this one; for paging with the last one of the page before. */
  readonly after?: SessionPosition;
  /** Default 50, at most 1,000. */
  readonly limit?: number;
}

/** A place in the list of sessions; of two that changed in the same millisecond, the greater id comes first. */
export type SessionPosition = Pick<SessionRecord, "updatedAt" | "id">;
