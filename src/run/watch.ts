import { type Channel, createChannel } from "../lib/streams.ts";
import type { Entry } from "../log/entry.ts";
import type { SessionLog } from "../log/session-log.ts";
import type { Delta, RunEvent } from "./events.ts";

/** Carries deltas from the loops of this process to whoever watches here. */
export interface DeltaBus {
  publish(sessionId: string, delta: Delta): void;
  subscribe(sessionId: string, listener: (delta: Delta) => void): Disposable;
}

export function createDeltaBus(): DeltaBus {
  const listeners = new Map<string, Set<(delta: Delta) => void>>();
  return {
    publish(sessionId, delta) {
      const here = listeners.get(sessionId);
      if (here !== undefined) for (const listener of here) listener(delta);
    },
    subscribe(sessionId, listener) {
      const here = listeners.get(sessionId) ?? new Set();
      listeners.set(sessionId, here.add(listener));
      return {
        [Symbol.dispose]() {
          here.delete(listener);
          if (here.size === 0 && listeners.get(sessionId) === here) listeners.delete(sessionId);
        },
      };
    },
  };
}

/** A reader that is this far behind gets no more deltas until it has caught up; entries always reach it. */
const MAX_UNREAD = 10_000;

/**
 * The one stream of a session that every protocol encodes: entries from the log, each exactly once and in order, with the
 * deltas of this process between them. Subscribes when it is called; ends when the signal is aborted.
 */
export function watchSession(
  log: SessionLog,
  bus: DeltaBus,
  sessionId: string,
  options: { readonly after: number; readonly signal: AbortSignal },
): AsyncIterable<RunEvent> {
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const channel = createChannel<RunEvent>(signal);
  const subscription = bus.subscribe(sessionId, (delta) => {
    if (channel.size < MAX_UNREAD) channel.push(delta);
  });
  signal.addEventListener("abort", () => subscription[Symbol.dispose](), { once: true });
  pump(asEvents(log.follow(sessionId, options.after, signal)), channel);

  return (async function* () {
    try {
      yield* channel;
    } finally {
      ended.abort();
    }
  })();
}

async function* asEvents(entries: AsyncIterable<Entry>): AsyncGenerator<RunEvent> {
  for await (const entry of entries) yield { type: "entry", entry };
}

/** Moves events into a channel as they come, whether or not anybody reads it. Never rejects: the channel's reader is told. */
export async function pump(events: AsyncIterable<RunEvent>, channel: Channel<RunEvent>): Promise<void> {
  try {
    for await (const event of events) {
      if (event.type === "entry" || channel.size < MAX_UNREAD) channel.push(event);
    }
    channel.close();
  } catch (error) {
    channel.fail(error);
  }
}

/** Drops the entries before the message's own. Deltas may come before it does, so they all pass. */
export async function* fromMessage(
  events: AsyncIterable<RunEvent>,
  messageId: string,
): AsyncGenerator<RunEvent> {
  let begun = false;
  for await (const event of events) {
    begun ||= isMessage(event, messageId);
    if (begun || event.type !== "entry") yield event;
  }
}

function isMessage(event: RunEvent, messageId: string): boolean {
  return event.type === "entry" && event.entry.type === "userMessage" && event.entry.inboxId === messageId;
}

/** As `watchSession`, up to and including the end of the run that answers the message. */
export async function* untilAnswered(
  events: AsyncIterable<RunEvent>,
  messageId: string,
): AsyncGenerator<RunEvent> {
  let taken = false;
  for await (const event of events) {
    yield event;
    if (event.type !== "entry") continue;
    taken ||= isMessage(event, messageId);
    const { type } = event.entry;
    if (taken && (type === "runFinished" || type === "runFailed")) return;
  }
}
