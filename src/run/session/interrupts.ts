import type { InterruptAnswer, InterruptKind, InterruptRequest } from "../../log/entry.ts";

/** A question to a person on which a run waits, or waited. */
export interface InterruptRecord {
  /** Unique over all sessions. */
  readonly id: string;
  readonly sessionId: string;
  readonly agent: string;
  readonly runId: string;
  /** When it was asked, milliseconds since 1970. */
  readonly at: number;
  readonly request: InterruptRequest;
  readonly status: InterruptStatus;
  /** Who has approved already, where several have to. */
  readonly votes: readonly Vote[];
  /** Null unless somebody has answered, or time has. */
  readonly answered: {
    readonly answer: InterruptAnswer;
    readonly actor: string | null;
    /** "cli", "http", "link"; "clock" for what time has answered; null where nobody said. */
    readonly channel: string | null;
    readonly at: number;
  } | null;
}

export interface Vote {
  readonly actor: string;
  readonly at: number;
}

/** `closed`: its run ended otherwise, or a rule has decided it meanwhile. */
export const interruptStatuses = ["open", "answered", "closed"] as const;

export type InterruptStatus = (typeof interruptStatuses)[number];

export interface InterruptFilter {
  readonly status?: InterruptStatus;
  readonly agent?: string;
  readonly tenant?: string;
  readonly sessionId?: string;
  readonly id?: string;
  readonly kind?: InterruptKind;
  /** Only those that this person may answer: named among the approvers, or anybody may; and not excluded. */
  readonly answerableBy?: string;
  /** Default 100, at most 1,000. */
  readonly limit?: number;
}

export const interruptKinds = [
  "approval",
  "breakpoint",
  "outcome",
  "question",
  "auth",
  "budget",
] as const satisfies readonly InterruptKind[];

/** What people can answer; the rest is time's to say, or the runtime's. */
export const personsActions = [
  "approve",
  "edit",
  "reject",
  "respond",
  "done",
  "retry",
  "skip",
  "raise",
  "end",
] as const satisfies readonly InterruptAnswer["action"][];

export type PersonsAction = (typeof personsActions)[number];

/** What a person may answer to it. @pure */
export function actionsFor({ kind, quorum = 1 }: InterruptRequest): readonly PersonsAction[] {
  switch (kind) {
    case "approval":
    case "breakpoint":
      // Several people cannot be of one mind about arguments that each writes anew.
      return quorum > 1 ? ["approve", "reject"] : ["approve", "edit", "reject", "respond"];
    case "question":
    case "auth":
      return ["respond", "reject"];
    case "outcome":
      return ["done", "retry", "skip"];
    case "budget":
      return ["raise", "end"];
  }
}
