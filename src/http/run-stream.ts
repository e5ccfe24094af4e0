import type { RunEvent } from "../run/session/events.ts";
import type { WatchedMessage } from "../run/session/send-and-watch.ts";
import type { HttpDeps } from "./deps.ts";
import { encodeEvents } from "./encode.ts";
import { toWireError } from "./errors.ts";
import type { Call } from "./route.ts";
import { sseResponse } from "./sse.ts";

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
  const closing = closingSignal(c);
  const toError = (error: unknown) => toWireError(error, deps.onDefect);
  return sseResponse(
    (signal) => encodeEvents(options.open(signal), { finite: options.finite, signal, closing, toError }),
    { heartbeatMs: deps.heartbeatMs, closing },
    options.headers,
  );
}

/** Aborted when the server closes; never, where the app runs without a server. */
export function closingSignal(c: Call): AbortSignal {
  return c.env?.closing ?? new AbortController().signal;
}
