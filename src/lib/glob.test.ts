import { expect, test } from "vitest";
import { globPattern } from "./glob.ts";

test.each([
  ["*.csv", "a.csv", true],
  ["*.csv", "deep/er/a.csv", true],
  ["*.csv", "a.csv.gz", false],
  ["./*.csv", "a.csv", true],
  ["src/*.ts", "src/a.ts", true],
  ["src/*.ts", "src/b/a.ts", false],
  ["src/*.ts", "other/src/a.ts", false],
  ["src/**/*.ts", "src/a.ts", true],
  ["src/**/*.ts", "src/b/c/a.ts", true],
  ["src/**", "src/b/c/a.ts", true],
  ["src/**", "source/a.ts", false],
  ["**/test_?.py", "x/test_1.py", true],
  ["**/test_?.py", "x/test_10.py", false],
  ["*.{png,svg}", "a/b.svg", true],
  ["*.{png,svg}", "b.gif", false],
  ["{a,b}/{c,d}.txt", "b/c.txt", true],
  ["[a-c]*.md", "b1.md", true],
  ["[!a-c]*.md", "b1.md", false],
  ["a+(b).txt", "a+(b).txt", true],
  ["a,b.txt", "a,b.txt", true],
  ["{open", "{open", true],
  ["[open", "[open", true],
  ["what\\?", "what?", true],
  ["what\\?", "whatx", false],
  ["日本*", "日本語.txt", true],
  ["?.txt", "🎉.txt", true],
])("%s on %s: %s", (pattern, path, expected) => {
  expect(globPattern(pattern).matches(path)).toBe(expected);
});

test("a directory that is named is searched", () => {
  expect(globPattern("node_modules/*/package.json").names("node_modules")).toBe(true);
  expect(globPattern("**/package.json").names("node_modules")).toBe(false);
});
