import { unreachable } from "../../lib/errors.ts";
import { withoutUndefined } from "../../lib/json.ts";
import type { NewEntry } from "../../log/entry.ts";
import type { SessionState } from "../../log/state.ts";
import type { SessionWriter } from "../session-writer.ts";
import type { Command, InboxItem, RunQueue } from "./queue.ts";

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
      // One by one: what an item becomes depends on those before it. The writer stores them together.
      for (const item of fresh) writer.append(...factsOf(item, writer.state));
    },
  };
}

function factsOf(item: InboxItem, state: SessionState): readonly NewEntry[] {
  const { id, command } = item;
  switch (command.type) {
    case "message": {
      const { blocks, model, delivery, mode, actor } = command;
      const message = withoutUndefined({
        type: "userMessage",
        inboxId: id,
        blocks,
        model,
        delivery,
        actor,
      } as const);
      const isInterrupting = delivery === "interrupt" && state.run !== null;
      return [
        ...(isInterrupting ? [{ type: "stopRequested", reason: "a message interrupted it" } as const] : []),
        ...(mode === undefined ? [] : [withoutUndefined({ type: "modeChanged", mode, actor } as const)]),
        message,
      ];
    }
    case "stop":
      return [withoutUndefined({ type: "stopRequested", inboxId: id, reason: command.reason } as const)];
    case "answer":
      return factsOfAnswer(item, command, state);
    case "vote": {
      const { interruptId, actor } = command;
      return [{ type: "interruptVoted", interruptId, inboxId: id, actor }];
    }
    case "mode": {
      const { mode, actor } = command;
      return [withoutUndefined({ type: "modeChanged", mode, inboxId: id, actor } as const)];
    }
    case "rule": {
      const { rule, actor } = command;
      return [withoutUndefined({ type: "ruleAdded", ...rule, inboxId: id, actor } as const)];
    }
    default:
      return unreachable(command);
  }
}

function factsOfAnswer(
  { id: inboxId, at }: InboxItem,
  command: Extract<Command, { readonly type: "answer" }>,
  { run }: SessionState,
): readonly NewEntry[] {
  const { interruptId, answer, actor, channel, rules = [] } = command;
  const open = run?.interrupts.find((each) => each.interruptId === interruptId);
  const waitedMs = open === undefined ? undefined : Math.max(0, at - open.at);
  const resolved = {
    type: "interruptResolved",
    interruptId,
    inboxId,
    answer,
    actor,
    channel,
    waitedMs,
  } as const;
  // The rules first: what they allow by now does not have to be asked about once more.
  const added = rules.map((rule) => withoutUndefined({ type: "ruleAdded", ...rule, actor } as const));
  return [...added, withoutUndefined(resolved)];
}
