import type { Entry } from "../../log/entry.ts";
import { upcast } from "../../log/upcast.ts";
import { loadBody, storeBody } from "./bodies.ts";
import type { Database } from "./database.ts";
import type { Segment } from "./history.ts";

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

/** Inside a transaction. A move of the head is noted besides (`noteMove`). */
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

/** Up to `limit` entries with `after < seq`. */
export function readSegments(
  database: Database,
  segments: readonly Segment[],
  after: number,
  limit: number,
): readonly Entry[] {
  const entries: Entry[] = [];
  let cursor = after;
  for (const { key, sessionId, after: start, upTo } of segments) {
    if (upTo <= cursor || entries.length >= limit) continue;
    cursor = Math.max(cursor, start);
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
