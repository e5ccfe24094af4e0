import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import { withoutUndefined } from "../../lib/json.ts";
import { type InterruptView, viewInterrupt } from "../../run/session/answer-schema.ts";
import type { InterruptRecord } from "../../run/session/interrupts.ts";
import { answerSchema, answersSchema, outcomesSchema } from "../answer-schemas.ts";
import { answererOf } from "../caller.ts";
import type { HttpDeps } from "../deps.ts";
import { statusOf, toWireError } from "../errors.ts";
import { idempotencyKeyHeader, idempotencyKeyOf, replayedHeader } from "../headers.ts";
import { interruptListSchema, interruptQuerySchema, interruptViewSchema } from "../ledger-schemas.ts";
import { type Call, defineRoute, type Route } from "../route.ts";
import { sessionIdSchema } from "../schemas.ts";

const interruptId = z.string().min(1).max(256);
const byId = z.object({ interruptId });
const ofSession = z.object({ sessionId: sessionIdSchema, interruptId });

type Answer = z.output<typeof answerSchema>;

const answerDocs = {
  description:
    "The first answer counts; another one is a 409 with who was first, when and with what (`details.actor`, `.at`, `.answer`). Where tool or rules have changed since, it is a 409 with `details.stale`, and the question is asked anew. The session goes on by itself.",
  headers: [idempotencyKeyHeader],
  body: answerSchema,
  responses: {
    200: {
      description: "Durable.",
      content: { "application/json": interruptViewSchema },
      headers: [{ name: "Idempotency-Replayed", description: "`true`: it was given before, with this key." }],
    },
  },
} as const;

export function interruptRoutes(deps: HttpDeps): readonly Route[] {
  const { sessions } = deps;
  const view = viewer(deps);
  const give = giver(deps);

  async function respond(c: Call, record: InterruptRecord, answer: Answer): Promise<Response> {
    const { duplicate, ...answered } = await give(c, record, answer, idempotencyKeyOf(c));
    return c.json(view(answered), 200, duplicate === true ? replayedHeader : {});
  }

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
      async handle({ query: { mine, ...query } }, c) {
        const filter = mine === "true" ? { ...query, answerableBy: personOf(c) } : query;
        return c.json({ interrupts: (await sessions.interrupts(filter)).map(view) });
      },
    }),

    defineRoute({
      method: "post",
      path: "/v1/interrupts",
      operationId: "answerInterrupts",
      summary: "Answer several questions, each by itself",
      description:
        "What can be answered is, whatever becomes of the others: each outcome has the status and the body that its answer alone would have had. The idempotency key counts for each of them.",
      headers: [idempotencyKeyHeader],
      body: answersSchema,
      responses: {
        207: { description: "What became of each.", content: { "application/json": outcomesSchema } },
      },
      async handle({ body }, c) {
        const key = idempotencyKeyOf(c);
        const outcomes: z.output<typeof outcomesSchema>["outcomes"] = [];
        for (const { id, ...answer } of body) {
          try {
            const keyOfOne = key === undefined ? undefined : `${key}\n${id}`;
            const { duplicate = false, ...answered } = await give(c, await find(deps, id), answer, keyOfOne);
            const interrupt = interruptViewSchema.parse(view(answered));
            outcomes.push({ id, status: 200, replayed: duplicate, interrupt });
          } catch (error) {
            const { error: wire } = toWireError(error, deps.onDefect);
            outcomes.push({ id, status: statusOf[wire.code], error: wire });
          }
        }
        return c.json({ outcomes }, 207);
      },
    }),

    defineRoute({
      method: "get",
      path: "/v1/interrupts/{interruptId}",
      operationId: "getInterrupt",
      summary: "One question, and what can be answered to it",
      params: byId,
      responses: {
        200: { description: "The question.", content: { "application/json": interruptViewSchema } },
      },
      handle: async ({ params }, c) => c.json(view(await find(deps, params.interruptId))),
    }),

    defineRoute({
      method: "post",
      path: "/v1/interrupts/{interruptId}",
      operationId: "answerInterrupt",
      summary: "Answer a question on which a run waits",
      params: byId,
      ...answerDocs,
      handle: async ({ params, body }, c) => respond(c, await find(deps, params.interruptId), body),
    }),

    defineRoute({
      method: "post",
      path: "/v1/sessions/{sessionId}/interrupts/{interruptId}",
      operationId: "answerInterruptOfSession",
      summary: "The same, of a question of this session",
      params: ofSession,
      ...answerDocs,
      async handle({ params: { sessionId, interruptId: id }, body }, c) {
        await sessions.get(sessionId);
        return respond(c, await find(deps, id, sessionId), body);
      },
    }),
  ];
}

function viewer({ agents }: HttpDeps): (record: InterruptRecord) => InterruptView {
  return (record) =>
    viewInterrupt(
      record,
      agents.list().find(({ name }) => name === record.agent),
    );
}

function giver({ sessions }: HttpDeps) {
  return (
    c: Call,
    record: InterruptRecord,
    { actor: claimed, ...answer }: Answer,
    key: string | undefined,
  ) => {
    const actor = answererOf(c, claimed, record.request);
    const options = withoutUndefined({ actor, channel: "http", idempotencyKey: key });
    return sessions.answer(record.sessionId, record.id, answer, options);
  };
}

/** @throws AppError `not_found` */
async function find({ sessions }: HttpDeps, id: string, sessionId?: string): Promise<InterruptRecord> {
  const [record] = await sessions.interrupts(withoutUndefined({ id, sessionId }));
  if (record !== undefined) return record;
  throw new AppError("not_found", `there is no interrupt "${id}"`, {
    hint: "GET /v1/interrupts shows what waits for an answer.",
  });
}

/** @throws AppError `invalid_input` */
function personOf(c: Call): string {
  const actor = c.get("actor");
  if (actor !== undefined) return actor;
  throw new AppError("invalid_input", "mine: the token belongs to nobody in particular", {
    hint: "Name whose questions are meant: ?answerableBy=NAME.",
  });
}
