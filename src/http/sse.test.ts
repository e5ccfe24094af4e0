import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { coalesce, heartbeat, sseEvent, sseResponse, untilAborted } from "./sse.ts";

async function* from<T>(...items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

/** Yields nothing until the signal is aborted, as a watched session does. */
async function* silent(signal: AbortSignal): AsyncGenerator<string> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

const never = new AbortController().signal;

describe("sseEvent", () => {
  test("an event with an id, and one without", () => {
    expect(sseEvent('{"a":1}', 7)).toBe('id: 7\ndata: {"a":1}\n\n');
    expect(sseEvent('{"a":1}')).toBe('data: {"a":1}\n\n');
  });
});

describe("coalesce", () => {
  test("joins what arrives in one tick, in order and whole", async () => {
    const pieces = await collect(coalesce(from("a", "b", "c")));
    expect(pieces).toEqual(["abc"]);
  });

  test("keeps pieces of different ticks apart", async () => {
    async function* slow() {
      yield "a";
      await sleep(5);
      yield "b";
    }
    expect(await collect(coalesce(slow()))).toEqual(["a", "b"]);
  });

  test("reads ahead no further than its buffer while the reader is slow", async () => {
    let produced = 0;
    async function* endless() {
      while (true) {
        produced += 1;
        yield "x".repeat(10);
      }
    }
    const pieces = coalesce(endless(), 100);
    await pieces.next();
    await sleep(10);
    expect(produced).toBeLessThanOrEqual(21);
    await pieces.return(undefined);
  });

  test("passes on a failure, after what came before it", async () => {
    async function* failing() {
      yield "a";
      throw new Error("broken");
    }
    const pieces = coalesce(failing());
    expect(await pieces.next()).toEqual({ done: false, value: "a" });
    await expect(pieces.next()).rejects.toThrow("broken");
  });

  test("a reader that leaves ends the source", async () => {
    let released = false;
    async function* source() {
      try {
        while (true) {
          await sleep(1);
          yield "a";
        }
      } finally {
        released = true;
      }
    }
    for await (const _ of coalesce(source())) break;
    expect(released).toBe(true);
  });
});

describe("heartbeat", () => {
  test("beats while nothing comes, and loses nothing", async () => {
    async function* slow() {
      await sleep(50);
      yield "a";
    }
    const pieces = await collect(heartbeat(slow(), 15));
    expect(pieces.at(-1)).toBe("a");
    expect(pieces.slice(0, -1).length).toBeGreaterThanOrEqual(2);
    expect(new Set(pieces.slice(0, -1))).toEqual(new Set([": \n\n"]));
  });

  test("does not beat while the source is busy", async () => {
    expect(await collect(heartbeat(from("a", "b"), 1000))).toEqual(["a", "b"]);
  });
});

describe("untilAborted", () => {
  test("leaves a source that does not know the signal", async () => {
    const stop = new AbortController();
    const reading = collect(untilAborted(silent(never), stop.signal));
    stop.abort();
    expect(await reading).toEqual([]);
  });

  test("passes on what the source yields and its failure", async () => {
    expect(await collect(untilAborted(from(1, 2), never))).toEqual([1, 2]);
  });
});

describe("sseResponse", () => {
  test("tells the retry time, streams, and ends", async () => {
    const response = sseResponse(() => from("data: 1\n\n"), { heartbeatMs: 1000, closing: never });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(await response.text()).toBe("retry: 1000\n\ndata: 1\n\n");
  });

  test("a reader that leaves aborts the source's signal", async () => {
    let seen: AbortSignal | undefined;
    const response = sseResponse(
      (signal) => {
        seen = signal;
        return silent(signal);
      },
      { heartbeatMs: 1000, closing: never },
    );
    const reader = response.body?.getReader();
    await reader?.read();
    expect(seen?.aborted).toBe(false);
    await reader?.cancel();
    expect(seen?.aborted).toBe(true);
  });

  test("a stream that ended has let go of everything that hangs on its signal", async () => {
    let seen: AbortSignal | undefined;
    const open = (signal: AbortSignal) => {
      seen = signal;
      return from("data: 1\n\n");
    };
    await sseResponse(open, { heartbeatMs: 1000, closing: never }).text();
    expect(seen?.aborted).toBe(true);
  });

  test("ends when the server closes", async () => {
    const closing = new AbortController();
    const response = sseResponse(silent, { heartbeatMs: 1000, closing: closing.signal });
    const text = response.text();
    closing.abort();
    expect(await text).toBe("retry: 1000\n\n");
  });
});
