import type { Clock } from "../../lib/clock.ts";
import type { SessionLog } from "../../log/session-log.ts";
import { openSessionWriter } from "../session-writer.ts";
import { createInbox } from "./inbox.ts";
import type { RunQueue } from "./queue.ts";

/**
 * Moves what is in a session's inbox into its log and does nothing about it: for processes that work on no sessions, and whose caller
 * expects that what they said holds from now on. Whoever has the session at work does it in their place.
 */
export async function settleInbox(
  log: SessionLog & RunQueue,
  sessionId: string,
  clock: Clock,
): Promise<void> {
  const lease = await log.claim(sessionId);
  if (lease === undefined) return;
  try {
    const writer = await openSessionWriter(log, lease, clock);
    await createInbox(log, writer).take();
    await writer.durable();
  } finally {
    await log.release(lease);
  }
}
