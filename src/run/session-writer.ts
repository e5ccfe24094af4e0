import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import { ENTRY_VERSION, type Entry, type NewEntry } from "../log/entry.ts";
import { advance, type Draft, fold, type SessionState, statusOf } from "../log/fold.ts";
import type { SessionLog } from "../log/session-log.ts";
import type { Lease } from "./queue.ts";

/**
 * The one writer of a session while its lease is held: stamps facts, advances the state at once, and lets the store make
 * them durable behind it. Facts that follow from each other without waiting become one append.
 *
 * Nothing outside may act on a fact before `durable()` has resolved; the loop waits for it before every effect.
 */
export interface SessionWriter {
  readonly lease: Lease;
  readonly state: SessionState;
  append(...facts: readonly NewEntry[]): void;
  /** Resolves when everything appended so far is on disk. Rejects when it could not be written; then the state is void. */
  durable(): Promise<void>;
  /** Aborted when a write failed: whoever works on the session must let go of it. */
  readonly lost: AbortSignal;
}

/** Folds the session's path, or takes `known` where it is the state at the lease's head. */
export async function openSessionWriter(
  log: SessionLog,
  lease: Lease,
  clock: Clock,
  known?: Draft,
): Promise<SessionWriter & { readonly state: Draft }> {
  const state = known?.headId === lease.headId ? known : (fold(await log.path(lease.sessionId)) as Draft);
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
  let batch: Entry[] = [];

  function store(head: string | null): Promise<void> {
    const entries = batch;
    batch = [];
    return log.append(lease.sessionId, { head, epoch: lease.epoch }, entries, statusOf(state));
  }

  function storeSoon(): void {
    const head = state.headId;
    // Runs when the promises that are settled now have had their turn: what the loop decides next belongs to the same append.
    const stored = new Promise<void>((resolve) => process.nextTick(resolve)).then(() => store(head));
    written = Promise.all([written, stored]).then(() => {});
    // `durable()` is where the failure is dealt with; this only stops work that is under way.
    written.catch((error: unknown) => lost.abort(error));
  }

  return {
    lease,
    state,
    lost: lost.signal,
    append(...facts) {
      if (batch.length === 0) storeSoon();
      for (const fact of facts) {
        const entry = stamp(fact, lease.sessionId, state, clock.now());
        advance(state, entry);
        batch.push(entry);
      }
    },
    durable: () => written,
  };
}

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
