import type { UserBlock } from "../../log/content.ts";
import type { Delivery, InterruptAnswer, PermissionMode } from "../../log/entry.ts";
import type { Quota } from "../../log/session-log.ts";
import type { AddedRule } from "../../log/state.ts";
import type { InterruptFilter, InterruptRecord } from "../session/interrupts.ts";

/**
 * The port to everything about a session that is not its log: the inbox into which anybody may write, and the leases that
 * say who may write the log. Implemented by the same stores, tested by the same contract suite.
 */
export interface RunQueue {
  /**
   * Puts a command into a session's inbox and wakes whoever runs it. Durable when it resolves. A second item with the same
   * `key` is not stored: the first one is returned with `duplicate: true`.
   * @throws AppError `not_found` for an unknown session, `conflict` for a key used with other content, `rate_limited` for a
   * message when a thousand wait already; and what the conditions say, decided in the same transaction. An answer to an
   * interrupt that is unknown is `not_found`; one that is not the first is a `conflict`, with who answered and when.
   */
  enqueue(
    sessionId: string,
    command: Command,
    key?: string,
    conditions?: EnqueueConditions,
  ): Promise<{ readonly id: string; readonly duplicate: boolean }>;

  /**
   * Answers, in the place of people, the questions whose time has come (`expiresAt`, `abandonAt`): at most `limit` of them, each
   * once, over all processes. Returns how many.
   */
  expire(limit: number): Promise<number>;

  /** Questions to people, of all sessions, the latest first. */
  interrupts(filter?: InterruptFilter): Promise<readonly InterruptRecord[]>;

  /** The items of a session's inbox that are not in the log yet, oldest first. */
  inbox(sessionId: string): Promise<readonly InboxItem[]>;

  /**
   * Takes the lease of a session: nobody holds it, or its holder is dead or silent for longer than its lease.
   * Undefined when somebody else holds it, or its files are being replaced (`hold`). Taking it grows the epoch. A node that holds it already gets the same lease.
   */
  claim(sessionId: string): Promise<Lease | undefined>;

  /** Gives the lease back. Without effect if it was lost meanwhile. */
  release(lease: Lease): Promise<void>;

  /** Sessions that have work (a filled inbox, or a run that is not finished) and no living holder of their lease. */
  runnable(limit: number): Promise<readonly string[]>;

  /** Calls `listener` soon after a session got work, from this process or (with some delay) from another. */
  onWake(listener: (sessionId: string) => void): Disposable;
}

/** The port to the rules that people have made for all sessions of an agent ("always"). Implemented by the same stores. */
export interface RuleBook {
  /** In the order in which they were made. They are added by `ruleAdded` entries with the scope `agent`. */
  rules(agent: string): Promise<readonly AddedRule[]>;
  /** False when there is no such rule. */
  removeRule(agent: string, rule: Pick<AddedRule, "list" | "rule">): Promise<boolean>;
}

/** When a command is refused. */
export interface EnqueueConditions {
  /** `conflict` unless the session has nothing to do. */
  readonly onlyIfIdle?: boolean;
  /** Runs at once, over all processes: `rate_limited` for what would begin one more. A session that has work begins none. */
  readonly runs?: Quota;
}

/** What a person or a program may ask of a session. */
export type Command =
  | {
      readonly type: "message";
      readonly blocks: readonly UserBlock[];
      /** Use this model for the run instead of the agent's. */
      readonly model?: string;
      /** What becomes of it when a run goes on. */
      readonly delivery?: Delivery;
      /** The session works in this mode from now on, also where the message waits for another run to end. */
      readonly mode?: PermissionMode;
      /** Who sent it, where the sender said so. */
      readonly actor?: string;
    }
  /** A person's answer to an interrupt. */
  | {
      readonly type: "answer";
      readonly interruptId: string;
      readonly answer: InterruptAnswer;
      readonly actor?: string;
      /** How it was given: "cli", "http", "link", "clock". */
      readonly channel?: string;
      /** What "always" adds to the rules. */
      readonly rules?: readonly AddedRule[];
    }
  /** One of several approvals that are needed; the store makes it of an answer. */
  | { readonly type: "vote"; readonly interruptId: string; readonly actor: string }
  | { readonly type: "mode"; readonly mode: PermissionMode; readonly actor?: string }
  | { readonly type: "rule"; readonly rule: AddedRule; readonly actor?: string }
  | { readonly type: "stop"; readonly reason?: string };

export interface InboxItem {
  readonly id: string;
  readonly at: number;
  readonly command: Command;
}

export interface Lease {
  readonly sessionId: string;
  /** Whose session it is. */
  readonly tenant: string;
  readonly nodeId: string;
  /** Grows each time the lease changes hands. */
  readonly epoch: number;
  readonly headId: string | null;
  readonly headSeq: number;
}
