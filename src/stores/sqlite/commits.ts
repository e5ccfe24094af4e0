import { AppError, isAppError } from "../../lib/errors.ts";
import type { Database } from "./database.ts";
import { retryBusy, translate } from "./errors.ts";

/**
 * The one way to write: operations of one tick share a transaction, because flushing the disk costs far more than the
 * writes do. They run in the order of the calls and settle after the commit.
 */
export interface Commits extends AsyncDisposable {
  /**
   * An operation is synchronous and may run more than once. An AppError that it throws means that it has written nothing;
   * `Undo` that it has. Neither disturbs its neighbours.
   */
  run<T>(operation: () => T): Promise<T>;
}

/** Thrown by an operation that refuses after it has written: its writes are taken back. */
export class Undo extends Error {
  readonly reason: AppError;
  constructor(reason: AppError) {
    super(reason.message);
    this.reason = reason;
  }
}

interface Pending {
  readonly operation: () => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** Longer batches would hold up everything else in the process. */
const BATCH = 512;

export function createCommits(database: Database): Commits {
  let waiting: Pending[] = [];
  let flushing: Promise<void> | undefined;
  let closed = false;

  async function flush(): Promise<void> {
    do {
      await new Promise(setImmediate);
      const batch = waiting.slice(0, BATCH);
      waiting = waiting.slice(BATCH);
      await commit(database, batch);
    } while (waiting.length > 0);
    flushing = undefined;
  }

  return {
    run<T>(operation: () => T) {
      if (closed) return Promise.reject(new AppError("unavailable", `The store ${database.path} is closed.`));
      return new Promise<T>((resolve, reject) => {
        waiting.push({ operation, resolve, reject });
        flushing ??= flush();
      });
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      await flushing;
    },
  };
}

/** Never throws: every failure belongs to the operations. */
async function commit(database: Database, batch: readonly Pending[]): Promise<void> {
  const outcomes = await transaction(database, batch);
  if (Array.isArray(outcomes)) {
    for (const [i, outcome] of outcomes.entries()) settle(batch[i], outcome);
    return;
  }
  const [only] = batch;
  if (batch.length === 1) {
    settle(only, outcomes);
    return;
  }
  // Something unexpected: each by itself, so that one bad operation does not fail its neighbours.
  for (const pending of batch) await commit(database, [pending]);
}

function settle(pending: Pending | undefined, outcome: Outcome): void {
  if ("error" in outcome) pending?.reject(outcome.error);
  else pending?.resolve(outcome.value as never);
}

/** All outcomes after a commit; a single failure when nothing was written. */
async function transaction(
  database: Database,
  batch: readonly Pending[],
): Promise<Outcome[] | { readonly error: unknown }> {
  try {
    return await retryBusy(() => attempt(database, batch));
  } catch (error) {
    return { error: error instanceof Undo ? error.reason : translate(error, database.path) };
  }
}

function attempt(database: Database, batch: readonly Pending[]): Outcome[] {
  database.run("BEGIN IMMEDIATE");
  try {
    const outcomes = batch.map(({ operation }): Outcome => {
      try {
        return { value: operation() };
      } catch (error) {
        if (isAppError(error)) return { error };
        throw error;
      }
    });
    database.run("COMMIT");
    return outcomes;
  } catch (error) {
    rollback(database);
    throw error;
  }
}

function rollback(database: Database): void {
  try {
    database.run("ROLLBACK");
  } catch {
    // SQLite has rolled back by itself, as it does when the disk is full.
  }
}
