import type { Usage } from "../../log/content.ts";
import type { WorkspaceOrigin } from "../../log/entry.ts";
import type { SessionRecord, SessionStatus } from "../../log/session-log.ts";
import type { SendMessage } from "../session/send-message.ts";

/**
 * What anybody may do with the branches of a session: the part of `Sessions` that looks at it as a tree. Entries are named by
 * their id, by the beginning of it, by number ("#12"), or from behind: "~1" is what stood before the last message, "~2" before the
 * last but one, "~0" where it stands. See docs/time-travel.md.
 */
export interface TimeTravelCommands {
  /** The branches of a session, and its forks. Everything about branches; of the places where one would fork, the latest. */
  tree(sessionId: string, page?: TreePage): Promise<SessionTree>;

  /**
   * A new session that goes on from an entry of this one, with the files as they were there. It waits for the same answers
   * where this one waited there; a run that was under way stays with this one.
   * @throws AppError `not_found`, `conflict`; `unavailable` where the files of that moment are not here; `rate_limited` as `create`.
   */
  fork(sessionId: string, request?: ForkRequest): Promise<Forked>;

  /**
   * Moves a session back to an entry of its tree, also to one on a branch that was left before. What stood behind it stays on a
   * branch of its own, its files in a snapshot. A run that waits for a person ends there.
   * @throws AppError `not_found`; `conflict` while it is at work; `unavailable` where the files of that moment are not here.
   */
  rewind(sessionId: string, request: RewindRequest): Promise<Rewound>;

  /** What two sessions have done since their paths parted, and how their files differ now. */
  compare(one: string, other: string): Promise<Comparison>;
}

/** An entry, as people name it. A number is its `seq`. */
export type EntryRef = string | number;

export interface ForkRequest {
  /** Default: where the session stands. */
  readonly at?: EntryRef;
  /** The files as they are now, instead of as they were at that entry. Default: where no entry is named, if they can be kept. */
  readonly keepFiles?: boolean;
  readonly id?: string;
  /** Default: that of the session. */
  readonly title?: string;
  /** Sent to the new session at once. */
  readonly message?: Omit<SendMessage, "idempotencyKey">;
  readonly idempotencyKey?: string;
}

export interface RewindRequest {
  readonly to: EntryRef;
  /** The files stay as they are. */
  readonly keepFiles?: boolean;
  /** Who does it, for the record. */
  readonly actor?: string;
  readonly idempotencyKey?: string;
}

export interface EntryPlace {
  readonly entryId: string;
  readonly seq: number;
}

export interface Forked {
  readonly session: SessionRecord;
  readonly created: boolean;
  readonly at: EntryPlace;
  readonly files: WorkspaceOrigin;
  /** Of the message that was sent with it. */
  readonly messageId: string | null;
}

export interface Rewound {
  readonly session: SessionRecord;
  readonly to: EntryPlace;
  /** The end of the branch that was left: the place to go back to. */
  readonly from: EntryPlace;
  readonly files: WorkspaceOrigin;
  /** What stayed as it is, with the reason: no snapshot could bring it back. Absent where all could be replaced; told once. */
  readonly kept?: readonly { readonly path: string; readonly why: string }[];
}

export interface TreePage {
  /** Only points before this `seq`; default: up to the end. */
  readonly before?: number;
  /** Of points, default 200, at most 1,000. */
  readonly limit?: number;
}

export interface SessionTree {
  readonly sessionId: string;
  readonly head: EntryPlace;
  readonly forkedFrom: SessionRecord["forkedFrom"];
  /** In the order in which they began. The first ones are another session's where this one is a fork. */
  readonly branches: readonly Branch[];
  /** The latest first, at most 1,000. */
  readonly forks: readonly TreeFork[];
  /** How many points stand before the first one that is shown. */
  readonly earlierPoints: number;
}

/** A stretch of the log without a move of the head in it. */
export interface Branch {
  /** Whose log it stands in. */
  readonly sessionId: string;
  /** The entry that it goes on from; null for the first. */
  readonly from: EntryPlace | null;
  readonly first: EntryPlace;
  readonly last: EntryPlace;
  readonly startedAt: number;
  readonly endedAt: number;
  /** The session stands on it. */
  readonly isHead: boolean;
  /** Up to which entry it is part of the session's path; null where it is not. */
  readonly onPathUpTo: number | null;
  readonly messages: number;
  readonly turns: number;
  readonly costUsd: number;
  readonly unpricedCalls: number;
  readonly points: readonly TreePoint[];
}

/** A place where one would fork. */
export interface TreePoint extends EntryPlace {
  readonly at: number;
  readonly kind: "message" | "answer" | "question" | "decision" | "files" | "start";
  /** One line, for people. */
  readonly text: string;
}

export interface TreeFork {
  readonly sessionId: string;
  /** The entry behind which it begins. */
  readonly at: string;
  /** Its number; null where it was appended after the log was read. */
  readonly seq: number | null;
  readonly title: string | null;
  readonly status: SessionStatus;
  readonly turns: number;
  readonly costUsd: number;
  readonly unpricedCalls: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface Comparison {
  /** The last entry that both have; null where they have nothing in common. */
  readonly common: EntryPlace | null;
  readonly one: ComparedSide;
  readonly other: ComparedSide;
  /** What has to change in the files of the one to get those of the other. Null where the files of one are not here. */
  readonly files: FileDifferences | null;
}

/** What one of two sessions has done since. */
export interface ComparedSide {
  readonly sessionId: string;
  readonly head: EntryPlace;
  readonly status: SessionStatus;
  /** How its last run ended; null where none has. */
  readonly lastRunEnd: string | null;
  readonly entries: number;
  readonly turns: number;
  readonly usage: Usage;
  readonly costUsd: number;
  readonly unpricedCalls: number;
  /** From the first entry to the last, milliseconds. */
  readonly durationMs: number;
  /** What was said, one line each; the last hundred. */
  readonly messages: readonly {
    readonly from: "user" | "model";
    readonly at: number;
    readonly text: string;
  }[];
  /** The calls, by tool and outcome. */
  readonly calls: readonly { readonly name: string; readonly outcome: string; readonly count: number }[];
}

export interface FileDifferences {
  readonly changes: readonly FileChange[];
  /** Changes that are not listed. */
  readonly omitted: number;
  /** Files that could not be looked at, in one of the two. */
  readonly skipped: number;
}

export interface FileChange {
  readonly path: string;
  readonly change: "added" | "removed" | "changed";
  /** A unified diff; null where it is no text, or too long. */
  readonly diff: string | null;
}
