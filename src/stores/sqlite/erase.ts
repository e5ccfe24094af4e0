import { AppError } from "../../lib/errors.ts";
import type { EraseOptions } from "../../log/session-log.ts";
import type { Database } from "./database.ts";
import { countErasure } from "./erasures.ts";
import { isHeld } from "./holds.ts";
import type { Parts } from "./parts.ts";
import type { SessionRow } from "./rows.ts";
import { knownSession } from "./sessions.ts";

/** Inside a transaction. What hangs on the session's row (entries, inbox, large bodies) goes with it. */
export function eraseSession(
  parts: Parts,
  sessionId: string,
  { onlyUnused = false, unusedSince = Infinity }: EraseOptions = {},
): void {
  const { database } = parts;
  const session = knownSession(database, sessionId);
  requireRest(parts, session);
  if (onlyUnused) requireUnused(database, session);
  if (session.updated_at >= unusedSince) {
    throw new AppError("conflict", `The session "${sessionId}" has been used meanwhile.`);
  }
  leaveHistoryToForks(database, session);
  database.run("DELETE FROM session WHERE key = ?", session.key);
  countErasure(database);
}

/** @throws AppError `conflict` */
function requireRest(parts: Parts, row: SessionRow): void {
  const { database, nodes, clock } = parts;
  const { id, status, owner } = row;
  const hint = "Stop it first (`holdfast sessions stop`, or POST .../stop), then delete it.";
  if (status !== "idle") throw new AppError("conflict", `The session "${id}" has work to do.`, { hint });
  if (isHeld(parts, row)) {
    throw new AppError("conflict", `The files of the session "${id}" are just being replaced.`, {
      hint: "Try again in a moment.",
    });
  }
  if (owner === null || owner === nodes.nodeId) return;
  const holder = database.get<{ expires_at: number }>("SELECT expires_at FROM node WHERE id = ?", owner);
  if (holder === undefined || holder.expires_at <= clock.now()) return;
  throw new AppError("conflict", `Another process is just ending its work on the session "${id}".`, {
    hint: "Try again in a moment.",
  });
}

/** What was accepted leaves a row here for good. @throws AppError `conflict` */
function requireUnused(database: Database, { key, id }: SessionRow): void {
  if (database.get("SELECT 1 FROM inbox WHERE session = ? LIMIT 1", key) === undefined) return;
  throw new AppError("conflict", `The session "${id}" has been used.`);
}

interface Fork {
  readonly key: number;
  readonly forked_seq: number;
}

/**
 * The fork that shares most of the history gets it as its own; the others are forks of that one from then on. Positions in
 * the history do not change, so readers that are under way find each entry where they look for it next.
 */
function leaveHistoryToForks(
  database: Database,
  { key, forked_key, forked_entry, forked_seq }: SessionRow,
): void {
  const heir = database.get<Fork>(
    "SELECT key, forked_seq FROM session WHERE forked_key = ? ORDER BY forked_seq DESC, key LIMIT 1",
    key,
  );
  if (heir === undefined) return;
  database.run(
    `INSERT INTO blob (session, hash, body)
       SELECT ?2, hash, body FROM blob WHERE session = ?1
         AND hash IN (SELECT blob FROM entry WHERE session = ?1 AND seq <= ?3 AND blob IS NOT NULL)
       ON CONFLICT DO NOTHING`,
    key,
    heir.key,
    heir.forked_seq,
  );
  // That a call has one result is checked when it is written; the fork may have finished the same call on its branch.
  database.run(
    "UPDATE entry SET session = ?2, finished_call = NULL WHERE session = ?1 AND seq <= ?3",
    key,
    heir.key,
    heir.forked_seq,
  );
  database.run(
    "UPDATE head_move SET session = ?2 WHERE session = ?1 AND seq <= ?3",
    key,
    heir.key,
    heir.forked_seq,
  );
  database.run("UPDATE session SET forked_key = ?2 WHERE forked_key = ?1 AND key <> ?2", key, heir.key);
  const hasHistoryOfItsParent = heir.forked_seq > (forked_seq ?? 0);
  if (hasHistoryOfItsParent) {
    database.run(
      "UPDATE session SET forked_key = ?2, forked_entry = ?3, forked_seq = ?4 WHERE key = ?1",
      heir.key,
      forked_key,
      forked_entry,
      forked_seq,
    );
  } else {
    // It branched off in what the erased session shared itself.
    database.run("UPDATE session SET forked_key = ?2 WHERE key = ?1", heir.key, forked_key);
  }
}
