import type { Agent } from "../agents/agent.ts";
import type { Tool } from "../tools/tool.ts";

/** An agent with nothing but some tools; it refuses the tool "forbidden". For tests of decisions. */
export function agentWith(tools: readonly Tool[], rest: Partial<Agent> = {}): Agent {
  return {
    name: "tester",
    description: "",
    systemPrompt: "",
    model: { id: "scripted", fallback: [], cacheLifetime: "5m" },
    hooks: [],
    context: { compactAt: null, maxTools: 64, maxToolTokens: 20_000 },
    delivery: "steer",
    tools: new Map(tools.map((tool) => [tool.name, tool])),
    policy: ({ name }) => (name === "forbidden" ? { type: "deny", reason: "not here" } : { type: "allow" }),
    limits: {
      turns: 3,
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
    ...rest,
  };
}
