import { expect, test } from "vitest";
import { isIgnored, MAX_RULES, parseIgnoreFile } from "./gitignore.ts";

/** As `git check-ignore` says, for a path none of whose directories is ignored; a path with a slash at its end is a directory. */
test.each<readonly [rules: string, ignored: readonly string[], not: readonly string[]]>([
  ["", [], ["a"]],
  ["# comment\n\n", [], ["# comment", "comment"]],
  ["\\#x\n\\!y", ["#x", "!y"], ["x", "y"]],
  ["a", ["a", "a/", "b/a", "b/c/a/"], ["ab", "ba"]],
  ["/a", ["a"], ["b/a"]],
  ["a/b", ["a/b"], ["x/a/b", "a", "b"]],
  ["a/", ["a/", "b/a/"], ["a", "b/a"]],
  ["*.log", ["x.log", ".log", "a/x.log"], ["x.logs", "log"]],
  ["*.log\n!keep.log", ["x.log"], ["keep.log", "a/keep.log"]],
  ["!keep.log\n*.log", ["keep.log"], []],
  ["a*b*c", ["abc", "axxbxxc", "abbcc"], ["acb", "ab"]],
  ["?at", ["cat", "bat"], ["at", "chat"]],
  ["[a-c]x[!0-9]", ["axy", "cxz"], ["dxy", "ax1", "ax"]],
  ["[]]x", ["]x"], ["[x"]],
  ["[[:digit:]]*", ["1", "23a"], ["a1"]],
  ["[abc", [], ["a", "[abc"]],
  ["\\*", ["*"], ["a"]],
  ["**/x", ["x", "a/x", "a/b/x"], ["ax"]],
  ["a/**", ["a/b", "a/b/c"], ["a/", "b/a"]],
  ["a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "x/a/b"]],
  ["a/*", ["a/b", "a/b/"], ["a/b/c", "a"]],
  ["a**b", ["ab", "axb"], ["a/b"]],
  ["x  ", ["x"], ["x  "]],
  ["x\\ ", ["x "], ["x"]],
  ["x\r\ny\r\n", ["x", "y"], ["x\r"]],
  ["/", [], ["a"]],
])("%j", (text, ignored, not) => {
  const file = parseIgnoreFile(text, 0);
  const found = (path: string) =>
    isIgnored(path.replace(/\/$/, "").split("/"), path.endsWith("/"), file === undefined ? [] : [file]);
  expect(ignored.filter((path) => !found(path))).toEqual([]);
  expect(not.filter(found)).toEqual([]);
});

test("rules of a deeper folder come before those above it, and are about what is below it", () => {
  const files = [parseIgnoreFile("*.log\n/b", 0), parseIgnoreFile("!a.log\n/c", 1)].flatMap(
    (file) => file ?? [],
  );
  const found = (path: string) => isIgnored(path.split("/"), false, files);
  expect(["sub/b.log", "sub/c"].every(found)).toBe(true);
  expect(["sub/a.log", "sub/b", "sub/d/c"].some(found)).toBe(false);
});

test("rules that are made to take for ever do not", () => {
  const file = parseIgnoreFile(`${"*a".repeat(100)}b\n${"**/a/".repeat(100)}b`, 0);
  const path = Array.from({ length: 60 }, () => "a".repeat(60));
  expect(isIgnored([...path, "a".repeat(255)], false, file === undefined ? [] : [file])).toBe(false);
});

test("a file with more rules than anybody writes is not heeded", () => {
  expect(parseIgnoreFile("x\n".repeat(MAX_RULES), 0)?.rules).toHaveLength(MAX_RULES);
  expect(parseIgnoreFile("x\n".repeat(MAX_RULES + 1), 0)).toBeUndefined();
});
