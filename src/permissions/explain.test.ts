import { expect, test } from "vitest";
import { explainDecision } from "./explain.ts";
import type { OwnRules } from "./rules.ts";

const own: OwnRules = {
  mode: "default",
  deny: ["shell(rm *)"],
  ask: ["shell(git push *)"],
  allow: ["shell(npm test*)"],
  breakpoints: ["deploy"],
};
const shell = (command: string) => ({ name: "shell", input: { command }, effect: "reconcile" }) as const;

test("every layer is listed in order, with the rule for each command of a line", () => {
  const { decision, sayings, parts } = explainDecision(
    shell("npm test && ls | make > out.txt"),
    { mode: "default", rules: [] },
    own,
  );
  expect(decision.type).toBe("ask");
  expect(parts).toEqual([
    { text: "npm test", allowedBy: "allow: shell(npm test*) (harness.json)" },
    { text: "ls", allowedBy: "mode default" },
    { text: "make", allowedBy: null },
    { text: "> out.txt", allowedBy: null },
  ]);
  expect(sayings.map(({ layer, says, by }) => `${layer} ${says}: ${by}`)).toEqual([
    "rules nothing: deny rules",
    "rules nothing: breakpoint rules",
    "mode nothing: mode default",
    "rules nothing: ask rules",
    "rules allow: allow: shell(npm test*) (harness.json)",
    "rules nothing: allow rules",
    "rules nothing: allow rules",
    "mode ask: mode default",
  ]);
});

test("what is forbidden, asked and allowed at once shows all three, and who has decided", () => {
  const set = { source: "user alice", deny: [], ask: [], allow: ["*"] };
  const { decision, sayings } = explainDecision(
    shell("git push x; rm y"),
    { mode: "plan", rules: [set] },
    own,
  );
  expect(decision.permission.by).toBe("deny: shell(rm *) (harness.json)");
  expect(sayings.map(({ says, by }) => `${says}: ${by}`)).toEqual([
    "deny: deny: shell(rm *) (harness.json)",
    "nothing: breakpoint rules",
    "deny: mode plan",
    "ask: ask: shell(git push *) (harness.json)",
    "allow: allow: * (user alice)",
    "nothing: mode plan",
  ]);
});

test("it says why a line that hides something cannot be allowed", () => {
  const { sayings } = explainDecision(shell("npm test; $x"), { mode: "default", rules: [] }, own);
  expect(sayings.map(({ reason }) => reason)).toContain(
    "none can count: the name of a command is only known when it runs",
  );
});
