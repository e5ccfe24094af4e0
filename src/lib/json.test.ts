import { expect, test } from "vitest";
import { nearest } from "./json.ts";

test.each<[word: string, candidates: readonly string[], expected: string | undefined]>([
  ["shel", ["read", "shell"], "shell"],
  ["SHELL", ["shell"], "shell"],
  ["tool_4242", ["tool_22", "tool_42"], "tool_42"],
  ["tool_4242", ["tool_42", "tool_22"], "tool_42"],
  // Further off, however long the common beginning.
  ["grepx", ["grepping", "crepx"], "crepx"],
  ["shell", ["refund"], undefined],
  ["ab", ["xyzab"], undefined],
])("nearest to %s of %j: %s", (word, candidates, expected) => {
  expect(nearest(word, candidates)).toBe(expected);
});
