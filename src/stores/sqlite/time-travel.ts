import { AppError } from "../../lib/errors.ts";
import type { Entry } from "../../log/entry.ts";
import type { TimeTravel } from "../../log/time-travel.ts";
import type { Database } from "./database.ts";
import { readSegments } from "./entries.ts";
import { forkSession } from "./fork.ts";
import { findEntry, findPrefix, lastFiles, lastShared, pathTo, type Segment } from "./history.ts";
import { endHold, filesOf, takeHold } from "./holds.ts";
import type { Parts } from "./parts.ts";
import { moveHead, moveOfKey } from "./rewind.ts";
import { history, knownSession, positionOf, sessionRow } from "./sessions.ts";

export function createTimeTravel(parts: Parts): TimeTravel {
  const { database, commits, changes, nodes } = parts;
  return {
    fork: (sessionId, at, newSessionId, options) =>
      commits.run(() => forkSession(parts, sessionId, at, newSessionId, options)),

    async rewind(hold, move) {
      const entries = await commits.run(() => moveHead(parts, hold, move));
      changes.appended(hold.sessionId, entries);
      return entries[entries.length - 1] as (typeof entries)[number] & { readonly type: "headMoved" };
    },

    rewound: async (sessionId, key, fingerprint) =>
      database.read(() => moveOfKey(parts, sessionId, key, fingerprint)),

    find: async (sessionId, which) => database.read(() => found(database, sessionId, which)),

    filesAt: async (sessionId, at) =>
      database.read(() => {
        const tree = history(database, sessionId);
        const path = pathTo(database, tree, positionOf(database, tree, sessionId, at));
        return entryAt(database, path, lastFiles(database, path));
      }),

    divergence: async (one, other) =>
      database.read(() => {
        const shared = lastShared(ownPath(database, one), ownPath(database, other));
        const entry = shared && entryAt(database, [shared], shared.upTo);
        return entry && { entryId: entry.id, seq: entry.seq };
      }),

    async hold(sessionId, options) {
      await nodes.buryDead();
      return commits.run(() => takeHold(parts, sessionId, options));
    },

    async letGo(hold, options) {
      await commits.run(() => endHold(parts, hold, options));
      // What arrived meanwhile.
      const status = database.read(() => sessionRow(database, hold.sessionId)?.status);
      if (status === "queued" || status === "running") changes.woke(hold.sessionId);
    },

    files: async (sessionId) => database.read(() => filesOf(parts, sessionId)),
  };
}

function ownPath(database: Database, sessionId: string): readonly Segment[] {
  return pathTo(database, history(database, sessionId), knownSession(database, sessionId).head_seq);
}

function entryAt(
  database: Database,
  segments: readonly Segment[],
  seq: number | undefined,
): Entry | undefined {
  return seq === undefined ? undefined : readSegments(database, segments, seq - 1, 1)[0];
}

function found(
  database: Database,
  sessionId: string,
  which: { readonly id: string } | { readonly seq: number },
): Entry {
  const tree = history(database, sessionId);
  const seq =
    "seq" in which
      ? which.seq
      : (findEntry(database, tree, which.id) ?? onlyOne(database, tree, sessionId, which.id));
  const entry = entryAt(database, tree, seq);
  if (entry !== undefined && entry.seq === seq) return entry;
  const name = "seq" in which ? `#${which.seq}` : `"${which.id}"`;
  throw new AppError("not_found", `The session "${sessionId}" has no entry ${name}.`, {
    hint: `\`holdfast sessions tree ${sessionId}\` shows where it can be forked.`,
  });
}

/** @throws AppError `conflict` when several begin like this. */
function onlyOne(
  database: Database,
  tree: readonly Segment[],
  sessionId: string,
  prefix: string,
): number | undefined {
  const [first, ...others] = findPrefix(database, tree, prefix, 2);
  if (others.length === 0) return first;
  throw new AppError("conflict", `Several entries of the session "${sessionId}" begin with "${prefix}".`, {
    hint: "Write more of it, or name the entry by its number, like #12.",
  });
}
