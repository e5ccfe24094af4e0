import { z } from "zod";
import {
  modeAnswerSchema,
  modeSchema,
  newRuleSchema,
  ruleListSchema,
  ruleQuerySchema,
  ruleSchema,
  sessionPermissionsSchema,
} from "../answer-schemas.ts";
import { actorOf, changerOf } from "../caller.ts";
import type { HttpDeps } from "../deps.ts";
import { explanationSchema } from "../explain-schemas.ts";
import { type Call, defineRoute, type Route } from "../route.ts";
import { sessionParams } from "./sessions.ts";

const callParams = sessionParams.extend({ callId: z.string().min(1).max(256) });
const agentParams = z.object({ agent: z.string().min(1).max(64) });

export function permissionRoutes({ sessions, agents }: HttpDeps): readonly Route[] {
  async function changer(c: Call, sessionId: string, claimed: string | undefined) {
    const session = await sessions.get(sessionId);
    return changerOf(
      c,
      claimed,
      agents.list().find(({ name }) => name === session.agent),
    );
  }

  return [
    defineRoute({
      method: "get",
      path: "/v1/sessions/{sessionId}/permissions",
      operationId: "getPermissions",
      summary: "The mode of a session, and the rules that people have made for it",
      params: sessionParams,
      responses: {
        200: { description: "Now.", content: { "application/json": sessionPermissionsSchema } },
      },
      handle: async ({ params }, c) => c.json(await sessions.permissions(params.sessionId)),
    }),

    defineRoute({
      method: "get",
      path: "/v1/sessions/{sessionId}/calls/{callId}/permission",
      operationId: "explainCall",
      summary: "Why a call might start, or might not: then and now, layer by layer",
      params: callParams,
      responses: { 200: { description: "By layer.", content: { "application/json": explanationSchema } } },
      handle: async ({ params }, c) => c.json(await sessions.explain(params.sessionId, params.callId)),
    }),

    defineRoute({
      method: "put",
      path: "/v1/sessions/{sessionId}/mode",
      operationId: "setMode",
      summary: "Switch a session to another mode",
      description:
        "A run that is under way sees it before its next call. `bypass` is a 403 unless the server allows it.",
      params: sessionParams,
      body: modeSchema,
      responses: { 200: { description: "Durable.", content: { "application/json": modeAnswerSchema } } },
      async handle({ params, body: { mode, actor } }, c) {
        await sessions.setMode(params.sessionId, mode, await changer(c, params.sessionId, actor));
        return c.json({ mode });
      },
    }),

    defineRoute({
      method: "post",
      path: "/v1/sessions/{sessionId}/rules",
      operationId: "addRule",
      summary: "One more rule, for the session or for all sessions of its agent",
      description: "For all sessions of an agent: 403 for tenants.",
      params: sessionParams,
      body: newRuleSchema,
      responses: { 201: { description: "Durable.", content: { "application/json": ruleSchema } } },
      async handle({ params, body: { actor, ...rule } }, c) {
        await sessions.addRule(params.sessionId, rule, await changer(c, params.sessionId, actor));
        return c.json(rule, 201);
      },
    }),

    defineRoute({
      method: "get",
      path: "/v1/agents/{agent}/rules",
      operationId: "listAgentRules",
      summary: "The rules that people have made for all sessions of an agent",
      description: 'By answering "always", or with `holdfast`. Not for tenants: 403.',
      params: agentParams,
      responses: {
        200: {
          description: "In the order in which they were made.",
          content: { "application/json": ruleListSchema },
        },
      },
      handle: async ({ params }, c) => c.json({ rules: await sessions.agentRules(params.agent) }),
    }),

    defineRoute({
      method: "delete",
      path: "/v1/agents/{agent}/rules",
      operationId: "removeAgentRule",
      summary: "Take back a rule that people have made for all sessions of an agent",
      description: "Not for tenants: 403.",
      params: agentParams,
      query: ruleQuerySchema,
      responses: { 204: { description: "It is gone." } },
      async handle({ params, query }, c) {
        await sessions.removeAgentRule(params.agent, query, actorOf(c, undefined));
        return c.body(null, 204);
      },
    }),
  ];
}
