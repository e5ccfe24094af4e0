import { withoutUndefined } from "../../lib/json.ts";
import type { SessionRecord } from "../../log/session-log.ts";
import { sendAndWatch } from "../../run/session/send-and-watch.ts";
import type { SendMessage } from "../../run/session/sessions.ts";
import { actorOf, changerOf } from "../caller.ts";
import type { HttpDeps } from "../deps.ts";
import { wireEventSchema } from "../entry-schemas.ts";
import { idempotencyKeyHeader, idempotencyKeyOf, replayedHeader, wantsEventStream } from "../headers.ts";
import { type Call, defineRoute, type Route } from "../route.ts";
import { streamRun } from "../run-stream.ts";
import {
  type AcceptedMessage,
  acceptedMessageSchema,
  inboxSchema,
  type Message,
  messageSchema,
} from "../schemas.ts";
import { sessionParams } from "./sessions.ts";

export function messageRoutes(deps: HttpDeps): readonly Route[] {
  const { sessions } = deps;
  return [
    defineRoute({
      method: "post",
      path: "/v1/sessions/{sessionId}/messages",
      operationId: "sendMessage",
      startsWork: true,
      summary: "Send a message; the agent answers it, whatever happens to this connection or process",
      description:
        "While a run is under way, `delivery` says what becomes of the message. With `Accept: text/event-stream` the run that answers is streamed; hanging up does not stop it.",
      headers: [idempotencyKeyHeader],
      params: sessionParams,
      body: messageSchema,
      responses: {
        200: {
          description: "The run that answers, as a stream.",
          content: { "text/event-stream": wireEventSchema },
        },
        202: {
          description: "Stored: it will be answered.",
          content: { "application/json": acceptedMessageSchema },
        },
      },
      async handle({ params: { sessionId }, body }, c) {
        const idempotencyKey = idempotencyKeyOf(c);
        const session = await sessions.get(sessionId);
        const message = messageOf({ ...body, actor: senderOf(deps, c, body, session) }, idempotencyKey);
        if (wantsEventStream(c)) {
          const watched = await sendAndWatch(deps.sessions, session, message);
          return streamRun(deps, watched, c, watched.duplicate ? replayedHeader : {});
        }
        const { messageId, duplicate } = await sessions.send(sessionId, message);
        // A message that was sent before may stand anywhere in the log.
        const answer = accepted(sessionId, messageId, { after: duplicate ? 0 : session.headSeq, duplicate });
        return c.json(answer, 202, duplicate ? replayedHeader : {});
      },
    }),

    defineRoute({
      method: "get",
      path: "/v1/sessions/{sessionId}/inbox",
      operationId: "getInbox",
      summary: "What was sent and is not in the log yet",
      description:
        "Usually empty. A message that is to be answered by a run of its own waits in the log: it is a `userMessage` entry.",
      params: sessionParams,
      responses: { 200: { description: "What waits.", content: { "application/json": inboxSchema } } },
      handle: async ({ params }, c) => c.json({ items: await sessions.inbox(params.sessionId) }),
    }),
  ];
}

/** Who sends a message, and, where it switches the mode, who does that. @throws AppError `forbidden` */
export function senderOf(
  { agents }: HttpDeps,
  c: Call,
  { actor, mode }: Pick<Message, "actor" | "mode">,
  session: SessionRecord,
): string | undefined {
  if (mode === undefined) return actorOf(c, actor);
  return changerOf(
    c,
    actor,
    agents.list().find(({ name }) => name === session.agent),
  );
}

/** A message of the API as the core takes it. */
export function messageOf(
  { prompt, model, delivery, mode, actor }: Omit<Message, "actor"> & { readonly actor: string | undefined },
  idempotencyKey: string | undefined,
): SendMessage {
  return {
    blocks: typeof prompt === "string" ? [{ type: "text", text: prompt }] : prompt,
    ...withoutUndefined({ model, delivery, mode, actor, idempotencyKey }),
  };
}

function accepted(
  sessionId: string,
  messageId: string,
  { after, duplicate }: { readonly after: number; readonly duplicate: boolean },
): AcceptedMessage {
  const session = `/v1/sessions/${encodeURIComponent(sessionId)}`;
  const events = `${session}/events?after=${after}`;
  return {
    messageId,
    duplicate,
    links: { session, events, run: `${events}&message=${encodeURIComponent(messageId)}` },
  };
}
