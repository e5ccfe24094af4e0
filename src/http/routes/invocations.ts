import { AppError, isAppError } from "../../lib/errors.ts";
import type { RunFailed } from "../../log/entry.ts";
import type { SessionRecord } from "../../log/session-log.ts";
import type { RunEvent } from "../../run/session/events.ts";
import { orNothing } from "../../run/session/or-nothing.ts";
import { createRunSummary } from "../../run/session/run-result.ts";
import { sendAndWatch, type WatchedMessage } from "../../run/session/send-and-watch.ts";
import { actorOf } from "../caller.ts";
import type { HttpDeps } from "../deps.ts";
import { wireEventSchema } from "../entry-schemas.ts";
import { type ErrorStatus, errorResponse, statusOf, type WireCode, wireError } from "../errors.ts";
import {
  idempotencyKeyHeader,
  idempotencyKeyOf,
  replayedHeader,
  sessionHeader,
  wantsEventStream,
} from "../headers.ts";
import { type Call, defineRoute, type Route } from "../route.ts";
import { closingSignal, streamRun } from "../run-stream.ts";
import {
  type InvocationAnswer,
  invocationAnswerSchema,
  invocationSchema,
  sessionIdSchema,
} from "../schemas.ts";
import { untilAborted } from "../sse.ts";
import { messageOf, senderOf } from "./messages.ts";
import { onlyAgent } from "./sessions.ts";

/** One prompt, one answer: the AgentCore contract. */
export function invocationRoutes(deps: HttpDeps): readonly Route[] {
  return [
    defineRoute({
      method: "post",
      path: "/invocations",
      operationId: "invoke",
      startsWork: true,
      summary: "Send a prompt and get the answer, as JSON or as a stream",
      description:
        "Hanging up does not stop the run: ask again with the same Idempotency-Key, or read the session's events.",
      headers: [sessionHeader, idempotencyKeyHeader],
      body: invocationSchema,
      responses: {
        200: {
          description: "The answer, or the run that answers as a stream (`Accept: text/event-stream`).",
          content: { "application/json": invocationAnswerSchema, "text/event-stream": wireEventSchema },
          headers: [sessionHeader],
        },
      },
      async handle({ body }, c) {
        const idempotencyKey = idempotencyKeyOf(c);
        const id = sessionIdOf(c);
        // Before a session is made for it.
        actorOf(c, body.actor);
        const { session, created } = await openSession(deps, id, body.agent, idempotencyKey);
        const actor = senderOf(deps, c, body, session);
        const message = messageOf({ ...body, actor }, idempotencyKey);
        const sending = sendAndWatch(deps.sessions, session, message);
        const watched = await (created ? orNothing(sending, session.id, deps.sessions) : sending);
        const headers = { [sessionHeader.name]: session.id, ...(watched.duplicate ? replayedHeader : {}) };
        if (wantsEventStream(c)) return streamRun(deps, watched, c, headers);
        return answer(session.id, watched, c, headers);
      },
    }),
  ];
}

/** The session that the caller names, made if it is new; or a new one. With a key, the same request finds the same one. */
async function openSession(
  { sessions, agents }: HttpDeps,
  id: string | undefined,
  agentName: string | undefined,
  idempotencyKey: string | undefined,
): Promise<{ readonly session: SessionRecord; readonly created: boolean }> {
  const existing = id === undefined ? undefined : await find(() => sessions.get(id));
  if (existing !== undefined) {
    if (agentName === undefined || agentName === existing.agent) return { session: existing, created: false };
    throw new AppError("conflict", `the session ${existing.id} belongs to the agent "${existing.agent}"`, {
      hint: `Leave out "agent", or use another session.`,
    });
  }
  const createKey = createKeyOf(id, idempotencyKey);
  return sessions.create({
    agent: agentName ?? onlyAgent(agents),
    ...(id === undefined ? {} : { id }),
    ...(createKey === undefined ? {} : { idempotencyKey: createKey }),
  });
}

/** A named session is keyed by its name, so that two first calls at once find the same one. */
function createKeyOf(id: string | undefined, idempotencyKey: string | undefined): string | undefined {
  if (id !== undefined) return `invocation-session:${id}`;
  return idempotencyKey === undefined ? undefined : `invocation-key:${idempotencyKey}`;
}

async function find<T>(get: () => Promise<T>): Promise<T | undefined> {
  try {
    return await get();
  } catch (error) {
    if (isAppError(error, "not_found")) return undefined;
    throw error;
  }
}

function sessionIdOf(c: Call): string | undefined {
  const id = c.req.header(sessionHeader.name);
  if (id === undefined || sessionIdSchema.safeParse(id).success) return id;
  throw new AppError("invalid_input", `the header ${sessionHeader.name} is not a session id`, {
    hint: "It takes 1 to 256 characters of A-Z a-z 0-9 . _ : - that start with a letter or digit.",
  });
}

async function answer(
  sessionId: string,
  { messageId, events, leave }: WatchedMessage,
  c: Call,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  const signal = AbortSignal.any([c.req.raw.signal, closingSignal(c)]);
  const summary = createRunSummary();
  let last: RunEvent | undefined;
  try {
    for await (const event of untilAborted(events, signal)) {
      summary.add(event);
      last = event;
    }
  } finally {
    leave();
  }
  if (last?.type === "entry" && last.entry.type === "runFailed") {
    return failedRun(last.entry, sessionId, headers);
  }
  if (last?.type === "waiting" || (last?.type === "entry" && last.entry.type === "runFinished")) {
    const { text, runId, reason, usage, costUsd } = summary.result();
    const answered: InvocationAnswer = { text, sessionId, runId, reason, usage, costUsd };
    const waiting = last.type === "waiting" ? { interrupt: last.interrupt } : {};
    return c.json({ ...answered, ...waiting }, 200, headers);
  }
  const closing = wireError("unavailable", "the server is closing; the run goes on when it is back", {
    hint: "Ask again with the same Idempotency-Key, or read the session's events.",
    details: { sessionId, messageId },
  });
  return errorResponse(closing, { ...headers, "retry-after": "5" });
}

/** Failures of the model's provider that pass; all others are 502, or what the core's own code says. */
const runStatus: Readonly<Record<string, ErrorStatus>> = {
  model_rateLimited: 503,
  model_overloaded: 503,
  model_timeout: 504,
};

function failedRun(
  { error: { code, message, hint }, runId }: RunFailed,
  sessionId: string,
  headers: Readonly<Record<string, string>>,
): Response {
  const body = wireError("run_failed", message, { hint, details: { sessionId, runId, code } });
  const known = isWireCode(code) ? statusOf[code] : undefined;
  return errorResponse(body, headers, runStatus[code] ?? known ?? statusOf.run_failed);
}

function isWireCode(code: string): code is WireCode {
  return Object.hasOwn(statusOf, code);
}
