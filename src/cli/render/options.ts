import type { Style } from "../terminal.ts";

export interface ViewOptions {
  readonly style: (style: Style, text: string) => string;
  /** Columns that a line of a call may take. */
  readonly width: number;
  readonly output: OutputLimits;
  /** The message whose sender watches, and that is therefore not repeated. */
  readonly hideMessage?: string;
  /** Options that name where the session is, for commands that are suggested. */
  readonly place?: readonly string[];
  /** Who looks: need not be told that they said something. */
  readonly viewer?: string;
}

/** How many lines of a call's output are shown: the first ones as they come, the last ones when it has ended. */
export interface OutputLimits {
  readonly head: number;
  readonly tail: number;
}
