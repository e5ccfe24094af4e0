import type { SessionRecord } from "../log/session-log.ts";
import type { RunEvent } from "../run/events.ts";
import type { SendMessage } from "../run/sessions.ts";
import { untilAnswered } from "../run/watch.ts";
import type { HttpDeps } from "./deps.ts";
import { encodeEvents } from "./encode.ts";
import { toWireError } from "./errors.ts";
import type { Call } from "./route.ts";
import { sseResponse } from "./sse.ts";

/** A message that was sent, and the run that answers it. */
export interface WatchedMessage {
  readonly messageId: string;
  /** It had been sent before, with the same key. */
  readonly duplicate: boolean;
  /** From the message to the end of the run that answers it. To be read once, until its end or `leave`. */
  readonly events: AsyncIterable<RunEvent>;
  leave(): void;
}

/** Sends a message while somebody watches already, so that the first words of a fast model are not missed. */
export async function sendAndWatch(
  { sessions }: HttpDeps,
  { id, headSeq }: Pick<SessionRecord, "id" | "headSeq">,
  message: SendMessage,
): Promise<WatchedMessage> {
  const left = new AbortController();
  const leave = () => left.abort();
  const superseded = new AbortController();
  const signal = AbortSignal.any([left.signal, superseded.signal]);
  const live = sessions.watch(id, { after: headSeq, signal });
  try {
    const { messageId, duplicate } = await sessions.send(id, message);
    if (!duplicate)
      return { messageId, duplicate, leave, events: fromMessage(untilAnswered(live, messageId), messageId) };
    // A message that was sent before may stand anywhere in the log.
    superseded.abort();
    const events = sessions.watchRun(id, messageId, { after: 0, signal: left.signal });
    return { messageId, duplicate, leave, events: fromMessage(events, messageId) };
  } catch (error) {
    leave();
    throw error;
  }
}

/** The run that answers a message, as a stream of events. */
export function streamRun(
  deps: HttpDeps,
  { events, leave }: WatchedMessage,
  c: Call,
  headers: Readonly<Record<string, string>>,
): Response {
  const open = (signal: AbortSignal) => {
    signal.addEventListener("abort", leave, { once: true });
    return events;
  };
  return streamEvents(deps, c, { finite: true, headers, open });
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

/** Drops the entries before the message. Deltas may come before its entry does, so they all pass. */
async function* fromMessage(events: AsyncIterable<RunEvent>, messageId: string): AsyncGenerator<RunEvent> {
  let begun = false;
  for await (const event of events) {
    begun ||=
      event.type === "entry" && event.entry.type === "userMessage" && event.entry.inboxId === messageId;
    if (begun || event.type !== "entry") yield event;
  }
}
