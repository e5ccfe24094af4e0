import type { HttpDeps } from "../deps.ts";
import { costQuerySchema, costReportSchema } from "../ledger-schemas.ts";
import { defineRoute, type Route } from "../route.ts";

export function costRoutes({ sessions }: HttpDeps): readonly Route[] {
  return [
    defineRoute({
      method: "get",
      path: "/v1/costs",
      operationId: "getCosts",
      summary: "What calls to models have cost, by day, agent, model, actor, tenant or session",
      query: costQuerySchema,
      responses: {
        200: { description: "Sums.", content: { "application/json": costReportSchema } },
      },
      handle: async ({ query }, c) => c.json(await sessions.costs(query)),
    }),
  ];
}
