import { expect, test } from "vitest";
import { callOutput } from "./call-output.ts";

const limits = { head: 2, tail: 2 };

function play(pieces: readonly string[]): { now: string[]; end: readonly string[] } {
  const output = callOutput(limits);
  return { now: pieces.flatMap((piece) => output.add("stdout", piece)), end: output.end() };
}

test.each([
  ["lines as they are complete", ["a\nb", "c\n"], ["a", "bc"], []],
  ["an unfinished line at the end", ["a\nb"], ["a"], ["b"]],
  ["the last state of a line that overwrites itself", ["1%\r50%\r100%\n"], ["100%"], []],
  ["a line with the line break of other systems", ["a\r\nb\r\n"], ["a", "b"], []],
  ["a return at the end of a piece", ["a\r", "\nb\r", "c\n"], ["a", "c"], []],
  ["beginning and end of much", ["1\n2\n3\n4\n5\n6\n"], ["1", "2"], ["… 2 more lines …", "5", "6"]],
  ["all of what is a little more", ["1\n2\n3\n4\n"], ["1", "2"], ["3", "4"]],
])("%s", (_name, pieces, now, end) => expect(play(pieces)).toEqual({ now, end }));

test("a line without end does not fill memory", () => {
  const output = callOutput(limits);
  for (let i = 0; i < 100; i++) output.add("stdout", "x".repeat(1_000));
  expect(output.end()[0]?.length).toBeLessThan(5_000);
});

test("the two streams do not break each other's lines", () => {
  const output = callOutput(limits);
  expect(output.add("stdout", "out ")).toEqual([]);
  expect(output.add("stderr", "err\n")).toEqual(["err"]);
  expect(output.add("stdout", "put\n")).toEqual(["out put"]);
});
