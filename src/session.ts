import type { UserBlock } from "./log/content.ts";
import type { Delivery, InterruptAnswer, PermissionMode } from "./log/entry.ts";
import type { RunEvent } from "./run/session/events.ts";
import type { InterruptRecord, InterruptStatus } from "./run/session/interrupts.ts";
import { collectRun, type RunResult } from "./run/session/run-result.ts";
import { sendAndWatch } from "./run/session/send-and-watch.ts";
import type { AnswerOptions, Sessions } from "./run/session/sessions.ts";

/** One session, for programs. What it does goes on whether or not anybody reads the events. */
export interface Session {
  readonly id: string;
  /**
   * Sends a message. It is durable when this resolves, and will be answered whatever happens to this process. Iterate over
   * the result for the events of the run, or await its `result()`.
   */
  send(message: string | readonly UserBlock[], options?: SendOptions): Promise<Run>;
  /** Ends the current run; false when there was none. */
  stop(): Promise<boolean>;
  /** What it has asked people, the latest first. */
  interrupts(status?: InterruptStatus): Promise<readonly InterruptRecord[]>;
  /** As `Sessions.answer`: the first answer counts. */
  answer(interruptId: string, answer: InterruptAnswer, options?: AnswerOptions): Promise<InterruptRecord>;
  /** What it may do from now on. */
  setMode(mode: PermissionMode, actor?: string): Promise<void>;
}

export interface SendOptions {
  /** Use this model for the run. */
  readonly model?: string;
  /**
   * What becomes of it while a run goes on: it steers the run, is answered by a run of its own afterwards, stops the run,
   * or is refused (`conflict`). Default: the agent's `delivery`.
   */
  readonly delivery?: Delivery | "reject";
  /** Who sends it, for the record. */
  readonly actor?: string;
  /** With the same key the message is sent once. */
  readonly idempotencyKey?: string;
  /** Ends the reading, not the run. */
  readonly signal?: AbortSignal;
}

export interface Run extends AsyncIterable<RunEvent> {
  readonly messageId: string;
  /** Reads the run to its end. Instead of iterating, not beside it. */
  result(): Promise<RunResult>;
}

export function openSession(sessions: Sessions, id: string): Session {
  return {
    id,
    async send(message, { signal, ...options } = {}) {
      const blocks: readonly UserBlock[] =
        typeof message === "string" ? [{ type: "text", text: message }] : message;
      const { messageId, events } = await sendAndWatch(
        sessions,
        await sessions.get(id),
        { blocks, ...options },
        signal,
      );
      return {
        messageId,
        [Symbol.asyncIterator]: () => events[Symbol.asyncIterator](),
        result: () => collectRun(events),
      };
    },
    stop: async () => (await sessions.stop(id)).stopped,
    interrupts: (status) =>
      sessions.interrupts({ sessionId: id, ...(status === undefined ? {} : { status }) }),
    answer: (interruptId, answer, options) => sessions.answer(id, interruptId, answer, options),
    setMode: (mode, actor) => sessions.setMode(id, mode, actor),
  };
}
