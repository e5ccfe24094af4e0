import { unreachable } from "../lib/errors.ts";
import type { NewEntry } from "../log/entry.ts";
import type { InboxItem, RunQueue } from "./queue.ts";
import type { SessionWriter } from "./session-writer.ts";

/** Moves what anybody put into a session's inbox into its log; called by the owner whenever the session is woken. */
export interface Inbox {
  /** Appends an entry for each new item. */
  take(): Promise<void>;
}

export function createInbox(queue: RunQueue, writer: SessionWriter): Inbox {
  // An item stays in the inbox until its entry is on disk, so a second look before that sees it again.
  const taken = new Set<string>();
  return {
    async take() {
      const items = await queue.inbox(writer.lease.sessionId);
      const fresh = items.filter((item) => !taken.has(item.id));
      for (const item of fresh) taken.add(item.id);
      if (fresh.length > 0) writer.append(...fresh.map(entryOf));
    },
  };
}

function entryOf({ id, command }: InboxItem): NewEntry {
  switch (command.type) {
    case "message":
      return {
        type: "userMessage",
        inboxId: id,
        blocks: command.blocks,
        ...(command.model === undefined ? {} : { model: command.model }),
      };
    case "stop":
      return {
        type: "stopRequested",
        inboxId: id,
        ...(command.reason === undefined ? {} : { reason: command.reason }),
      };
    default:
      return unreachable(command);
  }
}
