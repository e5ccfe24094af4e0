import { expect, test } from "vitest";
import { matchesPattern } from "./match.ts";

test.each([
  ["shell", "shell", true],
  ["shell", "shel", false],
  ["shell", "*", true],
  ["write_file", "write_*", true],
  ["write", "write_*", false],
  ["file_write", "*_write", true],
  ["a_b_c", "a*c", true],
  ["a_b_c", "a*b*c", true],
  ["a_c", "a*b*c", false],
  ["aba", "ab*ba", false],
  ["ab", "ab*", true],
  ["shell", "", false],
])("%j matches %j: %j", (name, pattern, expected) => {
  expect(matchesPattern(name, pattern)).toBe(expected);
});
