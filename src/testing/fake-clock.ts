import { setImmediate } from "node:timers/promises";
import type { Clock } from "../lib/clock.ts";

/** A clock that stands still until it is told to go on. */
export interface FakeClock extends Clock {
  /** How many sleeps are waiting. */
  readonly sleeping: number;
  /**
   * Moves time forward. Sleeps that become due end in the order of their time, and what they wake runs until it waits
   * again, so that a sleep which it starts is still served within the same `advance`.
   */
  advance(ms: number): Promise<void>;
}

interface Sleeper {
  readonly due: number;
  readonly wake: () => void;
}

/** @param start wall clock at the beginning, milliseconds since 1970. Default: 2026-01-01 00:00 UTC. */
export function createFakeClock(start: number = Date.UTC(2026, 0, 1)): FakeClock {
  let elapsed = 0;
  const sleepers = new Set<Sleeper>();

  return {
    now: () => start + Math.floor(elapsed),
    monotonic: () => elapsed,
    get sleeping() {
      return sleepers.size;
    },
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(signal.reason);
          return;
        }
        const onAbort = () => {
          sleepers.delete(sleeper);
          reject(signal?.reason);
        };
        const wake = () => {
          sleepers.delete(sleeper);
          signal?.removeEventListener("abort", onAbort);
          resolve();
        };
        const sleeper: Sleeper = { due: elapsed + Math.max(0, ms), wake };
        sleepers.add(sleeper);
        signal?.addEventListener("abort", onAbort, { once: true });
      });
    },
    async advance(ms) {
      const end = elapsed + ms;
      await setImmediate();
      for (let next = earliest(sleepers, end); next !== undefined; next = earliest(sleepers, end)) {
        elapsed = Math.max(elapsed, next.due);
        next.wake();
        await setImmediate();
      }
      elapsed = end;
    },
  };
}

function earliest(sleepers: Iterable<Sleeper>, end: number): Sleeper | undefined {
  let first: Sleeper | undefined;
  for (const sleeper of sleepers) {
    if (sleeper.due <= end && (first === undefined || sleeper.due < first.due)) first = sleeper;
  }
  return first;
}
