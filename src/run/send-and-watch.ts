import { createChannel } from "../lib/streams.ts";
import type { SessionRecord } from "../log/session-log.ts";
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
): Promise<WatchedMessage> {
  const watching = new AbortController();
  const live = sessions.watch(id, { after: headSeq, signal: watching.signal });
  try {
    const { messageId, duplicate } = await sessions.send(id, message);
    if (!duplicate) {
      const events = readAhead(untilAnswered(fromMessage(live, messageId), messageId), watching.signal);
      return { messageId, duplicate, events, leave: () => watching.abort() };
    }
    // A message that was sent before may stand anywhere in the log.
    watching.abort();
    const again = new AbortController();
    const events = sessions.watchRun(id, messageId, { signal: again.signal });
    return { messageId, duplicate, events, leave: () => again.abort() };
  } catch (error) {
    watching.abort();
    throw error;
  }
}

function readAhead(events: AsyncIterable<RunEvent>, signal: AbortSignal): AsyncIterable<RunEvent> {
  const channel = createChannel<RunEvent>(signal);
  pump(events, channel);
  return channel;
}
