import { AppError } from "../../lib/errors.ts";
import type { RunEvent } from "../../run/session/events.ts";
import type { Sessions } from "../../run/session/sessions.ts";
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
        if (message !== undefined) await requireMessage(sessions, sessionId, message, Math.min(start, seen));
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

/** Entries that are looked through at once for a message. */
const PAGE = 1_000;

/** A message that does not come would be waited for for ever, without a word. @throws AppError `not_found` */
async function requireMessage(
  sessions: Pick<Sessions, "inbox" | "entries">,
  sessionId: string,
  messageId: string,
  after: number,
): Promise<void> {
  // The inbox first: what leaves it meanwhile is in the log then.
  const inbox = await sessions.inbox(sessionId);
  if (inbox.some(({ id }) => id === messageId)) return;
  for (let cursor: number | undefined = after; cursor !== undefined; ) {
    const page = await sessions.entries(sessionId, cursor, PAGE);
    if (page.some((entry) => entry.type === "userMessage" && entry.inboxId === messageId)) return;
    cursor = page.length < PAGE ? undefined : page.at(-1)?.seq;
  }
  throw new AppError("not_found", `session ${sessionId} has no message "${messageId}" after ${after}`, {
    hint: "Take the address from the answer to the message as it is, or leave `after` out.",
  });
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
