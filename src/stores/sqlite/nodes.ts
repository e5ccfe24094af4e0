import type { Clock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import type { Commits } from "./commits.ts";
import type { Database } from "./database.ts";
import { clearLock, holdLock, type Lock, sweepLocks } from "./locks.ts";

/**
 * The processes that share a database. Each has a row with a heartbeat and holds a lock for as long as it lives. So there
 * are two ways to lose one's leases:
 * - The process is gone: its lock is free, and others know it at once, without guessing from process ids.
 * - It lives but is silent (stopped, starved): its lock is held, and others wait until its heartbeat has expired. When it
 *   wakes up, it finds that its sessions have new epochs.
 */
export interface Nodes extends AsyncDisposable {
  readonly nodeId: string;
  /** Inside a transaction that takes a lease: renews the heartbeat. */
  beat(): void;
  /** Inside a transaction that relies on a lease: as `beat`, but only where the heartbeat is late. */
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
  readonly expires_at: number;
}

/** How long a lock without a row is left alone: its process may be about to write the row. */
const ORPHAN_AGE_MS = 3_600_000;

export async function joinNodes(database: Database, commits: Commits, options: NodeOptions): Promise<Nodes> {
  const { nodeId, leaseMs, clock } = options;
  // A database in memory has no other processes.
  const folder = database.path === ":memory:" ? undefined : `${database.path}-nodes`;
  const lock = folder === undefined ? undefined : holdLock(folder);
  let lastBeat = clock.monotonic();

  function enter(): void {
    database.run(
      "INSERT INTO node (id, lock, pid, started_at, expires_at) VALUES (?, ?, ?, ?, ?)",
      nodeId,
      lock?.name ?? null,
      process.pid,
      clock.now(),
      clock.now() + leaseMs,
    );
  }
  function beat(): void {
    const renewed = database.run(
      "UPDATE node SET expires_at = ? WHERE id = ?",
      clock.now() + leaseMs,
      nodeId,
    );
    // Somebody took us for dead: we have no leases any more, but may take new ones.
    if (renewed === 0) enter();
  }
  async function renew(): Promise<void> {
    const at = clock.monotonic();
    await commits.run(beat);
    lastBeat = at;
  }
  async function buryDead(): Promise<void> {
    if (folder === undefined) return;
    const now = clock.now();
    const dead = nodeRows(database).filter((node) => node.lock !== lock?.name && isGone(folder, node, now));
    if (dead.length === 0) return;
    await commits.run(() => {
      for (const { id, lock: name } of dead) {
        database.run("DELETE FROM node WHERE id = ? AND lock IS ?", id, name);
      }
    });
  }

  try {
    if (folder !== undefined) {
      const known = new Set(nodeRows(database).map((node) => node.lock)).add(lock?.name ?? null);
      sweepLocks(folder, known, clock.now() - ORPHAN_AGE_MS);
    }
    await buryDead();
    await commits.run(() => {
      const namesake = database.get("SELECT 1 FROM node WHERE id = ?", nodeId);
      if (namesake !== undefined) throw nodeIdTaken(nodeId, database.path);
      enter();
    });
  } catch (error) {
    release(folder, lock);
    throw error;
  }
  // A heartbeat that fails (a full disk) is tried again with the next one; `keepAlive` is the second line.
  const timer = setInterval(() => renew().catch(() => {}), Math.max(10, leaseMs / 3));
  timer.unref();

  return {
    nodeId,
    beat,
    keepAlive() {
      if (clock.monotonic() - lastBeat > (leaseMs * 2) / 3) beat();
    },
    buryDead,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      try {
        await commits.run(() => database.run("DELETE FROM node WHERE id = ?", nodeId));
      } catch (error) {
        // Others then find the lock free and give our leases away.
        lock?.release();
        throw error;
      }
      release(folder, lock);
    },
  };
}

function nodeRows(database: Database): readonly NodeRow[] {
  return database.all<NodeRow>("SELECT id, lock, expires_at FROM node");
}

function isGone(folder: string, node: NodeRow, now: number): boolean {
  if (node.lock === null) return false;
  const lock = clearLock(folder, node.lock);
  // The database was copied without its locks, or somebody tidied up: then only silence counts.
  return lock === "cleared" || (lock === "missing" && node.expires_at <= now);
}

function nodeIdTaken(nodeId: string, path: string): AppError {
  return new AppError("conflict", `A running process uses ${path} under the node id "${nodeId}".`, {
    hint: "Give each process a node id of its own, or none.",
  });
}

function release(folder: string | undefined, lock: Lock | undefined): void {
  if (folder === undefined || lock === undefined) return;
  lock.release();
  clearLock(folder, lock.name);
}
