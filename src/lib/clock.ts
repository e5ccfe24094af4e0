/** Time as a port, so that limits and leases can be tested without waiting. The only reader of the system's clocks. */
export interface Clock {
  /** Wall clock, integer milliseconds since 1970. For records that people read. */
  now(): number;
  /** Milliseconds from an arbitrary point, never going back. For durations and leases. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it is aborted first. Does not keep the process alive. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      timer.unref();
      signal?.addEventListener("abort", onAbort, { once: true });
    }),
};
