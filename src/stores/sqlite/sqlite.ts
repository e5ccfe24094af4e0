import { type Clock, systemClock } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import type { Store } from "../store.ts";
import { createChanges } from "./changes.ts";
import { createCommits } from "./commits.ts";
import { createCostLedger } from "./costs.ts";
import { type Database, openDatabase } from "./database.ts";
import { retryBusy, translate } from "./errors.ts";
import { createSessionLog } from "./log.ts";
import { migrate } from "./migrations.ts";
import { joinNodes } from "./nodes.ts";
import { createNotices } from "./notices.ts";
import { createRunQueue } from "./queue.ts";
import { createRetention } from "./retention.ts";
import { createSnapshotReferences } from "./snapshots.ts";

export interface SqliteStoreOptions {
  /** The database file; created when it does not exist (its folder must). ":memory:" for one that nobody keeps. */
  readonly path: string;
  readonly clock?: Clock;
  /** Default: a new id. Must differ between processes that run at the same time. */
  readonly nodeId?: string;
  /** How long a node may be silent before others take over its sessions. Default 10 seconds. */
  readonly leaseMs?: number;
}

/**
 * The embedded store: one file, no server, safe against power cuts (write-ahead log, flushed at every commit).
 *
 * Read on: `migrations.ts` (the tables), `commits.ts` (how writes share a transaction), `nodes.ts` (who is alive),
 * `changes.ts` (how readers learn of news), then `log.ts` and `queue.ts`, the two halves of the port.
 *
 * Several processes on one machine may open the file. It must be on a local disk: network file systems do not lock.
 * @throws AppError `corrupt`, `unsupported` (of a newer release, or another program's), `unavailable`, `no_space`.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { path, clock = systemClock, nodeId = newId("node"), leaseMs = 10_000 } = options;
  // Opening reads the file, which another process that makes or recovers it may hold for a moment.
  const database = await retryBusy(() => openDatabase(path)).catch((error) => {
    throw translate(error, path);
  });
  try {
    await retryBusy(() => migrate(database, clock.now()));
    return await openStore(database, { clock, nodeId, leaseMs });
  } catch (error) {
    database[Symbol.dispose]();
    throw translate(error, path);
  }
}

async function openStore(
  database: Database,
  options: { readonly clock: Clock; readonly nodeId: string; readonly leaseMs: number },
): Promise<Store> {
  const commits = createCommits(database);
  const changes = createChanges(database);
  const nodes = await joinNodes(database, commits, options);
  const closing = new AbortController();
  const parts = { database, commits, changes, nodes, clock: options.clock, closed: closing.signal };
  return {
    nodeId: options.nodeId,
    ...createSessionLog(parts),
    ...createRunQueue(parts),
    ...createCostLedger(parts),
    ...createNotices(parts),
    ...createSnapshotReferences(parts),
    ...createRetention(parts),
    async [Symbol.asyncDispose]() {
      if (closing.signal.aborted) return;
      closing.abort();
      changes[Symbol.dispose]();
      try {
        await nodes[Symbol.asyncDispose]();
        await commits[Symbol.asyncDispose]();
      } finally {
        database[Symbol.dispose]();
      }
    },
  };
}
