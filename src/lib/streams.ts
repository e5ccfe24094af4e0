/** Small pieces for asynchronous work; none of them knows what flows through it. */

/** Runs `work` for each item, at most `limit` at once, in order of start. Rejects with the first failure, after which no more are started. */
export async function forEachBounded<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  let failed = false;
  const lane = async () => {
    for (const item of rest) {
      if (failed) return;
      try {
        await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
}

/** Settles as `work`, or resolves with `otherwise` as soon as the signal is aborted; `work` then goes on unheard. */
export async function raceSignal<T, U>(work: Promise<T>, signal: AbortSignal, otherwise: U): Promise<T | U> {
  if (signal.aborted) {
    work.catch(() => {});
    return otherwise;
  }
  const { promise, resolve } = Promise.withResolvers<U>();
  const onAbort = () => resolve(otherwise);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (signal.aborted) work.catch(() => {});
  }
}

/** A queue between something that pushes and one reader that pulls. */
export interface Channel<T> extends AsyncIterable<T> {
  /** Items that the reader has not taken yet. */
  readonly size: number;
  push(item: T): void;
  /** The reader sees what was pushed before, then the end. */
  close(): void;
  /** The reader sees what was pushed before, then the error. */
  fail(error: unknown): void;
}

/** Ends when the signal is aborted, dropping what was not read. */
export function createChannel<T>(signal?: AbortSignal): Channel<T> {
  let items: T[] = [];
  let end: { readonly error?: unknown } | undefined;
  let wake = () => {};
  const finish = (how: { readonly error?: unknown }) => {
    end ??= how;
    wake();
  };
  const onAbort = () => {
    items = [];
    finish({});
  };

  async function* read(): AsyncGenerator<T> {
    if (signal?.aborted) return;
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      while (true) {
        const batch = items;
        items = [];
        yield* batch;
        if (items.length > 0) continue;
        if (end !== undefined) {
          if ("error" in end) throw end.error;
          return;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
      items = [];
      end ??= {};
    }
  }

  const reader = read();
  return {
    get size() {
      return items.length;
    },
    push(item) {
      if (end !== undefined) return;
      items.push(item);
      wake();
    },
    close: () => finish({}),
    fail: (error) => finish({ error }),
    [Symbol.asyncIterator]: () => reader,
  };
}
