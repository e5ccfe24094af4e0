import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Clock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { DatabaseSync, type SqliteConnection } from "../../lib/sqlite.ts";
import type { Commits } from "./commits.ts";
import type { Database } from "./database.ts";
import { isBusy } from "./errors.ts";

/**
 * The processes that share a database. Each has one row with a heartbeat, and for as long as it lives an exclusive lock
 * on a file of its own. Whoever can take that lock knows that the holder is gone, at once and without guessing from
 * process ids: the operating system drops locks with the process, however it ends. A process that is alive but silent
 * (stopped, or starved) keeps the lock; its leases end with its heartbeat.
 *
 * The lock files are empty SQLite databases, because SQLite's locks are the ones that Node can take.
 */
export interface Nodes extends AsyncDisposable {
  readonly nodeId: string;
  /** Inside a transaction that relies on our leases: renews them first where the heartbeat is late. */
  keepAlive(): void;
  /** Removes nodes that are gone, and with them their leases. */
  buryDead(): Promise<void>;
}

export interface NodeOptions {
  readonly nodeId: string;
  readonly leaseMs: number;
  readonly clock: Clock;
}

interface NodeRow {
  readonly id: string;
  readonly lock: string | null;
}

export async function joinNodes(database: Database, commits: Commits, options: NodeOptions): Promise<Nodes> {
  const { nodeId, leaseMs, clock } = options;
  // A database in memory has no other processes.
  const folder = database.path === ":memory:" ? undefined : `${database.path}-nodes`;
  const lock = folder === undefined ? undefined : holdLock(folder);
  let lastBeat = clock.monotonic();

  const others = () => database.all<NodeRow>("SELECT id, lock FROM node WHERE id <> ?", nodeId);
  const bury = (dead: readonly NodeRow[]) =>
    commits.run(() => {
      for (const node of dead)
        database.run("DELETE FROM node WHERE id = ? AND lock IS ?", node.id, node.lock);
    });
  const isGone = (node: NodeRow) =>
    folder !== undefined && node.lock !== null && clearLock(join(folder, node.lock));
  const beat = () => {
    const expires = clock.now() + leaseMs;
    if (database.run("UPDATE node SET expires_at = ? WHERE id = ?", expires, nodeId) === 0) enter();
  };
  const enter = () =>
    database.run(
      "INSERT INTO node (id, lock, pid, started_at, expires_at) VALUES (?, ?, ?, ?, ?)",
      nodeId,
      lock?.name ?? null,
      process.pid,
      clock.now(),
      clock.now() + leaseMs,
    );
  const renew = async () => {
    const at = clock.monotonic();
    await commits.run(beat);
    lastBeat = at;
  };

  try {
    if (folder !== undefined) sweepFolder(folder, database, clock);
    const namesake = database.get<NodeRow>("SELECT id, lock FROM node WHERE id = ?", nodeId);
    await bury([...others(), ...(namesake ? [namesake] : [])].filter(isGone));
    await commits.run(() => {
      if (database.get("SELECT 1 FROM node WHERE id = ?", nodeId) === undefined) return enter();
      throw new AppError("conflict", `A running process uses ${database.path} under the name "${nodeId}".`, {
        hint: "Give each process its own node id, or leave it out.",
      });
    });
  } catch (error) {
    lock?.release();
    throw error;
  }

  // A heartbeat that fails (a full disk) is tried again with the next one.
  const timer = setInterval(() => renew().catch(() => {}), Math.max(10, leaseMs / 3));
  timer.unref();

  return {
    nodeId,
    keepAlive() {
      if (clock.monotonic() - lastBeat > (leaseMs * 2) / 3) beat();
    },
    async buryDead() {
      const dead = others().filter(isGone);
      if (dead.length > 0) await bury(dead);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      try {
        await commits.run(() => database.run("DELETE FROM node WHERE id = ?", nodeId));
      } finally {
        lock?.release();
      }
    },
  };
}

interface Lock {
  readonly name: string;
  release(): void;
}

/** The name is new for each process, so that a file can be removed without racing against somebody who wants its lock. */
function holdLock(folder: string): Lock {
  mkdirSync(folder, { recursive: true });
  const name = newId("lock");
  const file = join(folder, name);
  const connection = new DatabaseSync(file);
  connection.exec("BEGIN EXCLUSIVE");
  return {
    name,
    release() {
      rmSync(file, { force: true });
      connection.close();
    },
  };
}

/** Whether nobody holds the lock; then its file is removed. */
function clearLock(file: string): boolean {
  let connection: SqliteConnection | undefined;
  try {
    // Not created when it is missing: its holder removed it on the way out.
    connection = new DatabaseSync(`${pathToFileURL(file).href}?mode=rw`);
    connection.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
    rmSync(file, { force: true });
    return true;
  } catch (error) {
    if (isBusy(error)) return false;
    return statSync(file, { throwIfNoEntry: false }) === undefined;
  } finally {
    connection?.close();
  }
}

/** A process that dies between creating its lock file and its row leaves a file without a row. */
const ORPHAN_AGE_MS = 3_600_000;

function sweepFolder(folder: string, database: Database, clock: Clock): void {
  const known = new Set(database.all<NodeRow>("SELECT id, lock FROM node").map((node) => node.lock));
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    const modified = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    if (known.has(name) || modified === undefined || clock.now() - modified < ORPHAN_AGE_MS) continue;
    clearLock(file);
  }
}
