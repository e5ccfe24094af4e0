import { contextQuerySchema, contextSchema } from "../context-schemas.ts";
import type { HttpDeps } from "../deps.ts";
import { defineRoute, type Route } from "../route.ts";
import { sessionParams } from "./sessions.ts";

export function contextRoutes({ sessions }: HttpDeps): readonly Route[] {
  return [
    defineRoute({
      method: "get",
      path: "/v1/sessions/{sessionId}/context",
      operationId: "getContext",
      summary: "What the next request to the model would consist of, and what each part of it takes",
      params: sessionParams,
      query: contextQuerySchema,
      responses: { 200: { description: "Nothing is sent.", content: { "application/json": contextSchema } } },
      async handle({ params, query }, c) {
        return c.json(await sessions.context(params.sessionId, { request: query.request === "true" }));
      },
    }),
  ];
}
