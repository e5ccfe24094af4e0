import type {
  Entry,
  HeadMoved,
  NewEntry,
  PermissionsOfSession,
  RunFinished,
  WorkspaceOrigin,
  WorkspaceSaved,
} from "./entry.ts";
import type { Quota, SessionRecord, SessionStatus } from "./session-record.ts";
import type { OpenInterrupt } from "./state.ts";

/**
 * The part of the port to the log that treats a session as a tree: any entry of it, also one on a branch that was left, is a
 * place to fork at and to move back to. Each entry but one follows the entry before it; `headMoved` follows the one that it
 * moves to. So a path is a few stretches of the log, as many as moves lie on it.
 */
export interface TimeTravel {
  /**
   * A new session that shares the history up to `at` (any entry of this session's tree) without copying it. The same fork again
   * (by its id, or by its `createKey`) is returned with `created: false`.
   * @throws AppError `not_found`; `conflict` when the id is taken, or the key was used with another `fingerprint`;
   * `rate_limited` as `create`.
   */
  fork(
    sessionId: string,
    at: string,
    newSessionId: string,
    options?: ForkOptions,
  ): Promise<{ readonly session: SessionRecord; readonly created: boolean }>;

  /**
   * Moves the head of a session that is held (`hold`), and returns the entry that says so. What stood behind it stays in the log,
   * on a branch of its own. What its run asked people is closed.
   * @throws AppError `not_found` for an entry that is not of its tree; `conflict` when the session has got work meanwhile;
   * `stale_head` when it does not stand where the hold found it; `fenced` when the hold is lost.
   */
  rewind(hold: Hold, move: Rewind): Promise<Entry & HeadMoved>;

  /** The move that was made under a key. @throws AppError `conflict` when the key was used for something else. */
  rewound(sessionId: string, key: string, fingerprint: string): Promise<(Entry & HeadMoved) | undefined>;

  /** The entry of a session's tree with this id or `seq`, or the only one whose id begins like this. @throws AppError `not_found`, `conflict`. */
  find(sessionId: string, which: { readonly id: string } | { readonly seq: number }): Promise<Entry>;

  /** The last entry on the path to `at` that says what the files of the workspace were: a snapshot, a move, a fork. */
  filesAt(sessionId: string, at: string): Promise<Entry | undefined>;

  /** The last entry that the paths of two sessions share; undefined when they have none. @throws AppError `not_found`. */
  divergence(
    one: string,
    other: string,
  ): Promise<{ readonly entryId: string; readonly seq: number } | undefined>;

  /**
   * Keeps everybody from taking the session up while its files are replaced, for as long as this process lives or until `letGo`.
   * Undefined when somebody holds it already. With `atRest`, whoever had its lease has lost it.
   * @throws AppError `not_found`; with `atRest` `conflict` while it has work.
   */
  hold(sessionId: string, options?: { readonly atRest?: boolean }): Promise<Hold | undefined>;

  /** Ends a hold; with `filesDone`, the files are what they were to become. Without effect when it was lost. */
  letGo(hold: Hold, options?: { readonly filesDone?: boolean }): Promise<void>;

  /** Whether the files of a session are as its log says, or may be used at all. */
  files(sessionId: string): Promise<{ readonly due: FilesDue | null; readonly held: boolean }>;
}

export interface ForkOptions {
  /** Default: that of the session that it is forked from. */
  readonly title?: string;
  /** As of `NewSession`. */
  readonly createKey?: string;
  readonly fingerprint?: string;
  readonly perMinute?: Quota;
  /** What its files begin as, for the record. */
  readonly files?: WorkspaceOrigin;
  /** What people have made of the permissions of the session that it is forked from. */
  readonly permissions?: PermissionsOfSession;
  /** Default: nothing has to be done for it. */
  readonly due?: FilesDue;
  /** What its run waits for (`canWaitInFork`). Default: the run is left behind. */
  readonly waiting?: ForkedRun;
}

/** What a run waits for at the point of a fork, as it was asked there, and what the fork's status is by its fold. */
export interface ForkedRun {
  readonly runId: string;
  readonly interrupts: readonly OpenInterrupt[];
  readonly status: SessionStatus;
}

/** The snapshot that the files of a session have to become before anybody uses them. */
export type FilesDue = string;

export interface Rewind {
  readonly to: string;
  /** What is appended to the branch that is left, before the move. */
  readonly leaving: readonly (NewEntry & (WorkspaceSaved | RunFinished))[];
  readonly moved: Omit<HeadMoved, "from">;
  /** Absent: they stay as they are, also where they were to become something else. */
  readonly due?: FilesDue;
  /** The caller's idempotency key, with a hash of what they asked for. */
  readonly key?: { readonly key: string; readonly fingerprint: string };
}

/** A session that nobody takes up. */
export interface Hold {
  readonly sessionId: string;
  readonly token: string;
  readonly headId: string | null;
  /** As `files` says. */
  readonly due: FilesDue | null;
}
