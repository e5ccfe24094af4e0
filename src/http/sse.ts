import { setImmediate as endOfTick } from "node:timers/promises";
import { raceSignal } from "../lib/streams.ts";

/**
 * Server-sent events as small operators over async iterables of text. A response is
 * `heartbeat(coalesce(encoded events))`, pulled by the socket: a reader that is slow slows the source down, and holds at
 * most one buffer's worth of text.
 *
 * Every source here ends by itself soon after its signal is aborted. That is what lets an operator wait for its source to
 * finish when the reader leaves.
 */
export interface StreamSettings {
  /** A comment line is sent after this much silence, so that proxies and readers see that the stream lives. */
  readonly heartbeatMs: number;
  /** Aborted when the server closes; the stream then ends without its `end` event, and the reader comes back elsewhere. */
  readonly closing: AbortSignal;
}

const HEARTBEAT = ": \n\n";
const RETRY_MS = 1_000;
const BUFFER_LENGTH = 64 * 1024;

export const sseHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store, no-transform",
  // nginx would otherwise keep a small answer back until its buffer is full.
  "x-accel-buffering": "no",
  // Known to be a stream: the adapter then sends the headers at once instead of looking for a short body first.
  "transfer-encoding": "chunked",
} as const;

/** A response that streams what `open` yields. Its signal is aborted when the reader leaves or the server closes. */
export function sseResponse(
  open: (signal: AbortSignal) => AsyncIterable<string>,
  settings: StreamSettings,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const reader = new AbortController();
  const signal = AbortSignal.any([reader.signal, settings.closing]);
  const encoder = new TextEncoder();
  const source = heartbeat(coalesce(withRetry(open(signal))), settings.heartbeatMs);
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await source.next();
        if (done !== true) return controller.enqueue(encoder.encode(value));
        // Also at a good end: a combined signal with listeners is kept until it is aborted.
        reader.abort();
        controller.close();
      },
      async cancel() {
        reader.abort();
        await source.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: { ...sseHeaders, ...headers } });
}

/** One event: `data` is JSON, so it holds no line break. */
export function sseEvent(data: string, id?: number): string {
  return id === undefined ? `data: ${data}\n\n` : `id: ${id}\ndata: ${data}\n\n`;
}

async function* withRetry(source: AsyncIterable<string>): AsyncGenerator<string> {
  yield `retry: ${RETRY_MS}\n\n`;
  yield* source;
}

/**
 * Joins the pieces that arrive within one turn of the event loop into one, so that a burst of small events costs one write
 * to the socket. Reads ahead until `maxLength` characters wait for the reader.
 */
export async function* coalesce(
  source: AsyncIterable<string>,
  maxLength: number = BUFFER_LENGTH,
): AsyncGenerator<string, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  let buffer = "";
  let state: "open" | "left" | "ended" = "open";
  const filled = createGate();
  const emptied = createGate();

  const pump = async () => {
    try {
      while (state === "open") {
        const item = await iterator.next();
        if (item.done === true) return;
        buffer += item.value;
        filled.open();
        if (buffer.length >= maxLength && state === "open") await emptied.wait();
      }
    } finally {
      state = "ended";
      filled.open();
    }
  };

  const pumping = pump();
  // Its failure is thrown by the `await` at the end; until then it must not count as unhandled.
  pumping.catch(() => {});
  try {
    while (true) {
      if (buffer === "" && isOpen()) await filled.wait();
      if (isOpen() && buffer.length < maxLength) await endOfTick();
      if (buffer === "" && !isOpen()) break;
      const piece = buffer;
      buffer = "";
      emptied.open();
      if (piece !== "") yield piece;
    }
    await pumping;
  } finally {
    if (isOpen()) state = "left";
    emptied.open();
    await iterator.return?.();
  }

  function isOpen(): boolean {
    return state === "open";
  }
}

/** Passes the source on, and a comment line whenever nothing came for `intervalMs`. */
export async function* heartbeat(
  source: AsyncIterable<string>,
  intervalMs: number,
): AsyncGenerator<string, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    let next = iterator.next();
    while (true) {
      const item = await orSilence(next, intervalMs);
      if (item === "silence") {
        yield HEARTBEAT;
      } else {
        if (item.done === true) return;
        yield item.value;
        next = iterator.next();
      }
    }
  } finally {
    await iterator.return?.();
  }
}

/** Passes the source on until the signal is aborted, without waiting for a source that does not know the signal. */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    while (!signal.aborted) {
      const item = await raceSignal(iterator.next(), signal, "aborted" as const);
      if (item === "aborted" || item.done === true) return;
      yield item.value;
    }
  } finally {
    iterator.return?.()?.catch(() => {});
  }
}

function orSilence<T>(promise: Promise<T>, ms: number): Promise<T | "silence"> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, "silence" as const);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** One waits, the other opens. Opening before the wait lets the next wait pass at once. */
function createGate(): { wait(): Promise<void>; open(): void } {
  let isOpen = false;
  let pass: (() => void) | undefined;
  return {
    open() {
      isOpen = true;
      pass?.();
    },
    async wait() {
      if (!isOpen) {
        await new Promise<void>((resolve) => {
          pass = resolve;
        });
      }
      isOpen = false;
      pass = undefined;
    },
  };
}
