import { describe, expect, test } from "vitest";
import { formatBytes, liveText, textCleaner } from "./clean-text.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function clean(bytes: Uint8Array, cuts: readonly number[] = []): string {
  const cleaner = textCleaner();
  let text = "";
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    text += cleaner.push(bytes.subarray(from, cut));
    from = cut;
  }
  return text + cleaner.end();
}

const join = (...parts: (string | readonly number[])[]): Uint8Array =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? utf8(part) : Uint8Array.from(part))));

const table: readonly (readonly [name: string, input: Uint8Array, expected: string])[] = [
  ["plain text stays", utf8("one\ntwo\n"), "one\ntwo\n"],
  ["an unfinished line stays", utf8("one\ntwo"), "one\ntwo"],
  ["multi-byte characters stay", utf8("ä 日本 🎉\n"), "ä 日本 🎉\n"],
  ["colours go", utf8("\x1b[1;31mred\x1b[0m\n"), "red\n"],
  ["256 colours go", utf8("\x1b[38;5;196mred\x1b[m\n"), "red\n"],
  ["cursor movement goes", utf8("a\x1b[2K\x1b[1Gb\x1b[?25l\n"), "ab\n"],
  ["titles go, ended by BEL", utf8("\x1b]0;title\x07text\n"), "text\n"],
  ["links go, ended by ST", utf8("\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\\n"), "text\n"],
  ["character set choices go", utf8("\x1b(Btext\x1b=\n"), "text\n"],
  ["a title that never ends costs its line only", utf8("\x1b]0;title\nnext\n"), "\nnext\n"],
  ["8-bit control characters go", utf8("\u009b31mred\u009b0m\n"), "red\n"],
  ["bells and other controls go", utf8("a\x07b\x0cc\x7f\n"), "abc\n"],
  ["tabs stay", utf8("a\tb\n"), "a\tb\n"],
  ["overstrikes are resolved", utf8("N\bNA\bAME _\bx\n"), "NAME x\n"],
  ["Windows line ends become newlines", utf8("a\r\nb\r\n"), "a\nb\n"],
  ["progress shows its last state", utf8("10%\r50%\r100%\ndone\n"), "100%\ndone\n"],
  ["progress without an end shows its last state", utf8("10%\r50%"), "50%"],
  ["progress that ends with a return", utf8("10%\r100%\r\n"), "100%\n"],
  ["an invalid byte is shown", join("caf", [0xe9], " au lait\n"), "caf\\xE9 au lait\n"],
  [
    "an overlong encoding is invalid",
    join("slash: ", [0xc0, 0xaf], " is two bytes\n"),
    "slash: \\xC0\\xAF is two bytes\n",
  ],
  ["a cut character at the end is shown", join("price: 5 ", [0xe2, 0x82]), "price: 5 \\xE2\\x82"],
  [
    "binary data is described",
    join("before\n", [0, 1, 2, 3, 10], "after\n"),
    "before\n[binary data: 5 bytes]\nafter\n",
  ],
  [
    "binary lines are described together",
    join([0, 255, 10], "a\n", [0, 254, 10], "\n", [0]),
    "[binary data: 10 bytes]\n",
  ],
  ["short text after binary data is kept", join([0, 255, 10], "ok\n"), "[binary data: 3 bytes]\nok\n"],
  ["mostly invalid is binary", join([0xff, 0xfe, 0xfd], "ab\n"), "[binary data: 6 bytes]\n"],
  ["a very long line is whole", utf8(`${"ä".repeat(20_000)}\n`), `${"ä".repeat(20_000)}\n`],
  ["a very long line with colours", utf8(`${"\x1b[1mxy\x1b[0m".repeat(5000)}\n`), `${"xy".repeat(5000)}\n`],
  ["endless progress", utf8(`${"working...\r".repeat(5000)}done\n`), "done\n"],
  ["a long line with a Windows end at the limit", utf8(`${"x".repeat(8191)}\r\n`), `${"x".repeat(8191)}\n`],
  ["nothing", utf8(""), ""],
];

describe("textCleaner", () => {
  test.each(table)("%s", (_name, input, expected) => {
    expect(clean(input)).toBe(expected);
  });

  test.each(table)("%s, a byte at a time", (_name, input, expected) => {
    const cuts = Array.from({ length: input.length }, (_, i) => i);
    expect(clean(input, input.length > 1000 ? cuts.filter((i) => i % 7 === 0) : cuts)).toBe(expected);
  });

  test("the same bytes give the same text, however they are cut", () => {
    const next = pseudoRandom(42);
    for (let round = 0; round < 300; round++) {
      const input = randomOutput(next);
      const cuts = Array.from({ length: next(8) }, () => next(input.length + 1)).sort((a, b) => a - b);
      expect(clean(input, cuts), `round ${round}, cuts ${cuts}`).toBe(clean(input));
    }
  });

  test("the text is free of control characters and valid", () => {
    const next = pseudoRandom(7);
    for (let round = 0; round < 200; round++) {
      const text = clean(randomOutput(next));
      expect(text).not.toMatch(/[\0-\x08\x0b-\x1f\x7f-\x9f]/);
      expect(text.isWellFormed()).toBe(true);
    }
  });
});

test("live text comes as it is printed, with its carriage returns", () => {
  const live = liveText();
  const euro = utf8("€");
  expect(live(utf8("10%\r"))).toBe("10%\r");
  expect(live(euro.subarray(0, 2))).toBe("");
  expect(live(euro.subarray(2))).toBe("€");
  expect(live(utf8("\x1b[3"))).toBe("");
  expect(live(utf8("1mred"))).toBe("red");
});

test.each([
  [0, "0 bytes"],
  [999, "999 bytes"],
  [1234, "1.2 KB"],
  [65_536, "66 KB"],
  [999_999, "1.0 MB"],
  [16_777_216, "17 MB"],
  [3_200_000_000, "3.2 GB"],
])("%d bytes are %s", (bytes, expected) => {
  expect(formatBytes(bytes)).toBe(expected);
});

/** A linear congruential generator: repeatable, and no randomness of the machine. */
function pseudoRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomOutput(next: (below: number) => number): Uint8Array {
  const pieces: readonly (string | readonly number[])[] = [
    "plain text ",
    "\n",
    "\r",
    "\r\n",
    "ä€🎉",
    "\x1b[31m",
    "\x1b]0;title\x07",
    "\x1b",
    "\b",
    [0xe9],
    [0xe2, 0x82],
    [0, 1, 2, 255],
    "x".repeat(3000),
    "\n",
    "ab\n",
  ];
  return join(...Array.from({ length: next(30) }, () => pieces[next(pieces.length)] ?? ""));
}
