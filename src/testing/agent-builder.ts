import type { Agent } from "../agents/agent.ts";
import type { Policy } from "../permissions/policy.ts";
import { snapshotLimits } from "../snapshots/snapshot.ts";
import { builtinTools } from "../tools/builtin/builtin.ts";
import type { Tool } from "../tools/tool.ts";

const plain: Agent = {
  name: "tester",
  description: "",
  systemPrompt: "You are tested.",
  model: { id: "scripted/tester", fallback: [], cacheLifetime: "5m" },
  tools: new Map(),
  policy: deciding("allow"),
  permissions: {
    mode: "default",
    mayBypass: false,
    own: { mode: "default", deny: [], ask: [], allow: [], breakpoints: [] },
    users: new Map(),
    ruleNames: [],
    fingerprint: "plain",
    classifier: { model: null, timeoutMs: 15_000 },
  },
  approvals: {
    expiresAfterMs: null,
    onExpire: "deny",
    escalateTo: [],
    remindAfterMs: [],
    abandonAfterMs: 7 * 86_400_000,
    approvers: [],
    excludeRequester: false,
    quorum: 1,
    unknownOutcome: "tell",
    webhook: null,
  },
  hooks: [],
  context: { compactAt: null, maxTools: 64, maxToolTokens: 20_000 },
  delivery: "steer",
  limits: {
    turns: 50,
    durationMs: 60_000,
    parallelCalls: 10,
    costUsd: null,
    sessionCostUsd: null,
    dailyCostUsd: null,
    runs: null,
    sessionsPerMinute: null,
  },
  sandbox: { isolation: "none", limits: { memoryBytes: 0, processes: 0, fileSizeBytes: 0, cpus: 1 } },
  snapshots: { enabled: false, limits: snapshotLimits },
  retention: { abandonedMs: null, idleMs: null },
  workspaceTemplate: null,
};

/** A policy that says the same of every call, or of those of the tools that are named; `allow` of others. */
export function deciding(
  type: ReturnType<Policy>["type"],
  { reason = "", tools }: { readonly reason?: string; readonly tools?: readonly string[] } = {},
): Policy {
  return ({ name }) => ({
    type: tools === undefined || tools.includes(name) ? type : "allow",
    permission: { layer: "rules", by: `${type}: ${name}` },
    risk: { reversibility: "hard", reach: "outside", why: [] },
    reason,
  });
}

/** An agent with the built-in tools and these, for tests of decisions. */
export function agentWith(own: readonly Tool[] = [], changes: Partial<Agent> = {}): Agent {
  const tools = new Map([...builtinTools(), ...own].map((tool) => [tool.name, tool]));
  return { ...plain, tools, ...changes };
}
