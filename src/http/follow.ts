import { systemClock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import type { RunEvent } from "../run/session/events.ts";
import { SERVER_CLOSES, type WireEvent } from "./encode.ts";
import { fromWireError, isConnectionLoss, type Transport } from "./transport.ts";

export interface FollowOptions {
  readonly sessionId: string;
  /** The stream, from where it was first read. */
  readonly path: string;
  /** The cursor in `path`. */
  readonly after: number;
  readonly signal: AbortSignal;
}

/**
 * Follows a session over as many connections as it takes, until the server says `end`, the signal is aborted, or an error
 * comes that a new connection would not mend, or the server has been away for longer than the transport's patience
 * (`unavailable`). The first connection is opened by the call, not by the first `next()`.
 */
export function followEvents(
  transport: Transport,
  { sessionId, path, after, signal }: FollowOptions,
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
    const outage = watchOutage(transport, sessionId);
    let opened = first;
    for (let failures = 1; ; failures++) {
      const reached = position.seq;
      const outcome = yield* readOnce(transport, opened, position, signal);
      if (outcome === "ended") return;
      if (position.seq > reached) failures = 1;
      if (outcome === "closed")
        yield reconnecting(`trying to come back; or later: ${wayBack(transport, sessionId)}`);
      else if (failures === 1) yield reconnecting("the connection to the server was cut; trying again");
      yield* outage.after(outcome);
      await transport.pause(failures, signal).catch(() => {});
      if (signal.aborted) return;
      opened = connect(position.seq);
      opened.catch(() => {});
    }
  }
}

function wayBack({ url }: Transport, sessionId: string): string {
  return `holdfast sessions tail ${sessionId} --url ${url}`;
}

function reconnecting(message: string): RunEvent {
  return { type: "notice", code: "reconnecting", message };
}

interface Outage {
  /** A notice in the middle of a long outage. @throws AppError `unavailable` at its end. */
  after(outcome: "closed" | "cut" | "unreached"): Iterable<RunEvent>;
}

/** How long the server has been away. A connection that was opened, even for a moment, is contact. */
function watchOutage(transport: Transport, sessionId: string): Outage {
  const { url, patienceMs } = transport;
  let since = systemClock.monotonic();
  let isTold = false;
  return {
    *after(outcome) {
      if (outcome !== "unreached") {
        since = systemClock.monotonic();
        isTold = false;
      }
      const awayMs = systemClock.monotonic() - since;
      const silence = `the server at ${url} has not answered for ${seconds(awayMs)}`;
      if (awayMs >= patienceMs) {
        throw new AppError("unavailable", `${silence}; what runs there goes on when it is back`, {
          hint: `Come back to it with: ${wayBack(transport, sessionId)}`,
        });
      }
      if (isTold || awayMs < patienceMs / 2) return;
      isTold = true;
      yield reconnecting(`${silence}; trying for another ${seconds(patienceMs - awayMs)}`);
    },
  };
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}

/** The events of one connection, those that were seen before left out. Says how it ended. */
async function* readOnce(
  transport: Transport,
  opened: Promise<Response>,
  position: { seq: number },
  signal: AbortSignal,
): AsyncGenerator<RunEvent, "ended" | "closed" | "cut" | "unreached"> {
  let isOpen = false;
  let isClosing = false;
  try {
    const response = await opened;
    isOpen = true;
    for await (const data of transport.events(response)) {
      // The server's own events: what this release does not know passes through to the reader's `switch`.
      const event = data as WireEvent;
      if (event.type === "end") return "ended";
      if (event.type === "error") throw fromWireError(event);
      if (event.type === "notice") isClosing ||= event.code === SERVER_CLOSES;
      if (event.type === "entry") {
        if (event.entry.seq <= position.seq) continue;
        position.seq = event.entry.seq;
      }
      yield event;
    }
  } catch (error) {
    if (!signal.aborted && !isConnectionLoss(error)) throw error;
  }
  if (signal.aborted) return "ended";
  if (isClosing) return "closed";
  return isOpen ? "cut" : "unreached";
}
