import type { Agent } from "../../agents/agent.ts";
import type { HttpDeps } from "../deps.ts";
import { defineRoute, type Route } from "../route.ts";
import { type AgentSummary, agentListSchema } from "../schemas.ts";

export function agentRoutes({ agents }: HttpDeps): readonly Route[] {
  return [
    defineRoute({
      method: "get",
      path: "/v1/agents",
      operationId: "listAgents",
      summary: "The agents that are served here",
      responses: { 200: { description: "All of them.", content: { "application/json": agentListSchema } } },
      handle: async (_input, c) => c.json({ agents: agents.list().map(summarise) }),
    }),
  ];
}

function summarise(agent: Agent): AgentSummary {
  return {
    name: agent.name,
    description: agent.description,
    model: agent.model.id,
    tools: [...agent.tools.keys()],
    limits: { turns: agent.limits.turns, durationMs: agent.limits.durationMs },
  };
}
