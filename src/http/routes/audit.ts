import { auditQuerySchema, auditSchema } from "../audit-schemas.ts";
import type { HttpDeps } from "../deps.ts";
import { defineRoute, type Route } from "../route.ts";

export function auditRoutes({ sessions }: HttpDeps): readonly Route[] {
  return [
    defineRoute({
      method: "get",
      path: "/v1/permissions/audit",
      operationId: "auditPermissions",
      summary: "Who or what has decided whether calls may start, and how a classifier compares with people",
      description:
        "Reads the logs of the sessions that it is about: narrow it down with `since` and `agent`.",
      query: auditQuerySchema,
      responses: {
        200: { description: "Decisions.", content: { "application/json": auditSchema } },
      },
      handle: async ({ query: { session, ...query } }, c) =>
        c.json(await sessions.audit({ ...query, ...(session === undefined ? {} : { sessionId: session }) })),
    }),
  ];
}
