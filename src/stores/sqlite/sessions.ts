import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { ENTRY_VERSION, type Entry, type SessionCreated } from "../../log/entry.ts";
import {
  DEFAULT_TENANT,
  type NewSession,
  type Quota,
  type SessionFilter,
  type SessionRecord,
} from "../../log/session-log.ts";
import type { Database } from "./database.ts";
import { insertEntry } from "./entries.ts";
import { findEntry, historyOf, type Segment } from "./history.ts";
import type { Parts } from "./parts.ts";
import { requireRoomForSession } from "./quotas.ts";
import { SELECT_SESSION, type SessionRow, sessionRecord } from "./rows.ts";

const MAX_SESSIONS = 1_000;

export function sessionRow(database: Database, sessionId: string): SessionRow | undefined {
  return database.get<SessionRow>(`${SELECT_SESSION} WHERE session.id = ?`, sessionId);
}

export function knownSession(database: Database, sessionId: string): SessionRow {
  const row = sessionRow(database, sessionId);
  if (row === undefined) throw unknownSession(sessionId);
  return row;
}

function unknownSession(sessionId: string): AppError {
  return new AppError("not_found", `There is no session "${sessionId}".`);
}

/** @throws AppError `not_found`, as does whatever takes a session id here. */
export function history(database: Database, sessionId: string): readonly Segment[] {
  const segments = historyOf(database, sessionId);
  if (segments.length === 0) throw unknownSession(sessionId);
  return segments;
}

export function positionOf(
  database: Database,
  segments: readonly Segment[],
  sessionId: string,
  entryId: string,
): number {
  const seq = findEntry(database, segments, entryId);
  if (seq === undefined) throw new AppError("not_found", `Session "${sessionId}" has no entry "${entryId}".`);
  return seq;
}

export function listSessions(database: Database, filter: SessionFilter): readonly SessionRecord[] {
  const limit = Math.min(filter.limit ?? 50, MAX_SESSIONS);
  // Few of many sessions are at work, or forks of one. They are found by their own index, since whoever asks for them asks often.
  const atWork = filter.status === "running" || filter.status === "queued";
  const few = atWork
    ? "session.work_since IS NOT NULL AND +"
    : filter.forkOf === undefined
      ? ""
      : "session.forked_key = (SELECT key FROM session WHERE id = ?7) AND +";
  // One statement for all other filters: a null filter is no filter.
  return database
    .all<SessionRow>(
      `${SELECT_SESSION}
       WHERE ${few}session.updated_at <= ?1 AND (session.updated_at < ?1 OR session.id < ?2)
         AND (?3 IS NULL OR session.agent = ?3)
         AND (?4 IS NULL OR session.status = ?4)
         AND (?5 IS NULL OR session.tenant = ?5)
         AND (?7 IS NULL OR session.forked_key = (SELECT key FROM session WHERE id = ?7))
       ORDER BY ${few === "" ? "" : "+"}session.updated_at DESC, session.id DESC LIMIT ?6`,
      filter.after?.updatedAt ?? Number.MAX_SAFE_INTEGER,
      filter.after?.id ?? "",
      filter.agent ?? null,
      filter.status ?? null,
      filter.tenant ?? null,
      limit,
      filter.forkOf ?? null,
    )
    .map(sessionRecord);
}

/** Inside a transaction, as the next one. */
export function createSession(
  { database, clock }: Parts,
  request: NewSession,
  perMinute?: Quota,
): { readonly session: SessionRecord; readonly created: boolean } {
  const sameKey = createdBefore(database, request);
  if (sameKey !== undefined) return { session: sameKey, created: false };
  if (sessionRow(database, request.id) !== undefined) throw idTaken(request.id);

  const at = clock.now();
  const tenant = request.tenant ?? DEFAULT_TENANT;
  if (perMinute !== undefined)
    requireRoomForSession(database, { agent: request.agent, tenant }, perMinute, at);
  const root = rootEntry(request.id, request.agent, at);
  database.run(
    `INSERT INTO session (id, agent, tenant, title, create_key, fingerprint, status, head_id, head_seq, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, 'idle', ?, ?, ?, ?)`,
    request.id,
    request.agent,
    tenant,
    request.title ?? null,
    request.createKey ?? null,
    request.fingerprint ?? null,
    root.id,
    root.seq,
    at,
    at,
  );
  const row = knownSession(database, request.id);
  insertEntry(database, row.key, root);
  return { session: sessionRecord(row), created: true };
}

/** The session that was created with the same key. @throws AppError `conflict` when something else was asked for with it. */
export function createdBefore(
  database: Database,
  { createKey, fingerprint = null }: { readonly createKey?: string; readonly fingerprint?: string | null },
): SessionRecord | undefined {
  if (createKey === undefined) return undefined;
  const row = database.get<SessionRow>(`${SELECT_SESSION} WHERE session.create_key = ?`, createKey);
  if (row === undefined) return undefined;
  if (row.fingerprint === fingerprint) return sessionRecord(row);
  throw new AppError("conflict", `The idempotency key "${createKey}" was used to create another session.`, {
    hint: "Use a new key for each new request, and the same key only to repeat one.",
    details: { sessionId: row.id },
  });
}

export function rootEntry(sessionId: string, agent: string, at: number): Entry & SessionCreated {
  return {
    id: newId("e", at),
    sessionId,
    parentId: null,
    seq: 1,
    at,
    v: ENTRY_VERSION,
    type: "sessionCreated",
    agent,
  };
}

export function idTaken(sessionId: string): AppError {
  return new AppError("conflict", `The session "${sessionId}" exists already.`, {
    hint: "Choose another id, or repeat the request with the idempotency key that created it.",
  });
}
