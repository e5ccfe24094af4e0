import { setImmediate as yieldToOthers } from "node:timers/promises";
import type { Clock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { ENTRY_VERSION, type Entry } from "../../log/entry.ts";
import type {
  Fence,
  NewSession,
  SessionFilter,
  SessionLog,
  SessionRecord,
  SessionStatus,
} from "../../log/session-log.ts";
import { type SessionPatch, sessionPatch } from "../../log/session-patch.ts";
import type { Changes } from "./changes.ts";
import { type Commits, Undo } from "./commits.ts";
import type { Database } from "./database.ts";
import { findEntry, insertEntry, readSegments, type Segment, segmentsOf } from "./entries.ts";
import { isConstraint } from "./errors.ts";
import { moveInboxItem, refreshStatus } from "./inbox.ts";
import type { Nodes } from "./nodes.ts";
import { SELECT_SESSION, type SessionRow, sessionRecord } from "./rows.ts";

export interface Parts {
  readonly database: Database;
  readonly commits: Commits;
  readonly changes: Changes;
  readonly nodes: Nodes;
  readonly clock: Clock;
  /** Aborted when the store is closed. */
  readonly closed: AbortSignal;
}

/** Entries read in one go; between pages the process may do other things. */
const PAGE = 1_000;
const MAX_SESSIONS = 1_000;

export function createSessionLog(parts: Parts): SessionLog {
  const { database, commits, changes } = parts;
  return {
    create: (request) => commits.run(() => createSession(parts, request)),

    session: async (sessionId) =>
      database.read(() => {
        const row = sessionRow(database, sessionId);
        return row && sessionRecord(row);
      }),

    sessions: async (filter = {}) => database.read(() => listSessions(database, filter)),

    async append(sessionId, fence, entries, status) {
      if (entries.length === 0) return;
      checkChain(sessionId, fence, entries);
      await commits.run(() => appendEntries(parts, sessionId, fence, { entries, status }));
      changes.appended(sessionId);
    },

    path: (sessionId, head) => readPath(database, sessionId, head),

    read: async (sessionId, after, limit = PAGE) =>
      database.read(() => readSegments(database, history(database, sessionId), after, limit)),

    follow: (sessionId, after, signal) => follow(parts, sessionId, after, signal),

    fork: (sessionId, at, newSessionId) => commits.run(() => forkSession(parts, sessionId, at, newSessionId)),
  };
}

export function sessionRow(database: Database, sessionId: string): SessionRow | undefined {
  return database.get<SessionRow>(`${SELECT_SESSION} WHERE session.id = ?`, sessionId);
}

export function knownSession(database: Database, sessionId: string): SessionRow {
  const row = sessionRow(database, sessionId);
  if (row === undefined) throw new AppError("not_found", `There is no session "${sessionId}".`);
  return row;
}

function history(database: Database, sessionId: string): readonly Segment[] {
  return segmentsOf(database, knownSession(database, sessionId));
}

function createSession(
  { database, clock }: Parts,
  request: NewSession,
): { readonly session: SessionRecord; readonly created: boolean } {
  const key = request.createKey ?? null;
  const fingerprint = request.fingerprint ?? null;
  const sameKey =
    key === null
      ? undefined
      : database.get<SessionRow>(`${SELECT_SESSION} WHERE session.create_key = ?`, key);
  if (sameKey !== undefined) {
    if (sameKey.fingerprint === fingerprint) return { session: sessionRecord(sameKey), created: false };
    throw new AppError("conflict", `The idempotency key "${key}" was used to create another session.`, {
      hint: "Use a new key for each new request, and the same key only to repeat one.",
      details: { sessionId: sameKey.id },
    });
  }
  if (sessionRow(database, request.id) !== undefined) throw idTaken(request.id);

  const at = clock.now();
  const root = rootEntry(request.id, request.agent, at);
  database.run(
    `INSERT INTO session (id, agent, title, create_key, fingerprint, status, head_id, head_seq, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, 'idle', ?, ?, ?, ?)`,
    request.id,
    request.agent,
    request.title ?? null,
    key,
    fingerprint,
    root.id,
    root.seq,
    at,
    at,
  );
  const row = knownSession(database, request.id);
  insertEntry(database, row.key, root);
  return { session: sessionRecord(row), created: true };
}

function rootEntry(sessionId: string, agent: string, at: number): Entry {
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

function idTaken(sessionId: string): AppError {
  return new AppError("conflict", `The session "${sessionId}" exists already.`, {
    hint: "Choose another id, or repeat the request with the idempotency key that created it.",
  });
}

function listSessions(database: Database, filter: SessionFilter): readonly SessionRecord[] {
  const limit = Math.min(filter.limit ?? 50, MAX_SESSIONS);
  // One statement for all filters: a null filter is no filter.
  return database
    .all<SessionRow>(
      `${SELECT_SESSION}
       WHERE session.updated_at < ?1
         AND (?2 IS NULL OR session.agent = ?2)
         AND (?3 IS NULL OR session.status = ?3)
       ORDER BY session.updated_at DESC, session.key DESC LIMIT ?4`,
      filter.before ?? Number.MAX_SAFE_INTEGER,
      filter.agent ?? null,
      filter.status ?? null,
      limit,
    )
    .map(sessionRecord);
}

/** A writer that numbers its entries wrongly has a defect; it must not reach the log. */
function checkChain(sessionId: string, fence: Fence, entries: readonly Entry[]): void {
  let parent = fence.head;
  let seq = entries[0]?.seq ?? 0;
  for (const entry of entries) {
    if (entry.sessionId !== sessionId || entry.parentId !== parent || entry.seq !== seq) {
      throw new AppError(
        "invalid_input",
        `The entry ${entry.id} does not follow ${parent} in session "${sessionId}".`,
      );
    }
    parent = entry.id;
    seq += 1;
  }
}

function appendEntries(
  parts: Parts,
  sessionId: string,
  fence: Fence,
  { entries, status }: { readonly entries: readonly Entry[]; readonly status: SessionStatus | undefined },
): void {
  const { database, nodes } = parts;
  nodes.keepAlive();
  const patch = sessionPatch(entries);
  const session = advanceSession(parts, sessionId, fence, { entries, patch });
  if (session === undefined) throw whyRefused(parts, sessionId, fence);
  const { key } = session;
  try {
    for (const entry of entries) {
      insertEntry(database, key, entry);
      if (entry.type === "userMessage" || entry.type === "stopRequested") {
        moveInboxItem(database, key, entry.inboxId, entry.seq);
      }
    }
  } catch (error) {
    if (!isConstraint(error)) throw error;
    throw new Undo(
      new AppError("conflict", `A tool call of session "${sessionId}" has a result already.`, {
        cause: error,
      }),
    );
  }
  const settled = patch.consumed.length === 0 && patch.status === undefined;
  if (!settled || (status ?? session.status) !== session.status) {
    refreshStatus(database, key, patch.updatedAt, status);
  }
}

/** The fence and the summary in one statement. Undefined when the fence does not hold. */
function advanceSession(
  { database, nodes }: Parts,
  sessionId: string,
  fence: Fence,
  { entries, patch }: { readonly entries: readonly Entry[]; readonly patch: SessionPatch },
): { readonly key: number; readonly status: SessionStatus } | undefined {
  const last = entries.at(-1);
  return database.get(
    `UPDATE session SET
       head_id = ?, head_seq = ?, status = coalesce(?, status), last_run_end = coalesce(?, last_run_end),
       updated_at = max(updated_at, ?), turns = turns + ?,
       usage_input = usage_input + ?, usage_cache_read = usage_cache_read + ?,
       usage_cache_write = usage_cache_write + ?, usage_output = usage_output + ?,
       usage_reasoning = usage_reasoning + ?, cost_usd = cost_usd + ?, unpriced_calls = unpriced_calls + ?
     WHERE id = ? AND owner = ? AND epoch = ? AND head_id IS ? AND head_seq = ?
     RETURNING key, status`,
    last?.id ?? null,
    last?.seq ?? 0,
    patch.status ?? null,
    patch.lastRunEnd ?? null,
    patch.updatedAt,
    patch.turns,
    patch.usage.input,
    patch.usage.cacheRead,
    patch.usage.cacheWrite,
    patch.usage.output,
    patch.usage.reasoning,
    patch.costUsd,
    patch.unpricedCalls,
    sessionId,
    nodes.nodeId,
    fence.epoch,
    fence.head,
    (last?.seq ?? 0) - entries.length,
  );
}

function whyRefused({ database, nodes }: Parts, sessionId: string, fence: Fence): AppError {
  const row = knownSession(database, sessionId);
  if (row.owner !== nodes.nodeId || row.epoch !== fence.epoch) {
    return new AppError("fenced", `This process no longer holds the lease of session "${sessionId}".`, {
      details: { epoch: fence.epoch, currentEpoch: row.epoch, holder: row.owner },
    });
  }
  return new AppError(
    "stale_head",
    `Session "${sessionId}" stands at ${row.head_id}, not at ${fence.head}.`,
    {
      details: { expected: fence.head, head: row.head_id, headSeq: row.head_seq },
    },
  );
}

function positionOf(
  database: Database,
  segments: readonly Segment[],
  sessionId: string,
  entryId: string,
): number {
  const seq = findEntry(database, segments, entryId);
  if (seq === undefined) throw new AppError("not_found", `Session "${sessionId}" has no entry "${entryId}".`);
  return seq;
}

function cut(segments: readonly Segment[], upTo: number): readonly Segment[] {
  return segments.map((segment) => ({ ...segment, upTo: Math.min(segment.upTo, upTo) }));
}

async function readPath(
  database: Database,
  sessionId: string,
  head: string | undefined,
): Promise<readonly Entry[]> {
  const segments = database.read(() => {
    const whole = history(database, sessionId);
    return head === undefined ? whole : cut(whole, positionOf(database, whole, sessionId, head));
  });
  const entries: Entry[] = [];
  for (;;) {
    const page = database.read(() => readSegments(database, segments, entries.at(-1)?.seq ?? 0, PAGE));
    for (const entry of page) entries.push(entry);
    if (page.length < PAGE) return entries;
    await yieldToOthers();
  }
}

async function* follow(
  { database, changes, closed }: Parts,
  sessionId: string,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<Entry, void> {
  const ended = () => signal.aborted || closed.aborted;
  let cursor = after;
  // Watching begins before the first read, so that nothing falls between the two.
  using watch = changes.watch(sessionId);
  while (!ended()) {
    const page = readSegments(
      database,
      segmentsOf(database, knownSession(database, sessionId)),
      cursor,
      PAGE,
    );
    for (const entry of page) {
      yield entry;
      if (ended()) return;
      cursor = entry.seq;
    }
    if (page.length < PAGE) await watch.changed(signal);
  }
}

/** The new session begins with an entry of its own, which says where it came from. */
function forkSession(
  { database, clock }: Parts,
  sessionId: string,
  at: string,
  newSessionId: string,
): SessionRecord {
  const source = knownSession(database, sessionId);
  const seq = positionOf(database, history(database, sessionId), sessionId, at);
  const existing = sessionRow(database, newSessionId);
  if (existing !== undefined) {
    if (existing.forked_id === sessionId && existing.forked_entry === at) return sessionRecord(existing);
    throw idTaken(newSessionId);
  }
  const now = clock.now();
  const first: Entry = {
    ...rootEntry(newSessionId, source.agent, now),
    parentId: at,
    seq: seq + 1,
    type: "sessionCreated",
    agent: source.agent,
    forkedFrom: { sessionId, entryId: at },
  };
  database.run(
    `INSERT INTO session (id, agent, title, status, head_id, head_seq, created_at, updated_at,
                          forked_key, forked_entry, forked_seq)
     VALUES (?, ?, ?, 'idle', ?, ?, ?, ?, ?, ?, ?)`,
    newSessionId,
    source.agent,
    source.title,
    first.id,
    first.seq,
    now,
    now,
    source.key,
    at,
    seq,
  );
  const row = knownSession(database, newSessionId);
  insertEntry(database, row.key, first);
  return sessionRecord(row);
}
