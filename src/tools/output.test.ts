import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { AppError } from "../lib/errors.ts";
import { limitText, type OutputLimits, outputCollector, outputPath } from "./output.ts";

const PATH = outputPath("call_1");
const limits: OutputLimits = { inline: 200, head: 60, tail: 40, file: 1000 };

describe("outputCollector", () => {
  test("a short output is passed on whole, without its last newline", async () => {
    const { sandbox, files } = memoryFiles();
    const collector = outputCollector(sandbox, PATH, limits);
    await collector.push({ stream: "stdout", bytes: Buffer.from("one\n") });
    await collector.push({ stream: "stderr", bytes: Buffer.from("two\n") });
    expect(await collector.finish()).toEqual({ text: "one\ntwo", bytes: 8, file: null });
    expect(files.size).toBe(0);
  });

  test("lines of the two streams do not run into each other", async () => {
    const { sandbox } = memoryFiles();
    const collector = outputCollector(sandbox, PATH, limits);
    await collector.push({ stream: "stdout", bytes: Buffer.from("half of ") });
    await collector.push({ stream: "stderr", bytes: Buffer.from("warning\n") });
    await collector.push({ stream: "stdout", bytes: Buffer.from("a line\n") });
    expect((await collector.finish()).text).toBe("warning\nhalf of a line");
  });

  test("a long output is kept in a file; the model gets its two ends and the path", async () => {
    const { sandbox, files } = memoryFiles();
    const lines = Array.from({ length: 60 }, (_, i) => `line ${i}\n`).join("");
    const collected = await limitText(lines, async () => sandbox, PATH, limits);
    expect(collected.file).toBe(".holdfast/outputs/call_1.txt");
    expect(files.get(".holdfast/outputs/call_1.txt")?.toString()).toBe(lines);
    expect(collected.text).toMatch(/^line 0\nline 1\n/);
    expect(collected.text).toMatch(
      /\n\n\[\.\.\. \d+ bytes left out here; the whole output \(470 bytes\) is in /,
    );
    expect(collected.text).toMatch(/line 58\nline 59$/);
    expect(collected.bytes).toBe(470);
  });

  test("the file has a limit, and the text says what it holds", async () => {
    const { sandbox, files } = memoryFiles();
    const collected = await limitText("0123456789".repeat(300), async () => sandbox, PATH, limits);
    expect(files.get(".holdfast/outputs/call_1.txt")?.length).toBe(1000);
    expect(collected.text).toContain("the first 1.0 KB of 3.0 KB are in .holdfast/outputs/call_1.txt");
  });

  test("a file that cannot be written does not fail the output", async () => {
    const writeFile = async () => {
      throw new AppError("no_space", "No space is left.");
    };
    const collected = await limitText("x".repeat(500), async () => ({ writeFile }), PATH, limits);
    expect(collected.file).toBeNull();
    expect(collected.text).toContain("could not be kept: No space is left.");
  });

  test("characters are not cut in half", async () => {
    const { sandbox } = memoryFiles();
    const collected = await limitText("€".repeat(200), async () => sandbox, PATH, limits);
    expect(collected.text).not.toContain("\uFFFD");
    expect(collected.text.startsWith("€".repeat(20))).toBe(true);
    expect(collected.text.endsWith(`\n\n${"€".repeat(13)}`)).toBe(true);
  });

  test("an interrupted attempt's file is replaced", async () => {
    const { sandbox, files } = memoryFiles();
    files.set(".holdfast/outputs/call_1.txt", Buffer.from("old"));
    await limitText("y".repeat(300), async () => sandbox, PATH, limits);
    expect(files.get(".holdfast/outputs/call_1.txt")?.toString()).toBe("y".repeat(300));
  });

  test("memory stays bounded over a large output", async () => {
    const { sandbox } = memoryFiles({ keep: false });
    const collector = outputCollector(sandbox, PATH);
    const bytes = Buffer.from("a line of output that repeats\n".repeat(2000));
    const before = memoryInUse();
    for (let i = 0; i < 1000; i++) await collector.push({ stream: "stdout", bytes });
    const grown = memoryInUse() - before;
    expect((await collector.finish()).bytes).toBe(60_000_000);
    expect(grown).toBeLessThan(30_000_000);
  });
});

test.each([
  ["call_abc-1", ".holdfast/outputs/call_abc-1.txt"],
  ["../../etc/passwd", /^\.holdfast\/outputs\/[0-9a-f]{32}\.txt$/],
  ["", /^\.holdfast\/outputs\/[0-9a-f]{32}\.txt$/],
])("the output of call %j has a harmless file name", (callId, expected) => {
  expect(outputPath(callId)).toMatch(expected);
});

/** Bytes, after a collection. */
function memoryInUse(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function memoryFiles({ keep = true } = {}) {
  const files = new Map<string, Buffer>();
  const sandbox = {
    async writeFile(path: string, content: Uint8Array, options?: { readonly append?: boolean }) {
      const old = options?.append ? (files.get(path) ?? Buffer.alloc(0)) : Buffer.alloc(0);
      files.set(path, keep ? Buffer.concat([old, content]) : Buffer.alloc(0));
    },
  };
  return { sandbox, files };
}
