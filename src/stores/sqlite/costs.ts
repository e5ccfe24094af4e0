import type { CostGrouping, CostLedger, CostQuery, CostReport, CostRow } from "../../run/session/costs.ts";
import { dayOf } from "../../run/turn/budget.ts";
import type { Database } from "./database.ts";
import type { Parts } from "./parts.ts";
import { type UsageColumns, usageIn } from "./rows.ts";

export function createCostLedger({ database }: Parts): CostLedger {
  return {
    costs: async (query) => database.read(() => report(database, query)),
  };
}

function report(database: Database, query: CostQuery): CostReport {
  const { by, since } = query;
  const source = by === "session" ? sessionSource(query) : spendSource(query);
  const limit = Math.min(query.limit ?? 100, 1_000);
  const order = by === "day" ? "key DESC" : "cost_usd DESC, key";
  const rows = database.all<SumRow>(
    `SELECT ${source.key} AS key, ${SUMS} FROM ${source.from} GROUP BY 1 ORDER BY ${order} LIMIT ?`,
    ...source.values,
    limit,
  );
  const total = database.get<SumRow & { readonly keys: number }>(
    `SELECT NULL AS key, count(DISTINCT ${source.key}) AS keys, ${SUMS} FROM ${source.from}`,
    ...source.values,
  );
  const { key: _, ...sums } = costRow(total ?? NOTHING, by);
  return {
    by,
    since: since === undefined ? null : dayOf(since),
    rows: rows.map((row) => costRow(row, by)),
    total: sums,
    omitted: (total?.keys ?? 0) - rows.length,
  };
}

interface Source {
  readonly from: string;
  readonly key: string;
  readonly values: readonly (string | number | null)[];
}

const columns: Readonly<Record<Exclude<CostGrouping, "session">, string>> = {
  day: "day",
  agent: "agent",
  model: "model",
  actor: "actor",
  tenant: "tenant",
};

function spendSource({ by, since, agent, tenant }: CostQuery): Source {
  return {
    from: "(SELECT * FROM spend WHERE day >= ? AND (? IS NULL OR agent = ?) AND (? IS NULL OR tenant = ?))",
    key: by === "session" ? "NULL" : columns[by],
    values: [
      since === undefined ? "" : dayOf(since),
      ...[agent ?? null, agent ?? null],
      ...[tenant ?? null, tenant ?? null],
    ],
  };
}

/** Whole sessions, of those that have changed since. */
function sessionSource({ since, agent, tenant }: CostQuery): Source {
  return {
    from: `(SELECT *, turns AS calls, 0 AS lost_calls FROM session
            WHERE updated_at >= ? AND (? IS NULL OR agent = ?) AND (? IS NULL OR tenant = ?))`,
    key: "id",
    values: [since ?? 0, ...[agent ?? null, agent ?? null], ...[tenant ?? null, tenant ?? null]],
  };
}

interface SumRow extends UsageColumns {
  readonly key: string | null;
  readonly calls: number;
  readonly cost_usd: number;
  readonly unpriced_calls: number;
  readonly lost_calls: number;
}

const SUMS = [
  "calls",
  "usage_input",
  "usage_cache_read",
  "usage_cache_write",
  "usage_output",
  "usage_reasoning",
  "cost_usd",
  "unpriced_calls",
  "lost_calls",
]
  .map((name) => `coalesce(sum(${name}), 0) AS ${name}`)
  .join(", ");

const NOTHING: SumRow = {
  key: null,
  calls: 0,
  usage_input: 0,
  usage_cache_read: 0,
  usage_cache_write: 0,
  usage_output: 0,
  usage_reasoning: 0,
  cost_usd: 0,
  unpriced_calls: 0,
  lost_calls: 0,
};

function costRow(row: SumRow, by: CostGrouping): CostRow {
  return {
    key: row.key === "" ? null : row.key,
    calls: row.calls,
    usage: usageIn(row),
    costUsd: row.cost_usd,
    unpricedCalls: row.unpriced_calls,
    lostCalls: by === "session" ? null : row.lost_calls,
  };
}
