import type { RunEvent } from "../run/session/events.ts";
import type { WireError } from "./errors.ts";
import { sseEvent } from "./sse.ts";

/**
 * What is streamed to a reader: run events, and two that only the wire has.
 * - `end`: the run that was followed has ended. A stream that stops without it was cut: come back with the last id.
 * - `error`: the server cannot go on with this stream.
 */
export type WireEvent = RunEvent | { readonly type: "end" } | ({ readonly type: "error" } & WireError);

/**
 * One event as text. Entries carry their `seq` as the event's id, which is the reader's cursor; deltas carry none, so
 * that a reader that missed them is sent the entry that holds the whole.
 */
export function encodeEvent(event: WireEvent): string {
  switch (event.type) {
    case "entry":
      return sseEvent(JSON.stringify(event), event.entry.seq);
    case "textDelta":
      // By far the most frequent one: only its text needs escaping.
      return `data: {"type":"textDelta","runId":"${event.runId}","text":${JSON.stringify(event.text)}}\n\n`;
    default:
      return sseEvent(JSON.stringify(event));
  }
}

/** The code of the notice with which a server that shuts down ends its streams. */
export const SERVER_CLOSES = "serverCloses";

const serverCloses: WireEvent = {
  type: "notice",
  code: SERVER_CLOSES,
  message: "the server shuts down; what runs there goes on when it is back",
};

/** Events as text; a failure becomes the last event, since the status has been sent. */
export async function* encodeEvents(
  events: AsyncIterable<RunEvent>,
  options: {
    /** Whether the source's end is the end of a run. */
    readonly finite: boolean;
    readonly signal: AbortSignal;
    /** Aborted when it is the server that ends the stream. */
    readonly closing?: AbortSignal;
    readonly toError: (error: unknown) => WireError;
  },
): AsyncGenerator<string> {
  try {
    for await (const event of events) yield encodeEvent(event);
    if (options.closing?.aborted) yield encodeEvent(serverCloses);
    else if (options.finite && !options.signal.aborted) yield encodeEvent({ type: "end" });
  } catch (error) {
    if (!options.signal.aborted) yield encodeEvent({ type: "error", ...options.toError(error) });
  }
}
