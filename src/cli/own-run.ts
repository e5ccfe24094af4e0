import type { RunEvent } from "../run/session/events.ts";
import { isRunEnd } from "../run/session/watch.ts";

/**
 * Which events belong to the run that answers a message, for a message that waits until other runs have ended (`followUp`):
 * what those do is theirs to show. Called with each event in order; of other messages, everything belongs.
 */
export function ownRunFilter(
  messageId: string | null,
  { isFollowUp, isRunOpen }: { readonly isFollowUp: boolean; readonly isRunOpen: boolean },
): (event: RunEvent) => boolean {
  let open = isRunOpen;
  let held = isFollowUp && isRunOpen;
  let arrived = false;
  let isNext = false;
  return (event) => {
    if (event.type !== "entry") return event.type === "waiting" || !held;
    const { entry } = event;
    if (entry.type === "userMessage" && entry.inboxId === messageId) {
      arrived = true;
      held = entry.delivery === "followUp" && open;
    }
    if (entry.type === "runStarted") {
      open = true;
      if (isNext) held = false;
    }
    if (!isRunEnd(entry)) return !held;
    open = false;
    const left = entry.left ?? [];
    // Where it is not among those that are left, a stop has ended it, too.
    if (arrived && !left.includes(messageId ?? "")) held = false;
    // The first of them, with all that joins it, has the next run.
    isNext = left[0] === messageId;
    return !held;
  };
}
