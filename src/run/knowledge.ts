import type { ModelFacts } from "../models/model.ts";

/** What a decision needs to know besides log and agent. */
export interface Knowledge {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly facts: (modelId: string) => ModelFacts;
  /** The most that a call can cost, in US dollars; null where the price is not known. */
  readonly worstCase: (modelId: string, inputTokens: number, outputTokens: number) => number | null;
}
