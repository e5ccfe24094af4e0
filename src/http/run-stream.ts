import type { Usage } from "../log/content.ts";
import { addUsage, noUsage } from "../log/content.ts";
import type { AssistantMessage, RunFailed, RunFinished } from "../log/entry.ts";
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

/** What a run came to, for a caller who waits for its end. */
export interface RunSummary {
  readonly end: RunFinished | RunFailed;
  /** The text of the last answer that has any. */
  readonly text: string;
  readonly usage: Usage;
  /** Null when the price of a call is not known. */
  readonly costUsd: number | null;
}

/** Reads a run to its end; undefined when the events end before the run does, since the watching was given up. */
export async function summariseRun(events: AsyncIterable<RunEvent>): Promise<RunSummary | undefined> {
  let text = "";
  let usage = noUsage;
  let costUsd: number | null = 0;
  for await (const event of events) {
    if (event.type !== "entry") continue;
    const { entry } = event;
    if (entry.type === "assistantMessage") {
      text = textOf(entry) || text;
      usage = addUsage(usage, entry.usage);
      costUsd = costUsd === null || entry.costUsd === null ? null : costUsd + entry.costUsd;
    } else if (entry.type === "runFinished" || entry.type === "runFailed") {
      return { end: entry, text, usage, costUsd };
    }
  }
  return undefined;
}

function textOf(message: AssistantMessage): string {
  return message.blocks.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("");
}
