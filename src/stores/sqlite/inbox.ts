import { AppError } from "../../lib/errors.ts";
import { newId, sha256 } from "../../lib/ids.ts";
import { canonicalJson } from "../../lib/json.ts";
import type { SessionStatus } from "../../log/session-log.ts";
import type { Command, EnqueueConditions, InboxItem } from "../../run/worker/queue.ts";
import { dropBlob, loadBody, storeBody } from "./bodies.ts";
import { Undo } from "./commits.ts";
import type { Database } from "./database.ts";
import { takeAnswer } from "./interrupts.ts";
import { requireIdle, requireRoomForRun, requireRoomInInbox } from "./quotas.ts";
import type { SessionRow } from "./rows.ts";

interface InboxRow {
  readonly id: string;
  readonly at: number;
  readonly fingerprint: string;
  readonly body: string | null;
  readonly blob: string | null;
}

interface Enqueueing {
  readonly key: string | undefined;
  readonly at: number;
  readonly conditions: EnqueueConditions;
}

/** Inside a transaction, as all that follow. */
export function insertInboxItem(
  database: Database,
  row: SessionRow,
  command: Command,
  { key, at, conditions }: Enqueueing,
): { readonly id: string; readonly duplicate: boolean } {
  const session = row.key;
  const fingerprint = sha256(canonicalJson(command), 32);
  const earlier =
    key === undefined
      ? undefined
      : database.get<InboxRow>("SELECT * FROM inbox WHERE session = ? AND caller_key = ?", session, key);
  if (earlier !== undefined) {
    if (earlier.fingerprint === fingerprint) return { id: earlier.id, duplicate: true };
    throw new AppError("conflict", `The idempotency key "${key}" was used for another message.`, {
      hint: "Use a new key for each new message, and the same key only to repeat one.",
    });
  }
  if (conditions.onlyIfIdle === true) requireIdle(row);
  if (conditions.runs !== undefined) requireRoomForRun(database, row, conditions.runs);
  if (command.type === "message") requireRoomInInbox(database, row);
  const taken = command.type === "answer" ? takeAnswer(database, row, command, at) : command;
  const id = newId("in", at);
  const stored = storeBody(database, session, taken);
  database.run(
    "INSERT INTO inbox (session, id, caller_key, fingerprint, at, body, blob) VALUES (?, ?, ?, ?, ?, ?, ?)",
    session,
    id,
    key ?? null,
    fingerprint,
    at,
    stored.body,
    stored.blob,
  );
  refreshStatus(database, session, at);
  return { id, duplicate: false };
}

export function readInbox(database: Database, session: number): readonly InboxItem[] {
  return database
    .all<InboxRow>("SELECT * FROM inbox WHERE session = ? AND moved_seq IS NULL ORDER BY key", session)
    .map((row) => ({ id: row.id, at: row.at, command: loadBody(database, session, row) as Command }));
}

/** The item has become the entry at `seq`, which holds its content from now on. Its key stays, for duplicates. */
export function moveInboxItem(database: Database, session: number, id: string, seq: number): void {
  const row = database.get<{ key: number; blob: string | null }>(
    "SELECT key, blob FROM inbox WHERE session = ? AND id = ? AND moved_seq IS NULL",
    session,
    id,
  );
  if (row === undefined) {
    throw new Undo(new AppError("conflict", `The inbox item ${id} is unknown, or in the log already.`));
  }
  database.run("UPDATE inbox SET moved_seq = ?, body = NULL, blob = NULL WHERE key = ?", seq, row.key);
  if (row.blob !== null) dropBlob(database, session, row.blob);
}

/**
 * Brings the status of a session in line with its log (`ofLog`, where the writer knows it) and its inbox. A session is
 * running until its log says otherwise.
 */
export function refreshStatus(database: Database, session: number, at: number, ofLog?: SessionStatus): void {
  database.run(
    `UPDATE session SET
       status = CASE WHEN of_log = 'running' THEN 'running' WHEN arrived OR ?3 = 'queued' THEN 'queued' WHEN of_log = 'waiting' THEN 'waiting' ELSE 'idle' END,
       work_since = CASE WHEN of_log = 'running' OR arrived OR ?3 = 'queued' THEN coalesce(work_since, ?2) END,
       updated_at = max(updated_at, ?2)
     FROM (SELECT coalesce(?3, status) AS of_log,
             EXISTS (SELECT 1 FROM inbox WHERE session = ?1 AND moved_seq IS NULL) AS arrived
           FROM session WHERE key = ?1) AS fresh
     WHERE session.key = ?1`,
    session,
    at,
    ofLog ?? null,
  );
}
