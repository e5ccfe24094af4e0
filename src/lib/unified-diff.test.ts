import { describe, expect, test } from "vitest";
import { unifiedDiff } from "./unified-diff.ts";

describe("a unified diff", () => {
  test("shows three lines around each change", () => {
    const before = "1\n2\n3\n4\n5\n6\n7\n8\n";
    expect(unifiedDiff("src/a.txt", before, before.replace("5", "five"))).toBe(
      "--- a/src/a.txt\n+++ b/src/a.txt\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n",
    );
  });

  test.each([
    ["a new file", null, "x\n", "--- /dev/null\n+++ b/f\n@@ -0,0 +1,1 @@\n+x\n"],
    ["a deleted file", "x\n", null, "--- a/f\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n"],
    [
      "a last line without its end",
      "x",
      "x\n",
      "--- a/f\n+++ b/f\n@@ -1,1 +1,1 @@\n-x\n\\ No newline at end of file\n+x\n",
    ],
  ])("%s", (_, before, after, expected) => {
    expect(unifiedDiff("f", before, after)).toBe(expected);
  });

  test.each([
    ["the same text", "x\n", "x\n"],
    ["no file before and after", null, null],
  ])("is empty for %s", (_, before, after) => {
    expect(unifiedDiff("f", before, after)).toBe("");
  });

  test("of texts that have nothing in common shows one removed and one added", () => {
    const numbered = (word: string) => Array.from({ length: 3_000 }, (_, i) => `${word} ${i}\n`).join("");
    const diff = unifiedDiff("f", numbered("old"), `${numbered("new")}end`);
    const lines = diff.split("\n");
    expect(lines.slice(0, 4)).toEqual(["--- a/f", "+++ b/f", "@@ -1,3000 +1,3001 @@", "-old 0"]);
    expect(lines.slice(-4)).toEqual(["+new 2999", "+end", "\\ No newline at end of file", ""]);
    expect(lines).toHaveLength(3 + 3_000 + 3_001 + 2);
  });
});
