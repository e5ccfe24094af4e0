import { withoutUndefined } from "../../lib/json.ts";
import { actorOf } from "../caller.ts";
import type { HttpDeps } from "../deps.ts";
import { idempotencyKeyHeader, idempotencyKeyOf, replayedHeader } from "../headers.ts";
import { defineRoute, type Route } from "../route.ts";
import { sessionIdSchema } from "../schemas.ts";
import {
  comparisonSchema,
  forkedSchema,
  forkSchema,
  rewindSchema,
  rewoundSchema,
  treeQuerySchema,
  treeSchema,
} from "../time-travel-schemas.ts";
import { messageOf, senderOf } from "./messages.ts";
import { sessionParams } from "./sessions.ts";

const pairParams = sessionParams.extend({ otherId: sessionIdSchema });

export function timeTravelRoutes(deps: HttpDeps): readonly Route[] {
  const { sessions } = deps;
  return [
    defineRoute({
      method: "get",
      path: "/v1/sessions/{sessionId}/tree",
      operationId: "getTree",
      summary: "The branches of a session, and its forks",
      params: sessionParams,
      query: treeQuerySchema,
      responses: { 200: { description: "The tree.", content: { "application/json": treeSchema } } },
      handle: async ({ params, query }, c) => c.json(await sessions.tree(params.sessionId, query)),
    }),

    defineRoute({
      method: "post",
      path: "/v1/sessions/{sessionId}/fork",
      operationId: "forkSession",
      startsWork: true,
      summary: "A new session that goes on from an entry of this one",
      description:
        "It shares the history up to that entry, and begins with the files as they were there. Where the session waited for a person there, the fork waits for an answer of its own.",
      headers: [idempotencyKeyHeader],
      params: sessionParams,
      body: forkSchema,
      optionalBody: true,
      responses: {
        200: {
          description: "It existed: the key was used before.",
          content: { "application/json": forkedSchema },
        },
        201: { description: "Created.", content: { "application/json": forkedSchema } },
      },
      async handle({ params, body }, c) {
        const { message, ...request } = body;
        const session = await sessions.get(params.sessionId);
        const { created, ...forked } = await sessions.fork(params.sessionId, {
          ...request,
          ...withoutUndefined({
            idempotencyKey: idempotencyKeyOf(c),
            message:
              message && messageOf({ ...message, actor: senderOf(deps, c, message, session) }, undefined),
          }),
        });
        const location = `/v1/sessions/${encodeURIComponent(forked.session.id)}`;
        return c.json(forked, created ? 201 : 200, { location, ...(created ? {} : replayedHeader) });
      },
    }),

    defineRoute({
      method: "post",
      path: "/v1/sessions/{sessionId}/rewind",
      operationId: "rewindSession",
      startsWork: true,
      summary: "Move a session back to one of its entries",
      description:
        "What stood behind it stays, on a branch of its own. A run that waits for a person ends. A session that is at work is a 409: stop it first.",
      headers: [idempotencyKeyHeader],
      params: sessionParams,
      body: rewindSchema,
      responses: { 200: { description: "It stands there.", content: { "application/json": rewoundSchema } } },
      async handle({ params, body }, c) {
        const { actor, ...request } = body;
        const who = withoutUndefined({ actor: actorOf(c, actor), idempotencyKey: idempotencyKeyOf(c) });
        return c.json(await sessions.rewind(params.sessionId, { ...request, ...who }));
      },
    }),

    defineRoute({
      method: "get",
      path: "/v1/sessions/{sessionId}/compare/{otherId}",
      operationId: "compareSessions",
      summary: "What two sessions have done since their paths parted, and how their files differ",
      params: pairParams,
      responses: { 200: { description: "Both sides.", content: { "application/json": comparisonSchema } } },
      handle: async ({ params }, c) => c.json(await sessions.compare(params.sessionId, params.otherId)),
    }),
  ];
}
