import type { Agent } from "../agents/agent.ts";
import { builtinTools } from "../tools/builtin/builtin.ts";
import type { Tool } from "../tools/tool.ts";

const plain: Agent = {
  name: "tester",
  description: "",
  systemPrompt: "You are tested.",
  model: { id: "scripted/tester", fallback: [], cacheLifetime: "5m" },
  tools: new Map(),
  policy: () => ({ type: "allow" }),
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
  workspaceTemplate: null,
};

/** An agent with the built-in tools and these, for tests of decisions. */
export function agentWith(own: readonly Tool[] = [], changes: Partial<Agent> = {}): Agent {
  const tools = new Map([...builtinTools(), ...own].map((tool) => [tool.name, tool]));
  return { ...plain, tools, ...changes };
}
