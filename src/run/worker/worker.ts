import type { AgentRegistry } from "../../agents/registry.ts";
import { errorMessage, isAppError } from "../../lib/errors.ts";
import { createLru } from "../../lib/lru.ts";
import { LONGEST_TIMER_MS } from "../../lib/units.ts";
import type { SessionLog } from "../../log/session-log.ts";
import { type AddedRule, type Draft, isAtRest, isWaiting, type SessionState } from "../../log/state.ts";
import { runLoop } from "../loop.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import type { Delta } from "../session/events.ts";
import { lettingGo, openSessionWriter, type SessionWriter } from "../session-writer.ts";
import { createInbox } from "./inbox.ts";
import type { Lease, RuleBook, RunQueue } from "./queue.ts";

/**
 * Gives every session that has work to one loop in one process: claims its lease, runs it, gives the lease back. After a
 * crash the same path takes up what was left behind.
 */
export interface Worker extends AsyncDisposable {
  /** Takes up whatever is runnable now, and from now on. */
  start(): void;
  /** Resolves when no session is being worked on by this process. */
  idle(): Promise<void>;
  /**
   * Takes up nothing more, lets each run come to the end of its step (a model's answer, the calls that go on), then gives
   * its lease back. After `limitMs` it lets go of those that have not: whoever takes them up finds out what became of their
   * calls. Nothing is marked as failed. A stop is heard meanwhile. Once: later calls wait for the first one.
   */
  drain(limitMs: number): Promise<void>;
}

export interface WorkerOptions {
  readonly log: SessionLog & RunQueue & RuleBook;
  readonly nodeId: string;
  readonly agents: AgentRegistry;
  readonly ports: Omit<LoopPorts, "emit" | "addedRules">;
  /** `after`: the `seq` of the last entry that was appended before it. */
  readonly emit: (sessionId: string, delta: Delta, after: number) => void;
  /** Called when a session is idle again. */
  readonly onIdle?: (sessionId: string) => void;
  /** Work on this session only. Default: on all. */
  readonly only?: string;
  /** Sessions at once. Default 1,000. */
  readonly concurrency?: number;
  /** How long closing waits for steps under way to end before it lets go of them. Milliseconds, default 5,000. */
  readonly graceMs?: number;
  /** For what nobody waits for: a session that cannot be worked on. Default: standard error. */
  readonly report?: (message: string) => void;
}

/** How often sessions that a dead node left behind are looked for. */
const SWEEP_MS = 1_000;
/** A session that could not be worked on is tried again after this. */
const STALL_MS = 3_000;
/** Questions that time answers in one sweep; the next one comes soon. */
const MAX_EXPIRED = 200;
/** More sessions than there can be. */
const EVERY = Number.MAX_SAFE_INTEGER;
/** States kept of sessions that went idle, so that their next message need not fold the log again. */
const KNOWN_STATES = 256;

interface Active {
  /** Set when the session was woken while it is worked on. */
  woken: boolean;
  poke(): void;
  /** Between two tries of a request: nothing is lost when it is left. */
  isPausing(): boolean;
  readonly abandon: AbortController;
  readonly done: Promise<void>;
}

