import { AppError } from "../lib/errors.ts";
import { nearest } from "../lib/json.ts";
import type { Agent } from "./agent.ts";

/** The agents that this process serves, by name. */
export interface AgentRegistry {
  /** @throws AppError `not_found`, naming the nearest agent. */
  get(name: string): Agent;
  list(): readonly Agent[];
}

/** @throws AppError `invalid_config` when two agents have one name. */
export function createAgentRegistry(agents: readonly Agent[]): AgentRegistry {
  const byName = new Map<string, Agent>();
  for (const agent of agents) {
    if (byName.has(agent.name)) {
      throw new AppError("invalid_config", `two agents are named "${agent.name}"`, {
        hint: "Give each agent its own name in its harness.json.",
      });
    }
    byName.set(agent.name, agent);
  }
  return {
    list: () => agents,
    get(name) {
      const agent = byName.get(name);
      if (agent !== undefined) return agent;
      const names = [...byName.keys()];
      const near = nearest(name, names);
      throw new AppError("not_found", `no agent is named "${name}"`, {
        hint: near === undefined ? `Served here: ${names.join(", ") || "none"}.` : `Did you mean "${near}"?`,
      });
    },
  };
}
