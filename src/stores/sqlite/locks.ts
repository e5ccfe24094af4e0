import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { newId } from "../../lib/ids.ts";
import { DatabaseSync, type SqliteConnection } from "../../lib/sqlite.ts";
import { isBusy } from "./errors.ts";

/**
 * Locks that end with the process that holds them, however it ends. They are empty SQLite databases, because SQLite's
 * locks are the ones that Node can take; SQLite also keeps them right where one process asks for its own lock.
 *
 * A lock's name is used once, so that its file can be removed without racing against somebody who wants it next.
 */
export interface Lock {
  readonly name: string;
  /** The file stays, for whoever clears it: a lock whose file is missing says nothing about its holder. */
  release(): void;
}

export function holdLock(folder: string): Lock {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const name = newId("lock");
  const connection = new DatabaseSync(join(folder, name));
  connection.exec("BEGIN EXCLUSIVE");
  return { name, release: () => connection.close() };
}

/** `cleared`: nobody held it, and its file is removed. */
export function clearLock(folder: string, name: string): "held" | "cleared" | "missing" {
  const file = join(folder, name);
  let connection: SqliteConnection | undefined;
  try {
    // Must not be created by asking.
    connection = new DatabaseSync(`${pathToFileURL(file).href}?mode=rw`);
    connection.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
    rmSync(file, { force: true });
    return "cleared";
  } catch (error) {
    if (statSync(file, { throwIfNoEntry: false }) === undefined) return "missing";
    if (isBusy(error)) return "held";
    throw error;
  } finally {
    connection?.close();
  }
}

/** Removes old locks that are not in `known`: their processes died before they could tell anybody about them. */
export function sweepLocks(folder: string, known: ReadonlySet<string | null>, olderThan: number): void {
  for (const name of readdirSync(folder)) {
    // SQLite's own, beside a lock that is held or was: it goes with that.
    if (name.endsWith("-journal")) continue;
    const modified = statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs;
    if (modified !== undefined && modified < olderThan && !known.has(name)) clearLock(folder, name);
  }
}
