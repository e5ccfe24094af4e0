import { describe, expect, test } from "vitest";
import { type OutputLog, outputLog } from "./output-log.ts";

const limits = { head: 10, tail: 5, window: 20 };

const put = (log: OutputLog, text: string, stream: "stdout" | "stderr" = "stdout") =>
  log.append({ stream, bytes: Buffer.from(text) });

async function readAll(log: OutputLog): Promise<string> {
  let text = "";
  for await (const { bytes } of log.reader().output) text += Buffer.from(bytes).toString();
  return text;
}

describe("outputLog", () => {
  test("gives every reader the output from the start", async () => {
    const log = outputLog(limits);
    const early = readAll(log);
    put(log, "abc");
    put(log, "def");
    log.end();
    expect(await early).toBe("abcdef");
    expect(await readAll(log)).toBe("abcdef");
    expect(log.counts()).toEqual({ size: 6, dropped: 0 });
  });

  test("keeps the order of the streams", async () => {
    const log = outputLog(limits);
    put(log, "a");
    put(log, "b", "stderr");
    put(log, "c");
    log.end();
    const chunks: string[] = [];
    for await (const { stream, bytes } of log.reader().output) chunks.push(`${stream}:${Buffer.from(bytes)}`);
    expect(chunks).toEqual(["stdout:a", "stderr:b", "stdout:c"]);
  });

  test("keeps beginning and end for late readers, and counts what is gone", async () => {
    const log = outputLog(limits);
    for (let i = 0; i < 10; i++) put(log, `${i}`.repeat(5), i % 2 === 0 ? "stdout" : "stderr");
    log.end();
    expect(await readAll(log)).toBe("000001111199999");
    expect(log.counts()).toEqual({ size: 50, dropped: 35 });
  });

  test("makes the producer wait for a reader that lags, and go on when it has caught up", async () => {
    const log = outputLog(limits);
    const reader = log.reader().output[Symbol.asyncIterator]();
    expect(put(log, "x".repeat(20))).toBeUndefined();
    let wentOn = false;
    const room = put(log, "y".repeat(10))?.then(() => {
      wentOn = true;
    });
    expect(room).toBeDefined();
    await new Promise(setImmediate);
    expect(wentOn).toBe(false);
    await reader.next();
    await room;
    expect(wentOn).toBe(true);
  });

  test("does not wait when nobody reads", () => {
    const log = outputLog(limits);
    for (let i = 0; i < 100; i++) expect(put(log, "z".repeat(1000))).toBeUndefined();
    // Small pieces are joined, so what is kept is more than the limits by at most two joined pieces.
    expect(log.counts().dropped).toBeGreaterThan(80_000);
  });

  test("a reader that closes lets the producer go on, and ends", async () => {
    const log = outputLog(limits);
    const { output, close } = log.reader();
    const room = put(log, "x".repeat(30));
    close();
    await room;
    const chunks: unknown[] = [];
    for await (const chunk of output) chunks.push(chunk);
    expect(chunks).toEqual([]);
  });

  test("a reader in the middle of joined pieces gets each byte once", async () => {
    const log = outputLog({ head: 100, tail: 10, window: 100 });
    const iterator = log.reader().output[Symbol.asyncIterator]();
    put(log, "abc");
    const first = await iterator.next();
    put(log, "def");
    log.end();
    const second = await iterator.next();
    expect([first, second].map(({ value }) => Buffer.from(value.bytes).toString())).toEqual(["abc", "def"]);
  });

  test("bytes that come one at a time do not cost an object each", async () => {
    const log = outputLog({ head: 10_000, tail: 10, window: 10_000 });
    for (let i = 0; i < 9000; i++) put(log, "q");
    log.end();
    let chunks = 0;
    for await (const _ of log.reader().output) chunks += 1;
    expect(chunks).toBeLessThan(5);
  });
});
