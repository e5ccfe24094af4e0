import { z } from "zod";
import { withoutUndefined } from "../../lib/json.ts";
import type { HttpDeps } from "../deps.ts";
import { idempotencyKeyHeader, idempotencyKeyOf } from "../headers.ts";
import {
  answerSchema,
  interruptListSchema,
  interruptQuerySchema,
  interruptSchema,
} from "../ledger-schemas.ts";
import { defineRoute, type Route } from "../route.ts";
import { sessionIdSchema } from "../schemas.ts";

const interruptParams = z.object({
  sessionId: sessionIdSchema,
  interruptId: z.string().min(1).max(256),
});

export function interruptRoutes({ sessions }: HttpDeps): readonly Route[] {
  return [
    defineRoute({
      method: "get",
      path: "/v1/interrupts",
      operationId: "listInterrupts",
      summary: "Questions to people on which runs wait, or waited",
      query: interruptQuerySchema,
      responses: {
        200: { description: "The latest first.", content: { "application/json": interruptListSchema } },
      },
      handle: async ({ query }, c) => c.json({ interrupts: await sessions.interrupts(query) }),
    }),

    defineRoute({
      method: "post",
      path: "/v1/sessions/{sessionId}/interrupts/{interruptId}",
      operationId: "answerInterrupt",
      summary: "Answer a question on which a run waits",
      description:
        "The first answer counts; to another one the server says 409, with who was first and when. The session goes on by itself.",
      headers: [idempotencyKeyHeader],
      params: interruptParams,
      body: answerSchema,
      responses: {
        200: { description: "Durable.", content: { "application/json": interruptSchema } },
      },
      async handle({ params: { sessionId, interruptId }, body: { actor, ...answer } }, c) {
        const idempotencyKey = idempotencyKeyOf(c);
        const options = withoutUndefined({ actor, idempotencyKey });
        return c.json(await sessions.answer(sessionId, interruptId, answer, options));
      },
    }),
  ];
}
