import { expect, test } from "vitest";
import { cut, oneLine, plain, plainStream, withVisibleControls } from "./plain.ts";

test.each([
  ["colours", "\u001b[31mred\u001b[0m", "red"],
  ["the window's title", "\u001b]0;owned\u0007text", "text"],
  ["cursor movement", "a\u001b[2J\u001b[1;1Hb", "ab"],
  ["links", "\u001b]8;;http://x\u001b\\here\u001b]8;;\u001b\\", "here"],
  ["the 8-bit form", "\u009b31mred", "red"],
  ["bells", "a\u0007b", "ab"],
  ["carriage returns", "safe\rrm -rf", "safe\nrm -rf"],
  ["reversed reading", "a\u202eb\u2066c", "abc"],
])("%s are removed", (_name, text, expected) => expect(plain(text)).toBe(expected));

test("a stream cannot be made to read in another order either", () => {
  const clean = plainStream();
  expect(["report\u202e", "gnp.sh"].map(clean).join("")).toBe("reportgnp.sh");
});

test("a sequence that is cut into pieces is removed, a character that is cut is not", () => {
  const clean = plainStream();
  expect(["a\u001b", "[3", "1mb", "\ud83d", "\ude00c"].map(clean).join("")).toBe("ab\u{1f600}c");
});

test.each([
  ["ls", "ls"],
  ["  a\t b  ", "a b"],
  ["\n# first\nsecond\n\nthird\n", "# first … +2 lines"],
  ["a\nb", "a … +1 line"],
])("%j as one line", (text, expected) => expect(oneLine(text)).toBe(expected));

test.each([
  ["short", 10, "short"],
  ["exactly 10", 10, "exactly 10"],
  ["a bit too long", 10, "a bit too…"],
  ["日本語日本語", 7, "日本語…"],
  ["👍👍", 4, "👍👍"],
])("%j in %d columns", (text, width, expected) => expect(cut(text, width)).toBe(expected));

test("control characters that are quoted are seen, and nothing moves", () => {
  expect(withVisibleControls("a\u001b[31m\u0007\u009b\rb\r\n\t|")).toBe("a␛[31m␇\ufffd␍b\n\t|");
});
