import type { RunEvent } from "../run/events.ts";
import type { WireEvent } from "./encode.ts";
import { fromWireError, isConnectionLoss, type Transport } from "./transport.ts";

export interface FollowOptions {
  /** The stream, from where it was first read. */
  readonly path: string;
  /** The cursor in `path`. */
  readonly after: number;
  readonly signal: AbortSignal;
}

/**
 * Follows a session over as many connections as it takes, until the server says `end`, the signal is aborted, or an error
 * comes that a new connection would not mend. The first connection is opened by the call, not by the first `next()`.
 */
export function followEvents(
  transport: Transport,
  { path, after, signal }: FollowOptions,
): AsyncGenerator<RunEvent> {
  const connect = (cursor: number) => {
    const headers = { accept: "text/event-stream", "last-event-id": String(cursor) };
    return transport.send("GET", path, { headers, signal });
  };
  const first = connect(after);
  // Awaited at the first `next()`; a failure before that must not count as unhandled.
  first.catch(() => {});
  return follow();

  async function* follow(): AsyncGenerator<RunEvent> {
    const position = { seq: after };
    let opened = first;
    for (let failures = 1; ; failures++) {
      const reached = position.seq;
      if ((yield* readOnce(transport, opened, position, signal)) === "ended") return;
      if (position.seq > reached) failures = 1;
      if (failures === 1) yield reconnecting;
      await transport.pause(failures, signal).catch(() => {});
      if (signal.aborted) return;
      opened = connect(position.seq);
      opened.catch(() => {});
    }
  }
}

const reconnecting: RunEvent = {
  type: "notice",
  code: "reconnecting",
  message: "the connection to the server was cut; trying again",
};

/** The events of one connection, those that were seen before left out. Says how it ended. */
async function* readOnce(
  transport: Transport,
  opened: Promise<Response>,
  position: { seq: number },
  signal: AbortSignal,
): AsyncGenerator<RunEvent, "ended" | "cut"> {
  try {
    for await (const data of transport.events(await opened)) {
      // The server's own events: what this release does not know passes through to the reader's `switch`.
      const event = data as WireEvent;
      if (event.type === "end") return "ended";
      if (event.type === "error") throw fromWireError(event);
      if (event.type === "entry") {
        if (event.entry.seq <= position.seq) continue;
        position.seq = event.entry.seq;
      }
      yield event;
    }
  } catch (error) {
    if (!signal.aborted && !isConnectionLoss(error)) throw error;
  }
  return signal.aborted ? "ended" : "cut";
}
