import { expect, test } from "vitest";
import { agentWith } from "../testing/agent-builder.ts";
import { permissionLine, ruleWarnings } from "./permission-notes.ts";

const none = { mode: "default", deny: [], ask: [], allow: [], breakpoints: [] } as const;
const plain = agentWith();

function withRules(own: Partial<typeof plain.permissions.own>, users: Readonly<Record<string, object>> = {}) {
  const sets = Object.entries(users).map(
    ([name, set]) => [name, { source: name, deny: [], ask: [], allow: [], ...set }] as const,
  );
  return agentWith([], {
    permissions: {
      ...plain.permissions,
      mode: own.mode ?? "default",
      own: { ...none, ...own },
      users: new Map(sets),
    },
  });
}

test.each([
  [{}, {}, "mode default, no rules"],
  [{ mode: "acceptEdits", allow: ["shell"] }, {}, "mode acceptEdits, 1 allow rule"],
  [
    { deny: ["a", "b"], ask: ["c"], breakpoints: ["d"] },
    { ada: {} },
    "mode default, 2 deny, 1 ask rules, 1 breakpoint, rules of 1 user",
  ],
] as const)("%j %j: %s", (own, users, line) => expect(permissionLine(withRules(own, users))).toBe(line));

test.each([
  [{ deny: ["shell(rm *)"], allow: ["shell", "write(src/**)"] }, []],
  [
    { deny: ["shell"], allow: ["shell(npm test)"] },
    ['permissions.allow: "shell(npm test)" never counts, because deny: "shell" is stronger'],
  ],
  [
    { deny: ["*"], ask: ["refund"] },
    ['permissions.ask: "refund" never counts, because deny: "*" is stronger'],
  ],
  [{ ask: ["refund(amount>50)"], allow: ["refund"] }, []],
  [
    { ask: ["refund"], allow: ["refund"] },
    ['permissions.allow: "refund" never counts, because ask: "refund" is stronger'],
  ],
  // The sandbox of the agents of tests is this machine.
  [{ mode: "bypass" }, [expect.stringContaining("refused in the sandbox none")]],
  [{ mode: "plan", allow: ["shell"] }, [expect.stringContaining("in the mode plan")]],
] as const)("%j warns of %j", (own, warnings) => expect(ruleWarnings(withRules(own))).toEqual(warnings));

test("rules of users are looked at, too", () => {
  const agent = withRules({}, { ada: { deny: ["write(*)"], allow: ["write(a)"] } });
  expect(ruleWarnings(agent)).toEqual([
    'permissions.users.ada.allow: "write(a)" never counts, because deny: "write(*)" is stronger',
  ]);
});
