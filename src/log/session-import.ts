import type { Entry } from "./entry.ts";
import type { SessionRecord } from "./session-record.ts";
import type { FilesDue } from "./time-travel.ts";

/** The part of the port to the log that takes in a session of another store, whole or not at all. */
export interface SessionImport {
  /**
   * Makes a session of these entries, which are all of its tree, numbered without gaps, the head last. They are read to their end
   * before anybody can see any of them; when reading fails, nothing has happened. Whoever asked for the same import before
   * (the same `fingerprint`) gets the session as it is now, with `created: false`.
   *
   * What its calls have cost stays on its own account and is not charged to anybody's day; rules and budgets for other sessions
   * that its log speaks of are not made again. What it asks people, and nobody has answered, is asked here.
   * @throws AppError `conflict` when the id is taken, or when a session here waits for the same answer.
   */
  importSession(
    session: ImportedSession,
    entries: AsyncIterable<Entry>,
  ): Promise<{ readonly session: SessionRecord; readonly created: boolean }>;
}

/** What was known of it where it comes from. Its head, and where it was forked from, follow from its entries. */
export interface ImportedSession
  extends Omit<SessionRecord, "headId" | "headSeq" | "updatedAt" | "forkedFrom"> {
  /** At rest, by its own log. */
  readonly status: "idle" | "waiting";
  /** Of what is imported. */
  readonly fingerprint: string;
  /** The snapshot that its files have to become before anybody uses them; null when they are what they should be. */
  readonly due: FilesDue | null;
}
