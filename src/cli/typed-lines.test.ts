import { PassThrough } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { readTypedLines } from "./typed-lines.ts";

function keyboard() {
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (raw: boolean) => modes.push(raw),
  });
  const modes: boolean[] = [];
  const lines: string[] = [];
  const changes: string[] = [];
  let interruptions = 0;
  const typed = readTypedLines(
    { stdin, interrupt: () => void interruptions++ },
    { change: (line) => changes.push(line), line: (line) => lines.push(line) },
  );
  return {
    typed,
    modes,
    lines,
    changes,
    interruptions: () => interruptions,
    async type(keys: string) {
      stdin.write(keys);
      await setImmediate();
      await setImmediate();
    },
  };
}

test("tells of a line as it grows, then of the whole", async () => {
  const { type, lines, changes } = keyboard();
  await type("hé\r");
  expect(changes).toEqual(["h", "hé", ""]);
  expect(lines).toEqual(["hé"]);
});

test("takes back a character, a word, a line; lines that say nothing are none", async () => {
  const { type, lines, changes } = keyboard();
  await type("ab\u007fc two\u0017\u0017x\u0015\r  \r");
  expect(changes).toEqual([
    "a",
    "ab",
    "a",
    "ac",
    "ac ",
    "ac t",
    "ac tw",
    "ac two",
    "ac ",
    "",
    "x",
    "",
    " ",
    "  ",
    "",
  ]);
  expect(lines).toEqual([]);
});

test("keys that are no text are no text, and Ctrl-C interrupts", async () => {
  const { type, lines, interruptions } = keyboard();
  await type("a\u001b[A\u001b[D\tb\u0003\r");
  expect(lines).toEqual(["ab"]);
  expect(interruptions()).toBe(1);
});

test("several lines at once are several lines", async () => {
  const { type, lines } = keyboard();
  await type("one\rtwo\rthree");
  expect(lines).toEqual(["one", "two"]);
});

test("leaves the keyboard to others and comes back to the line that was begun", async () => {
  const { typed, type, lines, modes } = keyboard();
  await type("be");
  typed.pause();
  expect(modes).toEqual([true, false]);
  typed.resume();
  await type("gun\r");
  expect(lines).toEqual(["begun"]);
  typed[Symbol.dispose]();
  typed[Symbol.dispose]();
  expect(modes).toEqual([true, false, true, false]);
});
