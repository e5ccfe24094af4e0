import type { RunEvent } from "../run/events.ts";
import type { HttpDeps } from "./deps.ts";
import { encodeEvents } from "./encode.ts";
import { toWireError } from "./errors.ts";
import type { Call } from "./route.ts";
import { sseResponse } from "./sse.ts";

/** A message, and a cursor before it. */
export interface SentMessage {
  readonly sessionId: string;
  readonly messageId: string;
  readonly after: number;
}

/** The run that answers a message, as a stream of events that begins with the message. */
export function streamRun(
  deps: HttpDeps,
  { sessionId, messageId, after }: SentMessage,
  c: Call,
  headers: Readonly<Record<string, string>>,
): Response {
  return streamEvents(deps, c, {
    finite: true,
    headers,
    open: (signal) => fromMessage(deps.sessions.watchRun(sessionId, messageId, { after, signal }), messageId),
  });
}

/** Run events as a response, ended when the reader leaves or the server closes. */
export function streamEvents(
  deps: HttpDeps,
  c: Call,
  options: {
    readonly open: (signal: AbortSignal) => AsyncIterable<RunEvent>;
    /** Whether the source's end is the end of a run. */
    readonly finite: boolean;
    readonly headers?: Readonly<Record<string, string>>;
  },
): Response {
  const toError = (error: unknown) => toWireError(error, deps.onDefect);
  return sseResponse(
    (signal) => encodeEvents(options.open(signal), { finite: options.finite, signal, toError }),
    { heartbeatMs: deps.heartbeatMs, closing: closingSignal(c) },
    options.headers,
  );
}

/** Aborted when the server closes; never, where the app runs without a server. */
export function closingSignal(c: Call): AbortSignal {
  return c.env?.closing ?? new AbortController().signal;
}

/** Drops what was there before the message was taken into the log: earlier runs, and the deltas of one under way. */
export async function* fromMessage(
  events: AsyncIterable<RunEvent>,
  messageId: string,
): AsyncGenerator<RunEvent> {
  let begun = false;
  for await (const event of events) {
    begun ||=
      event.type === "entry" && event.entry.type === "userMessage" && event.entry.inboxId === messageId;
    if (begun) yield event;
  }
}
