import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import type { FilesDue, Hold } from "../../log/time-travel.ts";
import type { Parts } from "./parts.ts";
import type { SessionRow } from "./rows.ts";
import { knownSession } from "./sessions.ts";

/**
 * Keeping everybody away from a session while its files are replaced. A hold ends with the process that has it; what the files
 * have to become stays noted (`files_due`) until they are, by whoever comes next.
 */

export function filesOf(parts: Parts, sessionId: string): { due: FilesDue | null; held: boolean } {
  const row = knownSession(parts.database, sessionId);
  return { due: row.files_due, held: isHeld(parts, row) };
}

/** Inside a transaction, as the next one. */
export function takeHold(
  parts: Parts,
  sessionId: string,
  { atRest = false }: { readonly atRest?: boolean } = {},
): Hold | undefined {
  const { database, nodes } = parts;
  nodes.beat();
  const row = knownSession(database, sessionId);
  if (isHeld(parts, row)) return undefined;
  if (atRest) requireRest(row);
  const token = newId("hold");
  database.run("UPDATE session SET held_by = ?, hold = ? WHERE key = ?", nodes.nodeId, token, row.key);
  // Whoever has the lease of a session at rest is only just letting go of it; it must not take it up again with this one.
  if (atRest) database.run("UPDATE session SET owner = NULL, epoch = epoch + 1 WHERE key = ?", row.key);
  return { sessionId, token, headId: row.head_id, due: row.files_due };
}

export function endHold(
  { database }: Parts,
  { sessionId, token }: Hold,
  { filesDone = false }: { readonly filesDone?: boolean } = {},
): void {
  if (filesDone) {
    database.run("UPDATE session SET files_due = NULL WHERE id = ? AND hold = ?", sessionId, token);
  }
  database.run("UPDATE session SET held_by = NULL, hold = NULL WHERE id = ? AND hold = ?", sessionId, token);
}

/** By a process that lives. */
export function isHeld(
  { database, clock }: Pick<Parts, "database" | "clock">,
  { held_by }: Pick<SessionRow, "held_by">,
): boolean {
  if (held_by === null) return false;
  const holder = database.get<{ expires_at: number }>("SELECT expires_at FROM node WHERE id = ?", held_by);
  return holder !== undefined && holder.expires_at > clock.now();
}

/** @throws AppError `conflict` */
export function requireRest({ id, status }: Pick<SessionRow, "id" | "status">): void {
  if (status === "idle" || status === "waiting") return;
  throw new AppError("conflict", `The session "${id}" is at work.`, {
    hint: `Stop it first (\`holdfast sessions stop ${id}\`, or POST .../stop).`,
    details: { status },
  });
}
