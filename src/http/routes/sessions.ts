import { z } from "zod";
import type { AgentRegistry } from "../../agents/registry.ts";
import { AppError } from "../../lib/errors.ts";
import type { HttpDeps } from "../deps.ts";
import { idempotencyKeyHeader, idempotencyKeyOf, replayedHeader } from "../headers.ts";
import { defineRoute, type Route } from "../route.ts";
import {
  createSessionSchema,
  deletionQuerySchema,
  sessionIdSchema,
  sessionListSchema,
  sessionQuerySchema,
  sessionSchema,
  stoppedSchema,
  stopSchema,
} from "../schemas.ts";
import { nextSessionCursor, readSessionCursor } from "../session-cursor.ts";

export const sessionParams = z.object({ sessionId: sessionIdSchema });

export function sessionRoutes({ sessions, agents }: HttpDeps): readonly Route[] {
  return [
    defineRoute({
      method: "post",
      path: "/v1/sessions",
      operationId: "createSession",
      startsWork: true,
      summary: "Create a session",
      headers: [idempotencyKeyHeader],
      body: createSessionSchema,
      optionalBody: true,
      responses: {
        200: {
          description: "It existed: the key was used before.",
          content: { "application/json": sessionSchema },
        },
        201: { description: "Created.", content: { "application/json": sessionSchema } },
      },
      async handle({ body }, c) {
        const idempotencyKey = idempotencyKeyOf(c);
        const { session, created } = await sessions.create({
          ...body,
          agent: body.agent ?? onlyAgent(agents),
          ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        });
        const location = `/v1/sessions/${encodeURIComponent(session.id)}`;
        return c.json(session, created ? 201 : 200, { location, ...(created ? {} : replayedHeader) });
      },
    }),

    defineRoute({
      method: "get",
      path: "/v1/sessions",
      operationId: "listSessions",
      summary: "Sessions, newest change first",
      query: sessionQuerySchema,
      responses: { 200: { description: "A page.", content: { "application/json": sessionListSchema } } },
      async handle({ query }, c) {
        const { after, ...filter } = query;
        const position = after === undefined ? {} : { after: readSessionCursor(after) };
        const page = await sessions.list({ ...filter, ...position });
        return c.json({ sessions: page, next: nextSessionCursor(page, query.limit) });
      },
    }),

    defineRoute({
      method: "get",
      path: "/v1/sessions/{sessionId}",
      operationId: "getSession",
      summary: "One session: its state, use of tokens and cost",
      params: sessionParams,
      responses: { 200: { description: "The session.", content: { "application/json": sessionSchema } } },
      handle: async ({ params }, c) => c.json(await sessions.get(params.sessionId)),
    }),

    defineRoute({
      method: "delete",
      path: "/v1/sessions/{sessionId}",
      operationId: "deleteSession",
      summary: "Delete a session for good: its log, its sandbox and its workspace",
      description:
        "A session that has work is a 409: stop it first. Sessions that were forked from it keep the history that they share.",
      params: sessionParams,
      query: deletionQuerySchema,
      responses: { 204: { description: "It is gone." } },
      async handle({ params, query }, c) {
        await sessions.delete(params.sessionId, { onlyUnused: query.onlyUnused === "true" });
        return c.body(null, 204);
      },
    }),

    defineRoute({
      method: "post",
      path: "/v1/sessions/{sessionId}/stop",
      operationId: "stopSession",
      summary: "End the current run: model request, commands, timers",
      params: sessionParams,
      body: stopSchema,
      optionalBody: true,
      responses: {
        200: { description: "The log says how it ended.", content: { "application/json": stoppedSchema } },
      },
      handle: async ({ params, body }, c) => c.json(await sessions.stop(params.sessionId, body.reason)),
    }),
  ];
}

/** The agent for a caller who does not name one. @throws AppError `invalid_input` when there is more than one. */
export function onlyAgent(agents: AgentRegistry): string {
  const [first, ...others] = agents.list();
  if (first !== undefined && others.length === 0) return first.name;
  const names = agents.list().map(({ name }) => name);
  throw new AppError("invalid_input", "agent: missing; more than one agent is served here", {
    hint: `Name one of: ${names.join(", ") || "none is served"}.`,
    details: { agents: names },
  });
}
