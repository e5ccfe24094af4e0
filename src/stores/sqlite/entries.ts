import type { Entry } from "../../log/entry.ts";
import { upcast } from "../../log/upcast.ts";
import { loadBody, storeBody } from "./bodies.ts";
import type { Database } from "./database.ts";

interface EntryRow {
  readonly seq: number;
  readonly id: string;
  readonly parent_id: string | null;
  readonly at: number;
  readonly v: number;
  readonly type: string;
  readonly body: string | null;
  readonly blob: string | null;
}

/** Inside a transaction. */
export function insertEntry(database: Database, session: number, entry: Entry): void {
  const { id, sessionId: _, parentId, seq, at, v, type, ...fact } = entry;
  const stored = storeBody(database, session, fact);
  database.run(
    `INSERT INTO entry (session, seq, id, parent_id, at, v, type, finished_call, body, blob)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    session,
    seq,
    id,
    parentId,
    at,
    v,
    type,
    entry.type === "toolFinished" ? entry.callId : null,
    stored.body,
    stored.blob,
  );
}

/** A stretch of a session's history: the entries of one session from after the segment before up to `upTo`. */
export interface Segment {
  readonly key: number;
  readonly sessionId: string;
  readonly upTo: number;
}

interface Lineage {
  readonly key: number;
  readonly id: string;
  readonly forked_key: number | null;
  readonly forked_seq: number | null;
}

/**
 * A session's history, oldest part first: what it shares with the sessions that it was forked from, then its own, with no
 * end. It does not change as the session grows. Empty when there is no such session.
 */
export function segmentsOf(database: Database, sessionId: string): readonly Segment[] {
  const segments: Segment[] = [];
  let upTo = Number.MAX_SAFE_INTEGER;
  let row = database.get<Lineage>(
    "SELECT key, id, forked_key, forked_seq FROM session WHERE id = ?",
    sessionId,
  );
  while (row !== undefined) {
    segments.unshift({ key: row.key, sessionId: row.id, upTo });
    if (row.forked_key === null) break;
    upTo = Math.min(upTo, row.forked_seq ?? 0);
    row = database.get<Lineage>(
      "SELECT key, id, forked_key, forked_seq FROM session WHERE key = ?",
      row.forked_key,
    );
  }
  return segments;
}

/** Up to `limit` entries with `after < seq`. */
export function readSegments(
  database: Database,
  segments: readonly Segment[],
  after: number,
  limit: number,
): readonly Entry[] {
  const entries: Entry[] = [];
  let cursor = after;
  for (const { key, sessionId, upTo } of segments) {
    if (upTo <= cursor || entries.length >= limit) continue;
    const rows = database.all<EntryRow>(
      `SELECT seq, id, parent_id, at, v, type, body, blob FROM entry
       WHERE session = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?`,
      key,
      cursor,
      upTo,
      limit - entries.length,
    );
    for (const row of rows) entries.push(entryOf(database, key, sessionId, row));
    cursor = entries.at(-1)?.seq ?? cursor;
  }
  return entries;
}

/** The position of an entry of this history, or undefined. */
export function findEntry(database: Database, segments: readonly Segment[], id: string): number | undefined {
  for (const { key, upTo } of segments.toReversed()) {
    const row = database.get<{ seq: number }>(
      "SELECT seq FROM entry WHERE session = ? AND id = ? AND seq <= ?",
      key,
      id,
      upTo,
    );
    if (row !== undefined) return row.seq;
  }
  return undefined;
}

/** The position of the last `compacted` entry of this history, or undefined. Served by the index `entry_compacted` alone. */
export function lastCompaction(database: Database, segments: readonly Segment[]): number | undefined {
  for (const { key, upTo } of segments.toReversed()) {
    const seq = database.get<{ seq: number | null }>(LAST_COMPACTION, key, upTo)?.seq ?? null;
    if (seq !== null) return seq;
  }
  return undefined;
}

export const LAST_COMPACTION =
  "SELECT max(seq) AS seq FROM entry WHERE session = ? AND type = 'compacted' AND seq <= ?";

function entryOf(database: Database, key: number, sessionId: string, row: EntryRow): Entry {
  const fact = loadBody(database, key, row) as object;
  return upcast({
    id: row.id,
    sessionId,
    parentId: row.parent_id,
    seq: row.seq,
    at: row.at,
    v: row.v,
    type: row.type,
    ...fact,
  });
}
