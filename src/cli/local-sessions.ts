import { join } from "node:path";
import type { Config } from "../config.ts";
import { AppError } from "../lib/errors.ts";
import { isFile } from "../lib/files.ts";
import { nearest } from "../lib/json.ts";
import type { Sessions } from "../run/session/sessions.ts";
import { openRuntime } from "../runtime.ts";
import { openSqliteStore } from "../stores/sqlite/sqlite.ts";

/** Whether a data directory has been used: reading must not make one. */
export function hasSessions(dataDir: string): Promise<boolean> {
  return isFile(databaseIn(dataDir));
}

function databaseIn(dataDir: string): string {
  return join(dataDir, "holdfast.db");
}

/**
 * What a command that does one thing starts, it does not leave behind: its sandbox ends when the last command in it has
 * ended. Soon and not at once, for the next command on the same session.
 */
export const ONE_SHOT = { sandboxIdleMs: 5_000 } as const;

/** Sessions with work that nobody does: whoever did it was killed, or left. */
export async function sessionsLeftBehind(dataDir: string): Promise<ReadonlySet<string>> {
  await using store = await openSqliteStore({ path: databaseIn(dataDir) });
  return new Set(await store.runnable(10_000));
}

/** Reads in a data directory, without working on any session. Undefined when it was never used. */
export async function readSessions<T>(
  place: { readonly dataDir: string; readonly config: Config },
  read: (sessions: Sessions) => Promise<T>,
): Promise<T | undefined> {
  if (!(await hasSessions(place.dataDir))) return undefined;
  await using runtime = await openRuntime({ agents: [], work: "none", ...place });
  return await read(runtime.sessions);
}

/** Names the nearest of those that there are. */
export function unknownSession(id: string, known: readonly string[]): AppError {
  const near = known.find((other) => other.startsWith(id)) ?? nearest(id, known);
  const hint =
    near === undefined ? "`holdfast sessions list` shows those that exist." : `Did you mean "${near}"?`;
  return new AppError("not_found", `there is no session "${id}"`, { hint });
}
