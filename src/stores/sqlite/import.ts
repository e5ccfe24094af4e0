import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import type { Entry } from "../../log/entry.ts";
import type { ImportedSession, SessionImport } from "../../log/session-import.ts";
import type { SessionRecord } from "../../log/session-log.ts";
import { bodyText } from "./bodies.ts";
import type { Database } from "./database.ts";
import { noteMove } from "./history.ts";
import { type Asked, createAsked } from "./import-interrupts.ts";
import type { Parts } from "./parts.ts";
import { sessionRecord } from "./rows.ts";
import { idTaken, knownSession, sessionRow } from "./sessions.ts";

/**
 * Entries on their way in wait in a table that only this connection has and that goes with it, so that a crash leaves nothing
 * behind. From there they reach the log by one statement, in the transaction that makes the session.
 */
const STAGING = `CREATE TEMP TABLE IF NOT EXISTS staged_entry (
  import TEXT NOT NULL,
  seq INTEGER NOT NULL,
  id TEXT NOT NULL,
  parent_id TEXT,
  at INTEGER NOT NULL,
  v INTEGER NOT NULL,
  type TEXT NOT NULL,
  finished_call TEXT,
  body TEXT NOT NULL,
  blob TEXT                         -- the hash of a body that does not belong into its row
) STRICT`;

/** Entries written in one go; between them the process may do other things. */
const PIECE = 250;

export function createSessionImport(parts: Parts): SessionImport {
  const { database, commits } = parts;
  return {
    async importSession(session, entries) {
      const name = newId("import");
      try {
        const staged = await stage(parts, name, entries);
        return await commits.run(() => publish(parts, session, staged));
      } finally {
        await commits.run(() => database.run("DELETE FROM temp.staged_entry WHERE import = ?", name));
      }
    },
  };
}

/** What has been learnt of the entries that wait. */
interface StagedEntries {
  readonly name: string;
  readonly last: Entry;
  readonly moves: readonly { readonly seq: number; readonly toSeq: number }[];
  /** The position of the last entry that left a branch, or a session, behind. */
  readonly freshAfter: number;
  readonly asked: Asked;
  /** Who sent the latest message. */
  readonly actor: string | null;
}

async function stage(
  { database, commits }: Parts,
  name: string,
  entries: AsyncIterable<Entry>,
): Promise<StagedEntries> {
  await commits.run(() => database.exec(STAGING));
  const positions = new Map<string, number>();
  const moves: { readonly seq: number; readonly toSeq: number }[] = [];
  const asked = createAsked();
  let last: Entry | undefined;
  let freshAfter = 0;
  let actor: string | null = null;
  let piece: Entry[] = [];
  const flush = async () => {
    const rows = piece;
    piece = [];
    await commits.run(() => {
      for (const entry of rows) stageEntry(database, name, entry);
    });
  };
  for await (const entry of entries) {
    requireNext(entry, last, positions);
    positions.set(entry.id, entry.seq);
    asked.note(entry);
    if (entry.type === "userMessage") actor = entry.actor ?? null;
    if (entry.type === "headMoved") {
      moves.push({ seq: entry.seq, toSeq: positions.get(entry.parentId ?? "") ?? 0 });
    }
    if (entry.type === "headMoved" || entry.type === "sessionCreated") freshAfter = entry.seq;
    last = entry;
    piece.push(entry);
    if (piece.length === PIECE) await flush();
  }
  await flush();
  if (last === undefined)
    throw new AppError("invalid_input", "A session without entries cannot be imported.");
  return { name, last, moves, freshAfter, asked, actor };
}

/** @throws AppError `invalid_input` */
function requireNext(entry: Entry, last: Entry | undefined, positions: ReadonlyMap<string, number>): void {
  const { id, seq, parentId } = entry;
  const hasParent =
    entry.type === "headMoved" ? positions.has(parentId ?? "") : parentId === (last?.id ?? null);
  if (seq === (last?.seq ?? 0) + 1 && hasParent && !positions.has(id)) return;
  throw new AppError("invalid_input", `The entry ${id} does not follow the one before it.`);
}

function stageEntry(database: Database, name: string, entry: Entry): void {
  const { id, sessionId: _, parentId, seq, at, v, type, ...fact } = entry;
  const { text, hash } = bodyText(fact);
  database.run(
    `INSERT INTO temp.staged_entry (import, seq, id, parent_id, at, v, type, finished_call, body, blob)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    name,
    seq,
    id,
    parentId,
    at,
    v,
    type,
    entry.type === "toolFinished" ? entry.callId : null,
    text,
    hash,
  );
}

/** Inside a transaction. */
function publish(
  parts: Parts,
  session: ImportedSession,
  staged: StagedEntries,
): { readonly session: SessionRecord; readonly created: boolean } {
  const { database } = parts;
  const existing = sessionRow(database, session.id);
  if (existing !== undefined) {
    if (existing.fingerprint !== session.fingerprint) throw idTaken(session.id);
    return { session: sessionRecord(existing), created: false };
  }
  requireUnasked(database, staged.asked);
  insertSession(parts, session, staged);
  const { key } = knownSession(database, session.id);
  database.run(
    `INSERT INTO blob (session, hash, body)
       SELECT ?, blob, body FROM temp.staged_entry WHERE import = ? AND blob IS NOT NULL ON CONFLICT DO NOTHING`,
    key,
    staged.name,
  );
  // That a call has one result is checked where it can still get one; on the branches that were left each may have had its own.
  database.run(
    `INSERT INTO entry (session, seq, id, parent_id, at, v, type, finished_call, body, blob)
       SELECT ?1, seq, id, parent_id, at, v, type, CASE WHEN seq > ?3 THEN finished_call END,
              CASE WHEN blob IS NULL THEN body END, blob
       FROM temp.staged_entry WHERE import = ?2 ORDER BY rowid`,
    key,
    staged.name,
    staged.freshAfter,
  );
  for (const { seq, toSeq } of staged.moves) noteMove(database, key, seq, toSeq);
  staged.asked.store(database, key);
  return { session: sessionRecord(knownSession(database, session.id)), created: true };
}

/** Two sessions that wait for one answer would both act on it. @throws AppError `conflict` */
function requireUnasked(database: Database, asked: Asked): void {
  for (const id of asked.open()) {
    const other = database.get<{ id: string }>(
      `SELECT session.id FROM interrupt JOIN session ON session.key = interrupt.session
       WHERE interrupt.id = ? AND interrupt.closed_at IS NULL`,
      id,
    );
    if (other === undefined) continue;
    throw new AppError("conflict", `The session "${other.id}" waits for the same answer (${id}).`, {
      hint: "A copy would act on it a second time. To try another answer, fork the session that waits.",
    });
  }
}

function insertSession(
  { database, clock }: Parts,
  session: ImportedSession,
  { last, actor }: StagedEntries,
): void {
  const { usage } = session;
  database.run(
    `INSERT INTO session (id, agent, tenant, title, fingerprint, status, last_run_end, head_id, head_seq, created_at, updated_at,
                          turns, usage_input, usage_cache_read, usage_cache_write, usage_output, usage_reasoning, cost_usd,
                          unpriced_calls, actor, files_due)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    session.id,
    session.agent,
    session.tenant,
    session.title,
    session.fingerprint,
    session.status,
    session.lastRunEnd,
    last.id,
    last.seq,
    session.createdAt,
    clock.now(),
    session.turns,
    usage.input,
    usage.cacheRead,
    usage.cacheWrite,
    usage.output,
    usage.reasoning,
    session.costUsd,
    session.unpricedCalls,
    actor,
    session.due,
  );
}
