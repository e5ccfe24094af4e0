import type { InterruptAnswer, InterruptRequest } from "../../log/entry.ts";

/** A question to a person on which a run waits, or waited. */
export interface InterruptRecord {
  readonly id: string;
  readonly sessionId: string;
  readonly agent: string;
  readonly runId: string;
  /** When it was asked, milliseconds since 1970. */
  readonly at: number;
  readonly request: InterruptRequest;
  readonly status: InterruptStatus;
  /** Null unless somebody has answered. */
  readonly answered: {
    readonly answer: InterruptAnswer;
    readonly actor: string | null;
    readonly at: number;
  } | null;
}

/** `closed`: its run ended otherwise. */
export const interruptStatuses = ["open", "answered", "closed"] as const;

export type InterruptStatus = (typeof interruptStatuses)[number];

export interface InterruptFilter {
  readonly status?: InterruptStatus;
  readonly agent?: string;
  readonly tenant?: string;
  readonly sessionId?: string;
  /** Default 100, at most 1,000. */
  readonly limit?: number;
}
