import type { Database } from "./database.ts";

/**
 * How many sessions were erased, by whatever process: how others notice an erasure, which leaves no row that they could look
 * for (see `changes.ts`). Kept where SQLite has room for one number of its user's.
 */
export function erasures(database: Database): number {
  return database.get<{ user_version: number }>("PRAGMA user_version")?.user_version ?? 0;
}

/** Inside a transaction. */
export function countErasure(database: Database): void {
  database.exec(`PRAGMA user_version = ${(erasures(database) + 1) % 2 ** 31}`);
}
