import type { InterruptRecord } from "../session/interrupts.ts";

/**
 * The port to what people outside are to be told: that they are asked something, and reminders while nobody has answered. What is
 * due is kept with the questions, so that it outlives the process. Implemented by the same stores.
 */
export interface Notices {
  /**
   * What is due now about open questions of these agents, the longest overdue first: at most `limit`. It belongs to the caller for
   * `forMs`; what is neither settled nor put off until then becomes due again, so that it is told at least once.
   */
  takeNotices(query: {
    readonly agents: readonly string[];
    readonly limit: number;
    readonly forMs: number;
  }): Promise<readonly Notice[]>;

  /** It was told, or cannot be. The question's next reminder becomes due in its time; those that time has passed are left out. */
  settleNotice(notice: Notice): Promise<void>;

  /** It could not be told, and is tried again after this time. */
  putOffNotice(notice: Notice, delayMs: number): Promise<void>;
}

export interface Notice {
  readonly interrupt: InterruptRecord;
  /** 0 for the question itself, above for its reminders. Stays the same when it is tried again. */
  readonly number: number;
  /** How often it could not be told. */
  readonly failures: number;
}
