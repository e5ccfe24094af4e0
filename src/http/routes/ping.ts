import type { HttpDeps } from "../deps.ts";
import { defineRoute, type Route } from "../route.ts";
import { pingSchema, readySchema } from "../schemas.ts";

/**
 * Whether the server lives and whether it works. Callers take the time as the start of idleness, so it may move only when
 * something changed: since a whole run may pass between two calls, idleness counts from the last change of any session.
 */
export function pingRoutes({ sessions, clock, draining }: HttpDeps): readonly Route[] {
  const startedAt = clock.now();
  let busySince: number | undefined;

  return [
    defineRoute({
      method: "get",
      path: "/ready",
      operationId: "ready",
      summary: "Whether the server takes new work, for load balancers",
      public: true,
      responses: {
        200: { description: "It does.", content: { "application/json": readySchema } },
        503: {
          description:
            "It is about to end. Runs that are under way come to a point at which they can be left.",
          content: { "application/json": readySchema },
        },
      },
      handle: async (_input, c) =>
        draining()
          ? c.json({ status: "draining" }, 503, { "retry-after": "5" })
          : c.json({ status: "ready" }),
    }),

    defineRoute({
      method: "get",
      path: "/ping",
      operationId: "ping",
      summary: "Whether the server lives, and whether a run is under way",
      public: true,
      responses: { 200: { description: "It lives.", content: { "application/json": pingSchema } } },
      async handle(_input, c) {
        const [[running], [queued], [latest]] = await Promise.all([
          sessions.list({ status: "running", limit: 1 }),
          sessions.list({ status: "queued", limit: 1 }),
          sessions.list({ limit: 1 }),
        ]);
        const busy = running ?? queued;
        busySince = busy === undefined ? undefined : (busySince ?? clock.now());
        const since = busySince ?? Math.max(startedAt, latest?.updatedAt ?? 0);
        return c.json({
          status: busy === undefined ? "Healthy" : "HealthyBusy",
          time_of_last_update: Math.floor(since / 1000),
        });
      },
    }),
  ];
}