export function createWorker(options: WorkerOptions): Worker {
  const { log, agents, ports, only } = options;
  const report = options.report ?? ((message) => process.stderr.write(`holdfast: ${message}\n`));
  const concurrency = options.concurrency ?? 1_000;
  const active = new Map<string, Active>();
  const stalledUntil = new Map<string, number>();
  const known = createLru<string, Draft>(KNOWN_STATES);
  const closing = new AbortController();
  let listener: Disposable | undefined;
  let sweeper: NodeJS.Timeout | undefined;
  let drained: Promise<void> | undefined;

  function wake(sessionId: string): void {
    if (only !== undefined && only !== sessionId) return;
    const running = active.get(sessionId);
    if (running !== undefined) {
      running.woken = true;
      running.poke();
    } else if (!closing.signal.aborted && active.size < concurrency && !isStalled(sessionId)) {
      take(sessionId);
    }
  }

  async function letRunsEnd(limitMs: number): Promise<void> {
    closing.abort();
    clearTimeout(sweeper);
    for (const entry of active.values())
      if (entry.isPausing()) entry.abandon.abort(lettingGo("it shuts down"));
    const letGo = setTimeout(() => abandonAll(active), Math.min(limitMs, LONGEST_TIMER_MS));
    await Promise.all([...active.values()].map((entry) => entry.done));
    clearTimeout(letGo);
    listener?.[Symbol.dispose]();
  }

  function drain(limitMs: number): Promise<void> {
    drained ??= letRunsEnd(limitMs);
    return drained;
  }

  function isStalled(sessionId: string): boolean {
    const until = stalledUntil.get(sessionId);
    if (until === undefined) return false;
    if (ports.clock.monotonic() < until) return true;
    stalledUntil.delete(sessionId);
    return false;
  }

  function take(sessionId: string): void {
    const abandon = new AbortController();
    const entry: Active = {
      woken: false,
      poke: () => {},
      isPausing: () => false,
      abandon,
      done: Promise.resolve(),
    };
    const done = workOn(sessionId, entry)
      .catch((error: unknown) => stall(sessionId, error))
      .finally(() => {
        active.delete(sessionId);
        if (entry.woken) wake(sessionId);
      });
    active.set(sessionId, Object.assign(entry, { done }));
  }

  async function workOn(sessionId: string, entry: Active): Promise<void> {
    const lease = await log.claim(sessionId);
    if (lease === undefined) return;
    try {
      if (!closing.signal.aborted) await workWithLease(lease, entry);
    } finally {
      // A lease that was lost is not ours to give back, which the store knows. One that cannot be given back now (a full
      // disk) stays ours: nobody else takes the session up, so it is tried again as one that could not be written.
      await log.release(lease);
    }
    if (!entry.woken) options.onIdle?.(sessionId);
  }

  async function workWithLease(lease: Lease, entry: Active): Promise<void> {
    const { sessionId } = lease;
    const writer = await openSessionWriter(log, lease, ports.clock, known.take(sessionId));
    const agent = agents.get(writer.state.agent ?? "");
    const inbox = createInbox(log, writer);
    const abandoned = AbortSignal.any([entry.abandon.signal, writer.lost]);
    const stops = createStops(writer, abandoned);
    let added: readonly AddedRule[] = [];
    const takeInbox = async () => {
      entry.woken = false;
      await inbox.take();
      // People make rules while they answer, in any session of the agent.
      added = await log.rules(agent.name);
      stops.obey();
    };

    let pokes = Promise.resolve();
    entry.poke = () => {
      pokes = pokes
        .then(takeInbox)
        .catch((error: unknown) => entry.abandon.abort(lettingGo("its inbox could not be read", error)));
    };
    entry.isPausing = () => isPausing(writer.state);
    const { run } = writer.state;
    // One that waits for a person was left in good order.
    if (run !== null && !isWaiting(run)) {
      writer.append({
        type: "runResumed",
        runId: run.id,
        nodeId: options.nodeId,
        epoch: lease.epoch,
        // What is left of an answer that had begun becomes the answer, and is counted with it.
        ...(run.calling && run.part === null ? { lostCall: true } : {}),
      });
    }
    await takeInbox();
    const emit = (delta: Delta) => options.emit(sessionId, delta, writer.state.headSeq);
    const sessionPorts = { ...ports, emit, addedRules: () => added };
    const control = {
      cancelSignal: stops.cancelSignal,
      abandoned,
      // A stop is obeyed to its end, for which somebody waits.
      draining: () => closing.signal.aborted && writer.state.run?.stopRequested !== true,
    };
    try {
      do {
        await runLoop(writer, agent, sessionPorts, control);
        await pokes;
      } while (!abandoned.aborted && !closing.signal.aborted && !isAtRest(writer.state));
    } catch (error) {
      // Nothing of it may go on beside whoever takes the session up next.
      entry.abandon.abort(lettingGo("a step failed", error));
      throw error;
    } finally {
      entry.poke = () => {};
      // Also when a step failed: what happened before it, or beside it, must be in the log before the lease is given back.
      await writer.durable();
    }
    if (!abandoned.aborted) known.put(sessionId, writer.state);
  }

  function stall(sessionId: string, error: unknown): void {
    if (closing.signal.aborted) return;
    known.take(sessionId);
    if (isAppError(error, "fenced") || isAppError(error, "stale_head")) return;
    // Its agent is not served here: not by trying again, only by another process can that change.
    const isForeign = isAppError(error, "not_found");
    stalledUntil.set(sessionId, isForeign ? Number.POSITIVE_INFINITY : ports.clock.monotonic() + STALL_MS);
    const until = isForeign ? "is left to other processes" : `is tried again in ${STALL_MS / 1_000} s`;
    const message = `session ${sessionId} waits and ${until}: ${errorMessage(error)}`;
    report(message);
    options.emit(
      sessionId,
      { type: "notice", code: isAppError(error) ? error.code : "internal", message },
      0,
    );
  }

  async function sweep(): Promise<void> {
    if (only === undefined) await log.expire(MAX_EXPIRED);
    for (const sessionId of stalledUntil.keys()) wake(sessionId);
    const limit = only === undefined ? concurrency + stalledUntil.size : EVERY;
    for (const sessionId of await log.runnable(limit)) wake(sessionId);
  }

  function sweepAndSchedule(): void {
    sweep()
      .catch((error: unknown) => report(`looking for work failed: ${errorMessage(error)}`))
      .finally(() => {
        if (closing.signal.aborted) return;
        sweeper = setTimeout(sweepAndSchedule, SWEEP_MS);
        sweeper.unref();
      });
  }

  return {
    start() {
      listener = log.onWake(wake);
      sweepAndSchedule();
    },
    async idle() {
      while (active.size > 0) await Promise.all([...active.values()].map((entry) => entry.done));
    },
    drain,
    [Symbol.asyncDispose]: () => drain(options.graceMs ?? 5_000),
  };
}

function isPausing({ run, openCalls }: SessionState): boolean {
  return run !== null && !run.calling && run.failures.length > 0 && openCalls.length === 0;
}

function abandonAll(active: ReadonlyMap<string, Active>): void {
  for (const entry of active.values()) entry.abandon.abort(lettingGo("it shuts down"));
}

/** Signals for the stretch of work between two stops. Made once for each stretch, since composing signals is not cheap. */
function createStops(
  writer: SessionWriter,
  abandoned: AbortSignal,
): Pick<LoopControl, "cancelSignal"> & { obey(): void } {
  let stopping = new AbortController();
  let cancel = AbortSignal.any([stopping.signal, abandoned]);

  function obey(): void {
    const { run } = writer.state;
    if (stopping.signal.aborted && run !== null && !run.stopRequested) {
      stopping = new AbortController();
      cancel = AbortSignal.any([stopping.signal, abandoned]);
    }
    if (run?.stopRequested) stopping.abort();
  }

  return {
    cancelSignal() {
      obey();
      return cancel;
    },
    obey,
  };
}
