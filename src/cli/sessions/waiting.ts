import type { UserBlock } from "../../log/content.ts";
import type { Delivery } from "../../log/entry.ts";
import type { SessionState } from "../../log/state.ts";
import type { InboxItem } from "../../run/worker/queue.ts";

/** Something that was sent to a session and has not had its turn. */
export interface Waiting {
  /** The message's id, as `send` gave it. */
  readonly id: string;
  readonly type: InboxItem["command"]["type"];
  /** Of a message: what becomes of it. */
  readonly delivery?: Delivery;
  /** Of a message. */
  readonly text?: string;
  readonly actor?: string;
}

/** In the order in which it will be taken: first what is in the log, then what is not yet. */
export function waitingOf({ deferred }: SessionState, inbox: readonly InboxItem[]): readonly Waiting[] {
  const inLog = deferred.flatMap(({ inboxId, blocks, delivery, stopped }): readonly Waiting[] =>
    inboxId === undefined || delivery === "note" || stopped
      ? []
      : [{ id: inboxId, type: "message", delivery, text: textOf(blocks) }],
  );
  return [...inLog, ...inbox.map(waitingItem)];
}

function waitingItem({ id, command }: InboxItem): Waiting {
  switch (command.type) {
    case "message": {
      const { delivery = "steer", blocks, actor } = command;
      return {
        id,
        type: "message",
        delivery,
        text: textOf(blocks),
        ...(actor === undefined ? {} : { actor }),
      };
    }
    case "answer":
    case "vote":
    case "mode":
    case "rule":
      return {
        id,
        type: command.type,
        ...(command.actor === undefined ? {} : { actor: command.actor }),
      };
    case "stop":
      return { id, type: command.type };
  }
}

const deliveryWords: Readonly<Record<Delivery, string>> = {
  steer: "seen before the next model call",
  followUp: "answered by a run of its own",
  interrupt: "stops the run, then is answered",
};

/** What becomes of it, for people. */
export function wordsFor({ type, delivery = "steer", actor }: Waiting): string {
  switch (type) {
    case "stop":
      return "a stop";
    case "answer":
      return actor === undefined ? "a person's answer" : `${actor}'s answer`;
    case "vote":
      return `${actor ?? "somebody"}'s approval, one of several`;
    case "mode":
      return "another mode";
    case "rule":
      return "a new rule";
    case "message":
      return actor === undefined ? deliveryWords[delivery] : `${actor}, ${deliveryWords[delivery]}`;
  }
}

function textOf(blocks: readonly UserBlock[]): string {
  return blocks.map((block) => (block.type === "text" ? block.text : `[${block.mediaType}]`)).join("\n");
}
