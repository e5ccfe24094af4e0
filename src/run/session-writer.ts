import type { Clock } from "../lib/clock.ts";
import { AppError, isAppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { ENTRY_VERSION, type Entry, type NewEntry } from "../log/entry.ts";
import { violationOf } from "../log/fact-rules.ts";
import { advance, fold } from "../log/fold.ts";
import type { SessionLog } from "../log/session-log.ts";
import { type Draft, type SessionState, statusOf } from "../log/state.ts";
import type { Lease } from "./worker/queue.ts";

/**
 * The one writer of a session while its lease is held: stamps facts, advances the state at once, and lets the store make
 * them durable behind it. Facts are stored together: at once when somebody waits for `durable()`, else within a few
 * milliseconds, so that a turn with a fast model costs one flush of the disk instead of two.
 *
 * Nothing outside may act on a fact before `durable()` has resolved; the loop waits for it before every effect.
 */
export interface SessionWriter {
  readonly lease: Lease;
  readonly state: SessionState;
  append(...facts: readonly NewEntry[]): void;
  /**
   * As `append` and then `durable`, for a fact that the store may refuse because a budget is used up (`budget_exceeded`): then
   * nothing has happened, and the refusal is what it resolves with. What is appended meanwhile comes behind it.
   */
  tryAppend(fact: NewEntry): Promise<AppError | null>;
  /** Resolves when everything appended so far is on disk. Rejects when it could not be written; then the state is void. */
  durable(): Promise<void>;
  /** Aborted when a write failed: whoever works on the session must let go of it. */
  readonly lost: AbortSignal;
}

/** Folds the session from its last compaction on, or takes `known` where it is the state at the lease's head. */
export async function openSessionWriter(
  log: SessionLog,
  lease: Lease,
  clock: Clock,
  known?: Draft,
): Promise<SessionWriter & { readonly state: Draft }> {
  const state = known?.headId === lease.headId ? known : (fold(await log.tail(lease.sessionId)) as Draft);
  return createSessionWriter(log, lease, clock, state);
}

function createSessionWriter(
  log: SessionLog,
  lease: Lease,
  clock: Clock,
  state: Draft,
): SessionWriter & { readonly state: Draft } {
  const lost = new AbortController();
  let written: Promise<void> = Promise.resolve();
  let batch: Batch | undefined;
  /** What has to wait until it is known whether the fact before it is in the log. */
  let held: NewEntry[] | undefined;

  function openBatch(): Batch {
    const { promise: due, resolve: store } = Promise.withResolvers<void>();
    const opened: Batch = { entries: [], store };
    const fence = { head: state.headId, epoch: lease.epoch };
    const timer = setTimeout(store, UNHURRIED_MS);
    const stored = due.then(() => {
      clearTimeout(timer);
      batch = undefined;
      return log.append(lease.sessionId, fence, opened.entries, statusOf(state));
    });
    follow(stored);
    return opened;
  }

  function follow(stored: Promise<unknown>): void {
    written = Promise.all([written, stored]).then(() => {});
    // `durable()` is where the failure is dealt with; this only stops work that is under way.
    written.catch((cause: unknown) => lost.abort(lettingGo("its log could not be written", cause)));
  }

  const writer: SessionWriter & { readonly state: Draft } = {
    lease,
    state,
    lost: lost.signal,
    append(...facts) {
      if (held !== undefined) {
        held.push(...facts);
        return;
      }
      batch ??= openBatch();
      for (const fact of facts) {
        const violation = violationOf(fact, state);
        if (violation !== null) throw new Error(`${fact.type} cannot be appended: ${violation}`);
        const entry = stamp(fact, lease.sessionId, state, clock.now());
        advance(state, entry);
        batch.entries.push(entry);
      }
    },
    async tryAppend(fact) {
      while (batch !== undefined) await writer.durable();
      const entry = stamp(fact, lease.sessionId, state, clock.now());
      const fence = { head: state.headId, epoch: lease.epoch };
      const storing = refusalOf(log.append(lease.sessionId, fence, [entry], statusOf(state)));
      const behind: NewEntry[] = [];
      held = behind;
      follow(storing);
      try {
        const refused = await storing;
        if (refused === null) advance(state, entry);
        return refused;
      } finally {
        held = undefined;
        if (behind.length > 0) writer.append(...behind);
      }
    },
    durable() {
      if (held !== undefined) return written.then(() => writer.durable());
      // After the promises that are settled now have had their turn: parallel calls that all wait share one write.
      if (batch !== undefined) process.nextTick(batch.store);
      return written;
    },
  };
  return writer;
}

/** Null when it was stored. Rejects for every other reason. */
async function refusalOf(storing: Promise<void>): Promise<AppError | null> {
  try {
    await storing;
    return null;
  } catch (error) {
    if (isAppError(error, "budget_exceeded")) return error;
    throw error;
  }
}

/** Why a session is abandoned: the code tells tools to leave alone what the session's next owner can find again. */
export function lettingGo(why: string, cause?: unknown): AppError {
  return new AppError("fenced", `this process lets go of the session: ${why}`, { cause });
}

/** Facts on their way to the store. */
interface Batch {
  readonly entries: Entry[];
  /** Ends the collecting. */
  readonly store: () => void;
}

/** How long a fact that nobody waits for may stay in memory: shorter than any model takes, longer than a tick. */
const UNHURRIED_MS = 5;

function stamp(fact: NewEntry, sessionId: string, state: SessionState, at: number): Entry {
  return {
    ...fact,
    id: newId("e", at),
    sessionId,
    parentId: state.headId,
    seq: state.headSeq + 1,
    at,
    v: ENTRY_VERSION,
  };
}

/** The run that is under way, where the step could only come from one. */
export function currentRun(writer: SessionWriter): NonNullable<SessionWriter["state"]["run"]> {
  const { run } = writer.state;
  if (run === null) throw new Error(`session ${writer.lease.sessionId} has no run`);
  return run;
}
