import type { Usage } from "../../log/content.ts";

/** The port to what calls to models have cost, added up as they end. Reading it folds no log. */
export interface CostLedger {
  /** @param query `since` is rounded down to its day (UTC), except by session. */
  costs(query: CostQuery): Promise<CostReport>;
}

export const costGroupings = ["day", "agent", "model", "actor", "tenant", "session"] as const;

export type CostGrouping = (typeof costGroupings)[number];

export interface CostQuery {
  readonly by: CostGrouping;
  /** Milliseconds since 1970. Default: from the first call. */
  readonly since?: number;
  readonly agent?: string;
  readonly tenant?: string;
  /** The most expensive ones; of days, the latest. Default 100, at most 1,000. The total is of all. */
  readonly limit?: number;
}

export interface CostReport {
  readonly by: CostGrouping;
  /** The first day that is in it ("2026-01-31"); by session: the day since which they changed. Null: all. */
  readonly since: string | null;
  readonly rows: readonly CostRow[];
  readonly total: Costs;
  /** Rows that the limit left out. */
  readonly omitted: number;
}

export interface CostRow extends Costs {
  /** The day, name or id. By actor: null where nobody said who they are. */
  readonly key: string | null;
}

export interface Costs {
  /** Calls that were answered, and those whose answer was lost. By session: model calls of all tries. */
  readonly calls: number;
  readonly usage: Usage;
  /** US dollars of the calls whose price is known. */
  readonly costUsd: number;
  /** Calls whose cost is not known, lost ones included; when above 0, `costUsd` is a lower bound. */
  readonly unpricedCalls: number;
  /** Calls that a crash or a stop cut off. Null by session, where they are not told apart. */
  readonly lostCalls: number | null;
}
