import { type Channel, createChannel } from "../../lib/streams.ts";
import type { Entry } from "../../log/entry.ts";
import type { SessionLog } from "../../log/session-log.ts";
import type { Delta, RunEvent } from "./events.ts";
import type { InterruptRecord } from "./interrupts.ts";

/**
 * Carries deltas from the loops of this process to whoever watches here. `after` is the `seq` of the last entry that was
 * appended before the delta came up, which may not be on disk yet.
 */
export interface DeltaBus {
  publish(sessionId: string, delta: Delta, after: number): void;
  subscribe(sessionId: string, listener: (delta: Delta, after: number) => void): Disposable;
}

export function createDeltaBus(): DeltaBus {
  const listeners = new Map<string, Set<(delta: Delta, after: number) => void>>();
  return {
    publish(sessionId, delta, after) {
      const here = listeners.get(sessionId);
      if (here !== undefined) for (const listener of here) listener(delta, after);
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
  log: Pick<SessionLog, "follow">,
  bus: DeltaBus,
  sessionId: string,
  options: { readonly after: number; readonly signal: AbortSignal },
): AsyncIterable<RunEvent> {
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const channel = createChannel<RunEvent>(signal);
  const order = inOrder(channel, options.after);
  const subscription = bus.subscribe(sessionId, order.addDelta);
  signal.addEventListener("abort", () => subscription[Symbol.dispose](), { once: true });
  follow(log.follow(sessionId, options.after, signal), order);

  return (async function* () {
    try {
      yield* channel;
    } finally {
      ended.abort();
    }
  })();
}

/**
 * Entries reach a reader when they are on disk, deltas at once: a delta that comes up behind an entry waits for it, so that
 * the text of the next answer never stands before the result of a call.
 */
function inOrder(channel: Channel<RunEvent>, after: number) {
  let reached = after;
  const early: { readonly delta: Delta; readonly after: number }[] = [];

  function releaseEarly(): void {
    const held = early.findIndex((item) => item.after > reached);
    for (const { delta } of early.splice(0, held === -1 ? early.length : held)) channel.push(delta);
  }

  return {
    close: channel.close,
    fail: channel.fail,
    push(event: RunEvent): void {
      channel.push(event);
      if (event.type !== "entry") return;
      reached = event.entry.seq;
      if (early.length > 0) releaseEarly();
    },
    addDelta(delta: Delta, behind: number): void {
      if (channel.size + early.length >= MAX_UNREAD) return;
      if (behind <= reached) channel.push(delta);
      else early.push({ delta, after: behind });
    },
  };
}

/** Never rejects: the channel's reader is told. */
async function follow(
  entries: AsyncIterable<Entry>,
  channel: Pick<Channel<RunEvent>, "push" | "close" | "fail">,
): Promise<void> {
  try {
    for await (const entry of entries) channel.push({ type: "entry", entry });
    channel.close();
  } catch (error) {
    channel.fail(error);
  }
}

/** Moves events into a channel as they come, whether or not anybody reads it. Never rejects: the channel's reader is told. */
export async function pump(
  events: AsyncIterable<RunEvent>,
  channel: Pick<Channel<RunEvent>, "size" | "push" | "close" | "fail">,
): Promise<void> {
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

/**
 * As `watchSession`, up to and including the end of the run that answers the message. That is the first run which ends
 * after the message came and does not leave it to those that follow: a run takes what steers it, a stop ends what was asked
 * for before, and what waits for a run of its own is left by each run until then.
 *
 * Ends with `waiting` where the session waits for a person meanwhile, which may take days.
 */
export async function* untilAnswered(
  events: AsyncIterable<RunEvent>,
  messageId: string,
  people: People,
): AsyncGenerator<RunEvent> {
  let arrived = false;
  const asked = createAsked();
  for await (const event of events) {
    yield event;
    if (event.type !== "entry") continue;
    const { entry } = event;
    asked.add(entry);
    const arrives = isMessage(event, messageId);
    arrived ||= arrives;
    if (!arrived) continue;
    if (isRunEnd(entry) && !leaves(entry, messageId)) return;
    if (!arrives && !comesToRest(entry)) continue;
    const interrupt = asked.restsOn(await people.openInterrupts(), entry);
    if (interrupt === undefined || (await people.ask?.(interrupt)) === true) continue;
    yield { type: "waiting", interrupt };
    return;
  }
}

/** After this nothing is done before somebody has answered: a question about a call alone lets others go on. */
function comesToRest(entry: Entry): boolean {
  return entry.type === "runPaused" || (entry.type === "interrupted" && !("call" in entry.request));
}

/** Which questions have come by and have no answer yet, as far as was read. */
function createAsked() {
  const asked = new Set<string>();
  return {
    add(entry: Entry): void {
      if (entry.type === "interrupted") asked.add(entry.interruptId);
      if (entry.type === "interruptResolved") asked.delete(entry.interruptId);
      if (isRunEnd(entry)) asked.clear();
    },
    /**
     * The oldest question on which the session rests at this entry. A reader of an old log passes by places at which it rested once:
     * one of the questions of then has been answered since.
     */
    restsOn(open: readonly InterruptRecord[], { at }: Entry): InterruptRecord | undefined {
      const ids = new Set(open.map(({ id }) => id));
      if ([...asked].some((id) => !ids.has(id))) return undefined;
      return open.findLast((interrupt) => interrupt.at <= at);
    },
  };
}

/** Who can decide what a run waits for. */
export interface People {
  /** On which the session waits now. */
  readonly openInterrupts: () => Promise<readonly InterruptRecord[]>;
  /** Asks whoever reads; true when there is something to read on for. Absent: nobody is there to be asked. */
  readonly ask?: (interrupt: InterruptRecord) => Promise<boolean>;
}

/** As `untilAnswered`, up to the end of the run that is under way, or waits. */
export async function* untilRunEnds(
  events: AsyncIterable<RunEvent>,
  people: People,
): AsyncGenerator<RunEvent> {
  const unanswered = async (open: InterruptRecord | undefined): Promise<InterruptRecord | undefined> =>
    open === undefined || (await people.ask?.(open)) === true ? undefined : open;
  let interrupt = await unanswered((await people.openInterrupts()).at(-1));
  if (interrupt === undefined) {
    const asked = createAsked();
    for await (const event of events) {
      yield event;
      if (event.type !== "entry") continue;
      const { entry } = event;
      if (isRunEnd(entry)) return;
      asked.add(entry);
      if (!comesToRest(entry)) continue;
      interrupt = await unanswered(asked.restsOn(await people.openInterrupts(), entry));
      if (interrupt !== undefined) break;
    }
  }
  if (interrupt !== undefined) yield { type: "waiting", interrupt };
}

type RunEndEntry = Extract<Entry, { readonly type: "runFinished" | "runFailed" }>;

export function isRunEnd(entry: Entry): entry is RunEndEntry {
  return entry.type === "runFinished" || entry.type === "runFailed";
}

function leaves({ left = [] }: RunEndEntry, messageId: string): boolean {
  return left.includes(messageId);
}
