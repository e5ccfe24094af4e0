import type { Sessions } from "./sessions.ts";

/**
 * The sending of the message for which a session was made. Where it is refused, the session is not left behind, empty, and
 * does not count; one that somebody else has used meanwhile stays.
 */
export async function orNothing<T>(
  sending: Promise<T>,
  sessionId: string,
  sessions: Pick<Sessions, "delete">,
): Promise<T> {
  try {
    return await sending;
  } catch (error) {
    await sessions.delete(sessionId, { onlyUnused: true }).catch(() => {});
    throw error;
  }
}
