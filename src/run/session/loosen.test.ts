import { describe, expect, test } from "vitest";
import type { Agent, AgentApprovals } from "../../agents/agent.ts";
import type { PermissionMode } from "../../log/entry.ts";
import { agentWith as agentOf } from "../../testing/agent-builder.ts";
import { checkLoosening } from "./loosen.ts";

function agentWith(approvals: Partial<AgentApprovals>, mode: PermissionMode = "default"): Agent {
  const agent = agentOf();
  return {
    ...agent,
    approvals: { ...agent.approvals, ...approvals },
    permissions: { ...agent.permissions, mode },
  };
}

const ofAda = agentWith({ approvers: ["ada"] });
const allow = { scope: "session", list: "allow", rule: "*" } as const;
const ada = { actor: "ada", tenant: "acme" };
const bob = { actor: "bob", tenant: "acme" };
const operator = { actor: undefined, tenant: undefined };

function outcome(...args: Parameters<typeof checkLoosening>): string {
  try {
    checkLoosening(...args);
    return "may";
  } catch {
    return "may not";
  }
}

describe("where it matters who approves", () => {
  test.each([
    ["an approver", "auto", ofAda, ada, "may"],
    ["an approver allows", allow, ofAda, ada, "may"],
    ["somebody else", "acceptEdits", ofAda, bob, "may not"],
    ["somebody else", "auto", ofAda, bob, "may not"],
    ["somebody else", "bypass", ofAda, bob, "may not"],
    ["somebody else allows", allow, ofAda, bob, "may not"],
    ["somebody else denies", { ...allow, list: "deny" }, ofAda, bob, "may"],
    ["somebody else has it asked", { ...allow, list: "ask" }, ofAda, bob, "may"],
    ["somebody else", "plan", ofAda, bob, "may"],
    ["somebody else", "dontAsk", ofAda, bob, "may"],
    ["somebody else", "default", ofAda, bob, "may"],
    [
      "somebody else, back to the agent's own,",
      "auto",
      agentWith({ approvers: ["ada"] }, "auto"),
      bob,
      "may",
    ],
    ["a tenant", "auto", ofAda, { actor: "acme", tenant: "acme" }, "may not"],
    [
      "a tenant that is an approver",
      "auto",
      agentWith({ approvers: ["acme"] }),
      { actor: "acme", tenant: "acme" },
      "may",
    ],
    ["nobody in particular of a tenant", "auto", ofAda, { actor: undefined, tenant: "acme" }, "may not"],
    ["whoever runs the server", "auto", ofAda, operator, "may"],
    ["whoever runs the server allows", allow, ofAda, operator, "may"],
    [
      "one of several who have to",
      "auto",
      agentWith({ approvers: ["ada", "eve"], quorum: 2 }),
      ada,
      "may not",
    ],
    ["anybody where requesters may not", "auto", agentWith({ excludeRequester: true }), ada, "may not"],
    ["whoever runs the server where several have to", allow, agentWith({ quorum: 2 }), operator, "may"],
  ] as const)("%s: %o", (_, change, agent, who, expected) => {
    expect(outcome(change, agent, who)).toBe(expected);
  });
});

test("where anybody may approve, anybody may have less asked", () => {
  expect(outcome("auto", agentWith({}), bob)).toBe("may");
  expect(outcome(allow, agentWith({}), bob)).toBe("may");
  expect(outcome(allow, undefined, bob)).toBe("may");
});
