import type { Policy } from "./policy.ts";

export interface ToolRules {
  /** Patterns of tool names; `*` stands for any characters. Stronger than `allow`. */
  readonly deny: readonly string[];
  readonly allow: readonly string[];
}

/** A call runs when no pattern denies its tool and at least one allows it. */
export function policyFromRules({ deny, allow }: ToolRules): Policy {
  return ({ name }) => {
    const denied = deny.find((pattern) => matchesPattern(name, pattern));
    if (denied !== undefined) {
      return refuse(name, `the rule "deny: ${denied}" of this agent forbids it`);
    }
    if (!allow.some((pattern) => matchesPattern(name, pattern))) {
      return refuse(name, "it is not among the tools that this agent is allowed to call");
    }
    return { type: "allow" };
  };
}

export function matchesPattern(name: string, pattern: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

function refuse(name: string, why: string): ReturnType<Policy> {
  return {
    type: "deny",
    reason: `The tool "${name}" may not be called: ${why}. Do not try it again; use another tool, or say what you cannot do.`,
  };
}
