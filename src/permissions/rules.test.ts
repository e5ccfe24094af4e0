import { expect, test } from "vitest";
import { matchesPattern, policyFromRules } from "./rules.ts";

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

test.each([
  { deny: [], allow: ["*"], name: "shell", type: "allow" },
  { deny: ["shell"], allow: ["*"], name: "shell", type: "deny" },
  { deny: ["sh*"], allow: ["shell"], name: "shell", type: "deny" },
  { deny: ["shell"], allow: ["*"], name: "read", type: "allow" },
  { deny: [], allow: ["read", "grep"], name: "shell", type: "deny" },
  { deny: [], allow: [], name: "read", type: "deny" },
])("deny $deny, allow $allow: $name is $type", ({ deny, allow, name, type }) => {
  const decision = policyFromRules({ deny, allow })({ name, input: {}, effect: "once" });
  expect(decision.type).toBe(type);
});

test("the reason names the rule and says what to do instead", () => {
  const decide = policyFromRules({ deny: ["sh*"], allow: ["*"] });
  expect(decide({ name: "shell", input: {}, effect: "once" })).toEqual({
    type: "deny",
    reason:
      'The tool "shell" may not be called: the rule "deny: sh*" of this agent forbids it. Do not try it again; use another tool, or say what you cannot do.',
  });
});
