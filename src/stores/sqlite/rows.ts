import type { Usage } from "../../log/content.ts";
import type { SessionRecord, SessionStatus } from "../../log/session-log.ts";

/** A row of "session" with the id of the session that it was forked from. */
export interface SessionRow extends UsageColumns {
  readonly key: number;
  readonly id: string;
  readonly agent: string;
  readonly tenant: string;
  readonly title: string | null;
  readonly create_key: string | null;
  readonly fingerprint: string | null;
  readonly status: SessionStatus;
  readonly last_run_end: string | null;
  readonly head_id: string | null;
  readonly head_seq: number;
  readonly created_at: number;
  readonly updated_at: number;
  readonly turns: number;
  readonly cost_usd: number;
  readonly unpriced_calls: number;
  readonly owner: string | null;
  readonly epoch: number;
  readonly forked_key: number | null;
  readonly forked_entry: string | null;
  readonly forked_seq: number | null;
  readonly forked_id: string | null;
  readonly files_due: string | null;
  readonly held_by: string | null;
  readonly hold: string | null;
}

export const SELECT_SESSION = `
  SELECT session.*, parent.id AS forked_id
  FROM session LEFT JOIN session AS parent ON parent.key = session.forked_key`;

export function sessionRecord(row: SessionRow): SessionRecord {
  return {
    id: row.id,
    agent: row.agent,
    tenant: row.tenant,
    title: row.title,
    status: row.status,
    lastRunEnd: row.last_run_end,
    headId: row.head_id,
    headSeq: row.head_seq,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    turns: row.turns,
    usage: usageIn(row),
    costUsd: row.cost_usd,
    unpricedCalls: row.unpriced_calls,
    forkedFrom:
      row.forked_id === null || row.forked_entry === null
        ? null
        : { sessionId: row.forked_id, entryId: row.forked_entry },
  };
}

/** Sums of tokens, as the tables that keep them name their columns. */
export interface UsageColumns {
  readonly usage_input: number;
  readonly usage_cache_read: number;
  readonly usage_cache_write: number;
  readonly usage_output: number;
  readonly usage_reasoning: number;
}

export function usageIn(row: UsageColumns): Usage {
  return {
    input: row.usage_input,
    cacheRead: row.usage_cache_read,
    cacheWrite: row.usage_cache_write,
    output: row.usage_output,
    reasoning: row.usage_reasoning,
  };
}
