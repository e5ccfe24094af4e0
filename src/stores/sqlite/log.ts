import { setImmediate as yieldToOthers } from "node:timers/promises";
import type { Entry } from "../../log/entry.ts";
import type { SessionLog } from "../../log/session-log.ts";
import { appendEntries, checkChain } from "./append.ts";
import type { Database } from "./database.ts";
import { readSegments } from "./entries.ts";
import { eraseSession } from "./erase.ts";
import { lastCompaction, pathTo, type Segment } from "./history.ts";
import { createSessionImport } from "./import.ts";
import type { Parts } from "./parts.ts";
import { sessionRecord } from "./rows.ts";
import { createSession, history, knownSession, listSessions, positionOf, sessionRow } from "./sessions.ts";
import { createTimeTravel } from "./time-travel.ts";

/** Entries read in one go; between pages the process may do other things. */
const PAGE = 1_000;

export function createSessionLog(parts: Parts): SessionLog {
  const { database, commits, changes, nodes } = parts;
  return {
    create: (request, perMinute) => commits.run(() => createSession(parts, request, perMinute)),

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
      changes.appended(sessionId, entries);
    },

    async path(sessionId, head, after = 0) {
      return readPath(database, sessionId, after, await placeOf(database, sessionId, head));
    },

    async tail(sessionId, entryId) {
      const head = await placeOf(database, sessionId, entryId);
      const from = database.read(() => lastCompaction(database, path(database, sessionId, head))) ?? 1;
      return readPath(database, sessionId, from - 1, head);
    },

    read: async (sessionId, after, limit = PAGE) =>
      database.read(() => readSegments(database, history(database, sessionId), after, limit)),

    follow: (sessionId, after, signal) => follow(parts, sessionId, after, signal),

    ...createTimeTravel(parts),
    ...createSessionImport(parts),

    async erase(sessionId, options) {
      await nodes.buryDead();
      await commits.run(() => eraseSession(parts, sessionId, options));
      changes.erased(sessionId);
    },
  };
}

/** The position of an entry of the session's tree; default: of its head. */
async function placeOf(database: Database, sessionId: string, entryId?: string): Promise<number> {
  return database.read(() =>
    entryId === undefined
      ? knownSession(database, sessionId).head_seq
      : positionOf(database, history(database, sessionId), sessionId, entryId),
  );
}

function path(database: Database, sessionId: string, head: number): readonly Segment[] {
  return pathTo(database, history(database, sessionId), head);
}

/** The entries with `after < seq` on the path to the one at `head`. */
async function readPath(
  database: Database,
  sessionId: string,
  after: number,
  head: number,
): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for (;;) {
    // Where the entries are is looked up for each page: what a fork shares changes hands when its origin is erased.
    const page = database.read(() =>
      readSegments(database, path(database, sessionId, head), entries.at(-1)?.seq ?? after, PAGE),
    );
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
  const readFrom = (cursor: number) =>
    database.read(() => readSegments(database, history(database, sessionId), cursor, PAGE));
  let cursor = after;
  // Watching begins before the first read, so that nothing falls between the two.
  using watch = changes.watch(sessionId, signal);
  let heard: readonly Entry[] | undefined;
  while (!ended()) {
    const page = continuing(cursor, heard) ?? readFrom(cursor);
    for (const entry of page) {
      yield entry;
      if (ended()) return;
      cursor = entry.seq;
    }
    // A full page may not be the last one.
    heard = page.length < PAGE ? await watch.changed() : undefined;
  }
}

/** The part of what was heard that is new to a reader, or undefined when something before it is missing. */
function continuing(cursor: number, heard: readonly Entry[] | undefined): readonly Entry[] | undefined {
  const fresh = heard?.filter(({ seq }) => seq > cursor) ?? [];
  const isWhole = fresh.every(({ seq }, i) => seq === cursor + 1 + i);
  return heard !== undefined && isWhole ? fresh : undefined;
}
