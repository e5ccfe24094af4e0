import type { HookPoint } from "../log/entry.ts";

/**
 * The port to a hook: a command or a function of the operator that is asked at a named point of a run, and may add context,
 * change arguments, veto, or end the run. docs/hooks.md has the table of what each point gets and may do.
 */
export interface Hook {
  /** Unique in the agent; what entries and messages call it. */
  readonly name: string;
  readonly point: HookPoint;
  /** Patterns of tool names, for `beforeTool` and `afterTool`. Null: all. */
  readonly tools: readonly string[] | null;
  readonly timeoutMs: number;
  /** What it means when it fails or takes too long: go on, or do not do what it was asked about. */
  readonly onFailure: "ignore" | "block";

  /** Rejects when it cannot answer. Must settle soon after the signal is aborted. */
  ask(question: HookQuestion, signal: AbortSignal): Promise<HookAnswer>;
}

/** Plain JSON. Which fields there are besides these depends on the point. */
export interface HookQuestion {
  readonly point: HookPoint;
  readonly agent: string;
  readonly sessionId: string;
  readonly runId: string;
  readonly [field: string]: unknown;
}

/** Plain JSON. `{}` lets everything go on as it is. */
export interface HookAnswer {
  /** Default `allow`; with `input`: `change`. `ask`: a person decides about the call (`beforeTool`). `end` ends the run. */
  readonly decision?: "allow" | "ask" | "veto" | "end";
  /** Shown to the model and to people with `veto` and `end`, to whoever is asked with `ask`. */
  readonly reason?: string;
  /** Arguments for the call instead of the model's (`beforeTool`). They are validated and checked by the rules again. */
  readonly input?: unknown;
  /** What the model gets to see in addition. */
  readonly context?: string;
}
