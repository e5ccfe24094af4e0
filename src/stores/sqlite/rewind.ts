import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { ENTRY_VERSION, type Entry, type HeadMoved, type NewEntry } from "../../log/entry.ts";
import { sessionPatch } from "../../log/session-patch.ts";
import type { Hold, Rewind } from "../../log/time-travel.ts";
import { insertEntry, readSegments } from "./entries.ts";
import { noteMove } from "./history.ts";
import { requireRest } from "./holds.ts";
import { refreshStatus } from "./inbox.ts";
import type { Parts } from "./parts.ts";
import type { SessionRow } from "./rows.ts";
import { history, knownSession, positionOf } from "./sessions.ts";

/** Inside a transaction. Returns everything that it appends; the move is the last one. */
export function moveHead(
  parts: Parts,
  hold: Hold,
  { to, leaving, moved, due, key }: Rewind,
): readonly [...Entry[], Entry & HeadMoved] {
  const { database, clock } = parts;
  const row = knownSession(database, hold.sessionId);
  requireHold(row, hold);
  const toSeq = positionOf(database, history(database, row.id), row.id, to);
  const at = clock.now();

  const left = stamped(row, leaving, at);
  const from = left.at(-1)?.id ?? row.head_id ?? to;
  const move: Entry & HeadMoved = {
    ...moved,
    from,
    id: newId("e", at),
    sessionId: row.id,
    parentId: to,
    seq: row.head_seq + left.length + 1,
    at,
    v: ENTRY_VERSION,
  };
  const entries = [...left, move] as const;
  for (const entry of entries) insertEntry(database, row.key, entry);
  noteMove(database, row.key, move.seq, toSeq);
  database.run("UPDATE interrupt SET closed_at = ? WHERE session = ? AND closed_at IS NULL", at, row.key);
  database.run("DELETE FROM reservation WHERE session = ?", row.key);
  database.run(
    `UPDATE session SET head_id = ?, head_seq = ?, owner = NULL, epoch = epoch + 1, files_due = ?,
       last_run_end = coalesce(?, last_run_end) WHERE key = ?`,
    move.id,
    move.seq,
    due ?? null,
    sessionPatch(left).lastRunEnd ?? null,
    row.key,
  );
  refreshStatus(database, row.key, at, "idle");
  if (key !== undefined) noteKey(parts, row, move, key);
  return entries;
}

/** @throws AppError `fenced`, `conflict`, `stale_head` */
function requireHold(row: SessionRow, { token, headId }: Hold): void {
  if (row.hold !== token) {
    throw new AppError("fenced", `This process no longer holds the session "${row.id}".`);
  }
  requireRest(row);
  if (row.head_id === headId) return;
  throw new AppError("stale_head", `The session "${row.id}" has moved on meanwhile.`, {
    details: { expected: headId, head: row.head_id },
  });
}

function stamped(row: SessionRow, facts: readonly NewEntry[], at: number): Entry[] {
  let parentId = row.head_id;
  return facts.map((fact, i) => {
    const id = newId("e", at);
    const header = { id, sessionId: row.id, parentId, seq: row.head_seq + 1 + i, at, v: ENTRY_VERSION };
    parentId = id;
    return { ...fact, ...header } as Entry;
  });
}

/** Keys of moves stand with those of messages: a caller's key is for one request. */
function noteKey(
  { database }: Parts,
  { key: session }: SessionRow,
  { at, seq }: Entry,
  { key, fingerprint }: NonNullable<Rewind["key"]>,
): void {
  database.run(
    `INSERT INTO inbox (session, id, caller_key, fingerprint, at, moved_seq) VALUES (?, ?, ?, ?, ?, ?)`,
    session,
    newId("in", at),
    key,
    fingerprint,
    at,
    seq,
  );
}

/** The move that was made under this key. @throws AppError `conflict` */
export function moveOfKey(
  { database }: Parts,
  sessionId: string,
  key: string,
  fingerprint: string,
): (Entry & HeadMoved) | undefined {
  const row = database.get<{ fingerprint: string; moved_seq: number | null }>(
    "SELECT fingerprint, moved_seq FROM inbox WHERE session = ? AND caller_key = ?",
    knownSession(database, sessionId).key,
    key,
  );
  if (row === undefined) return undefined;
  const segments = history(database, sessionId);
  const [entry] = row.moved_seq === null ? [] : readSegments(database, segments, row.moved_seq - 1, 1);
  if (row.fingerprint === fingerprint && entry?.type === "headMoved") return entry;
  throw new AppError("conflict", `The idempotency key "${key}" was used for something else.`, {
    hint: "Use a new key for each new request, and the same key only to repeat one.",
  });
}
