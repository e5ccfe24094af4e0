import { AppError } from "../../lib/errors.ts";
import type { RunEvent } from "../../run/events.ts";
import type { HttpDeps } from "../deps.ts";
import { wireEventSchema } from "../entry-schemas.ts";
import { lastEventIdHeader, lastEventIdOf } from "../headers.ts";
import { defineRoute, type Route } from "../route.ts";
import { streamEvents } from "../run-stream.ts";
import { entryListSchema, eventsQuerySchema } from "../schemas.ts";
import { sessionParams } from "./sessions.ts";

export function eventRoutes(deps: HttpDeps): readonly Route[] {
  const { sessions } = deps;
  return [
    defineRoute({
      method: "get",
      path: "/v1/sessions/{sessionId}/events",
      operationId: "sessionEvents",
      summary: "What happened in a session and what happens now",
      description:
        "A stream that a reader may leave and come back to: it goes on after the id of the last event that was seen, each entry exactly once. A reader changes nothing.",
      headers: [lastEventIdHeader],
      params: sessionParams,
      query: eventsQuerySchema,
      responses: {
        200: {
          description: "A stream; or a page of entries with `format=json`.",
          content: { "text/event-stream": wireEventSchema, "application/json": entryListSchema },
        },
      },
      async handle({ params: { sessionId }, query }, c) {
        const { after: start = 0, message } = query;
        const seen = lastEventIdOf(c) ?? start;
        const { headSeq } = await sessions.get(sessionId);
        requireCursorInside(Math.max(start, seen), headSeq, sessionId);
        if (query.format === "json") {
          const entries = await sessions.entries(sessionId, seen, query.limit);
          const nextAfter = entries.length < query.limit ? null : (entries.at(-1)?.seq ?? null);
          return c.json({ entries, nextAfter });
        }
        return streamEvents(deps, c, {
          finite: message !== undefined,
          open: (signal) =>
            message === undefined
              ? sessions.watch(sessionId, { after: seen, signal })
              : // Read from before the message also for a reader that comes back, else its run would not be recognised.
                unseen(sessions.watchRun(sessionId, message, { after: Math.min(start, seen), signal }), seen),
        });
      },
    }),
  ];
}

async function* unseen(events: AsyncIterable<RunEvent>, seen: number): AsyncGenerator<RunEvent> {
  for await (const event of events) if (event.type !== "entry" || event.entry.seq > seen) yield event;
}

/** A cursor from another session would otherwise wait for ever, or skip entries, without a word. */
function requireCursorInside(after: number, headSeq: number, sessionId: string): void {
  if (after <= headSeq) return;
  throw new AppError(
    "invalid_input",
    `the cursor ${after} is beyond the end of session ${sessionId}, ${headSeq}`,
    {
      hint: "Use the id of an event of this session, or leave the cursor out to read from the start.",
      details: { after, headSeq },
    },
  );
}
