import { withoutUndefined } from "../../lib/json.ts";
import type { Entry } from "../../log/entry.ts";
import { forkedInterrupt } from "../../log/fold-branches.ts";
import type { SessionRecord } from "../../log/session-log.ts";
import type { ForkedRun, ForkOptions } from "../../log/time-travel.ts";
import type { Database } from "./database.ts";
import { insertEntry } from "./entries.ts";
import { refreshStatus } from "./inbox.ts";
import { openInterrupt } from "./interrupts.ts";
import type { Parts } from "./parts.ts";
import { requireRoomForSession } from "./quotas.ts";
import { type SessionRow, sessionRecord } from "./rows.ts";
import {
  createdBefore,
  history,
  idTaken,
  knownSession,
  positionOf,
  rootEntry,
  sessionRow,
} from "./sessions.ts";

/** Inside a transaction. The new session begins with an entry of its own, which says where it came from. */
export function forkSession(
  parts: Parts,
  sessionId: string,
  at: string,
  newSessionId: string,
  options: ForkOptions = {},
): { readonly session: SessionRecord; readonly created: boolean } {
  const { database, clock } = parts;
  const source = knownSession(database, sessionId);
  const seq = positionOf(database, history(database, sessionId), sessionId, at);
  const sameKey = createdBefore(database, options);
  if (sameKey !== undefined) return { session: sameKey, created: false };
  const existing = sessionRow(database, newSessionId);
  if (existing !== undefined) {
    const isSame = existing.forked_id === sessionId && existing.forked_entry === at;
    if (isSame && existing.create_key === (options.createKey ?? null)) {
      return { session: sessionRecord(existing), created: false };
    }
    throw idTaken(newSessionId);
  }
  const now = clock.now();
  if (options.perMinute !== undefined) requireRoomForSession(database, source, options.perMinute, now);
  const first: Entry = {
    ...rootEntry(newSessionId, source.agent, now),
    parentId: at,
    seq: seq + 1,
    forkedFrom: { sessionId, entryId: at },
    ...withoutUndefined({
      files: options.files,
      permissions: options.permissions,
      waits: options.waiting && (true as const),
    }),
  };
  database.run(
    `INSERT INTO session (id, agent, tenant, title, create_key, fingerprint, status, head_id, head_seq, created_at, updated_at,
                          forked_key, forked_entry, forked_seq, files_due)
     VALUES (?, ?, ?, ?, ?, ?, 'idle', ?, ?, ?, ?, ?, ?, ?, ?)`,
    newSessionId,
    source.agent,
    source.tenant,
    options.title ?? source.title,
    options.createKey ?? null,
    options.fingerprint ?? null,
    first.id,
    first.seq,
    now,
    now,
    source.key,
    at,
    seq,
    options.due ?? null,
  );
  const row = knownSession(database, newSessionId);
  insertEntry(database, row.key, first);
  if (options.waiting !== undefined) ask(database, row, first, options.waiting);
  return { session: sessionRecord(knownSession(database, newSessionId)), created: true };
}

/** The questions on which the run waits in the session that it was forked from, as questions of the fork. */
function ask(
  database: Database,
  { key }: SessionRow,
  { id, at }: Entry,
  { runId, interrupts, status }: ForkedRun,
): void {
  for (const open of interrupts) openInterrupt(database, key, { ...forkedInterrupt(open, id, at), runId });
  refreshStatus(database, key, at, status);
}
