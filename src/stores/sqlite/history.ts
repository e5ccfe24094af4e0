import type { Database } from "./database.ts";

/**
 * Where the entries of a session are. Its *history* is its whole tree, all branches of it; its *path* is the way from the root to
 * one entry. Both are stretches of the logs of a few sessions, in the order of `seq`, each a range of an index: how long they
 * are costs nothing, and how many there are is the number of forks and of moves of the head on the way.
 */

/** A stretch of a session's log: its entries with `after < seq <= upTo`. */
export interface Segment {
  readonly key: number;
  readonly sessionId: string;
  readonly after: number;
  readonly upTo: number;
}

interface Lineage {
  readonly key: number;
  readonly id: string;
  readonly forked_key: number | null;
  readonly forked_seq: number | null;
}

/**
 * All that a session's tree holds, oldest part first: what it shares with the sessions that it was forked from, then its own,
 * with no end. It does not change as the session grows. Empty when there is no such session.
 */
export function historyOf(database: Database, sessionId: string): readonly Segment[] {
  const lineage: Omit<Segment, "after">[] = [];
  let upTo = Number.MAX_SAFE_INTEGER;
  let row = database.get<Lineage>(
    "SELECT key, id, forked_key, forked_seq FROM session WHERE id = ?",
    sessionId,
  );
  while (row !== undefined) {
    lineage.unshift({ key: row.key, sessionId: row.id, upTo });
    if (row.forked_key === null) break;
    upTo = Math.min(upTo, row.forked_seq ?? 0);
    row = database.get<Lineage>(
      "SELECT key, id, forked_key, forked_seq FROM session WHERE key = ?",
      row.forked_key,
    );
  }
  return lineage.map((segment, i) => ({ ...segment, after: lineage[i - 1]?.upTo ?? 0 }));
}

/** The path to the entry at `head`. It never changes: what is appended later, or moved, comes behind it. */
export function pathTo(database: Database, history: readonly Segment[], head: number): readonly Segment[] {
  const path: Segment[] = [];
  let position = head;
  for (const segment of history.toReversed()) {
    while (position > segment.after) {
      const upTo = Math.min(position, segment.upTo);
      const move = lastMove(database, { ...segment, upTo });
      path.unshift({ ...segment, after: move === undefined ? segment.after : move.seq - 1, upTo });
      position = move?.to_seq ?? segment.after;
    }
  }
  return path;
}

interface Move {
  readonly seq: number;
  readonly to_seq: number;
}

function lastMove(database: Database, { key, after, upTo }: Segment): Move | undefined {
  return database.get<Move>(
    "SELECT seq, to_seq FROM head_move WHERE session = ? AND seq > ? AND seq <= ? ORDER BY seq DESC LIMIT 1",
    key,
    after,
    upTo,
  );
}

/** Inside the transaction that inserts a `headMoved` entry at `seq`, whose parent is at `toSeq`. */
export function noteMove(database: Database, session: number, seq: number, toSeq: number): void {
  database.run("INSERT INTO head_move (session, seq, to_seq) VALUES (?, ?, ?)", session, seq, toSeq);
}

/** Where two paths part: the last position that both have. */
export function lastShared(one: readonly Segment[], other: readonly Segment[]): Segment | undefined {
  let shared: Segment | undefined;
  for (const [i, segment] of one.entries()) {
    const twin = other[i];
    if (twin === undefined || twin.key !== segment.key || twin.after !== segment.after) break;
    shared = { ...segment, upTo: Math.min(segment.upTo, twin.upTo) };
    if (segment.upTo !== twin.upTo) break;
  }
  return shared;
}

/** The position of an entry, or undefined. */
export function findEntry(database: Database, segments: readonly Segment[], id: string): number | undefined {
  for (const { key, after, upTo } of segments.toReversed()) {
    const row = database.get<{ seq: number }>(
      "SELECT seq FROM entry WHERE session = ? AND id = ? AND seq > ? AND seq <= ?",
      key,
      id,
      after,
      upTo,
    );
    if (row !== undefined) return row.seq;
  }
  return undefined;
}

/** The positions of up to `limit` entries whose ids begin like this. */
export function findPrefix(
  database: Database,
  segments: readonly Segment[],
  prefix: string,
  limit: number,
): readonly number[] {
  return segments.flatMap(({ key, after, upTo }) =>
    database
      .all<{ seq: number }>(
        "SELECT seq FROM entry WHERE session = ? AND substr(id, 1, ?) = ? AND seq > ? AND seq <= ? LIMIT ?",
        key,
        prefix.length,
        prefix,
        after,
        upTo,
        limit,
      )
      .map(({ seq }) => seq),
  );
}

/** The position of the last `compacted` entry, or undefined. */
export function lastCompaction(database: Database, segments: readonly Segment[]): number | undefined {
  return lastOf(database, segments, LAST_COMPACTION);
}

/** Of the last one that says what the files of the workspace were, or undefined. */
export function lastFiles(database: Database, segments: readonly Segment[]): number | undefined {
  return lastOf(database, segments, LAST_FILES);
}

function lastOf(database: Database, segments: readonly Segment[], sql: string): number | undefined {
  for (const { key, after, upTo } of segments.toReversed()) {
    const seq = database.get<{ seq: number | null }>(sql, key, after, upTo)?.seq ?? null;
    if (seq !== null) return seq;
  }
  return undefined;
}

/** Served by the index `entry_compacted` alone. */
export const LAST_COMPACTION =
  "SELECT max(seq) AS seq FROM entry WHERE session = ? AND type = 'compacted' AND seq > ? AND seq <= ?";

/** The end of a range of the index `entry_files`. */
export const LAST_FILES =
  "SELECT max(seq) AS seq FROM entry WHERE session = ? AND type IN ('workspaceSaved', 'headMoved', 'sessionCreated') AND seq > ? AND seq <= ?";
