import { createChannel } from "../../lib/streams.ts";
import { LONGEST_TIMER_MS } from "../../lib/units.ts";
import type { SessionRecord } from "../../log/session-log.ts";
import type { RunEvent } from "./events.ts";
import type { SendMessage, Sessions } from "./sessions.ts";
import { fromMessage, pump, untilAnswered } from "./watch.ts";

/** A message that was sent, and the run that answers it. */
export interface WatchedMessage {
  readonly messageId: string;
  /** It had been sent before, with the same key. */
  readonly duplicate: boolean;
  /** From the message to the end of the run that answers it. To be read once, until its end or `leave`. */
  readonly events: AsyncIterable<RunEvent>;
  leave(): void;
}

/**
 * Sends a message while somebody watches already, so that the first words of a fast model are not missed. The watching ends
 * with the run, also when nobody reads.
 */
export async function sendAndWatch(
  sessions: Sessions,
  { id, headSeq }: Pick<SessionRecord, "id" | "headSeq">,
  message: SendMessage,
  signal?: AbortSignal,
): Promise<WatchedMessage> {
  const watching = new AbortController();
  const live = sessions.watch(id, { after: headSeq, signal: watching.signal });
  try {
    const { messageId, duplicate } = await sessions.send(id, message);
    if (!duplicate) {
      const openInterrupts = () => sessions.interrupts({ sessionId: id, status: "open" });
      const run = untilAnswered(fromMessage(live, messageId), messageId, { openInterrupts });
      return {
        messageId,
        duplicate,
        events: readAhead(run, watching, signal),
        leave: () => watching.abort(),
      };
    }
    // A message that was sent before may stand anywhere in the log.
    watching.abort();
    const again = new AbortController();
    const run = sessions.watchRun(id, messageId, { signal: again.signal });
    return { messageId, duplicate, events: readAhead(run, again, signal), leave: () => again.abort() };
  } catch (error) {
    watching.abort();
    throw error;
  }
}

/**
 * Ends when the signal is aborted, which may live much longer than the run. Keeps the process alive until then: while the
 * run waits (for its next try, for a disk with space, for another process) nothing else would.
 */
function readAhead(
  events: AsyncIterable<RunEvent>,
  watching: AbortController,
  signal: AbortSignal | undefined,
): AsyncIterable<RunEvent> {
  const channel = createChannel<RunEvent>(watching.signal);
  const leave = () => watching.abort();
  if (signal?.aborted) leave();
  signal?.addEventListener("abort", leave, { once: true });
  const alive = setInterval(() => {}, LONGEST_TIMER_MS);
  pump(events, channel).then(() => {
    clearInterval(alive);
    signal?.removeEventListener("abort", leave);
  });
  return channel;
}
