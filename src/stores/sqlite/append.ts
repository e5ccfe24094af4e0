import { AppError } from "../../lib/errors.ts";
import type { Entry } from "../../log/entry.ts";
import type { Fence, SessionStatus } from "../../log/session-log.ts";
import { type SessionPatch, sessionPatch } from "../../log/session-patch.ts";
import { Undo } from "./commits.ts";
import { insertEntry } from "./entries.ts";
import { isConstraint } from "./errors.ts";
import { moveInboxItem, refreshStatus } from "./inbox.ts";
import type { Parts } from "./parts.ts";
import { knownSession } from "./sessions.ts";

/** A writer that numbers its entries wrongly has a defect; it must not reach the log. */
export function checkChain(sessionId: string, fence: Fence, entries: readonly Entry[]): void {
  let parent = fence.head;
  let seq = entries[0]?.seq ?? 0;
  for (const entry of entries) {
    if (entry.sessionId !== sessionId || entry.parentId !== parent || entry.seq !== seq) {
      throw new AppError(
        "invalid_input",
        `The entry ${entry.id} does not follow ${parent} in session "${sessionId}".`,
      );
    }
    parent = entry.id;
    seq += 1;
  }
}

/** Inside a transaction. */
export function appendEntries(
  parts: Parts,
  sessionId: string,
  fence: Fence,
  { entries, status }: { readonly entries: readonly Entry[]; readonly status: SessionStatus | undefined },
): void {
  const { database, nodes } = parts;
  nodes.keepAlive();
  const patch = sessionPatch(entries);
  const session = advanceSession(parts, sessionId, fence, { entries, patch });
  if (session === undefined) throw whyRefused(parts, sessionId, fence);
  const { key } = session;
  try {
    for (const entry of entries) {
      insertEntry(database, key, entry);
      if (entry.type === "userMessage" || entry.type === "stopRequested") {
        moveInboxItem(database, key, entry.inboxId, entry.seq);
      }
    }
  } catch (error) {
    if (!isConstraint(error)) throw error;
    throw new Undo(
      new AppError("conflict", `A tool call of session "${sessionId}" has a result already.`, {
        cause: error,
      }),
    );
  }
  const settled = patch.consumed.length === 0 && patch.status === undefined;
  if (!settled || (status ?? session.status) !== session.status) {
    refreshStatus(database, key, patch.updatedAt, status);
  }
}

/** The fence and the summary in one statement. Undefined when the fence does not hold. */
function advanceSession(
  { database, nodes }: Parts,
  sessionId: string,
  fence: Fence,
  { entries, patch }: { readonly entries: readonly Entry[]; readonly patch: SessionPatch },
): { readonly key: number; readonly status: SessionStatus } | undefined {
  const last = entries.at(-1);
  return database.get(
    `UPDATE session SET
       head_id = ?, head_seq = ?, status = coalesce(?, status), last_run_end = coalesce(?, last_run_end),
       updated_at = max(updated_at, ?), turns = turns + ?,
       usage_input = usage_input + ?, usage_cache_read = usage_cache_read + ?,
       usage_cache_write = usage_cache_write + ?, usage_output = usage_output + ?,
       usage_reasoning = usage_reasoning + ?, cost_usd = cost_usd + ?, unpriced_calls = unpriced_calls + ?
     WHERE id = ? AND owner = ? AND epoch = ? AND head_id IS ? AND head_seq = ?
     RETURNING key, status`,
    last?.id ?? null,
    last?.seq ?? 0,
    patch.status ?? null,
    patch.lastRunEnd ?? null,
    patch.updatedAt,
    patch.turns,
    patch.usage.input,
    patch.usage.cacheRead,
    patch.usage.cacheWrite,
    patch.usage.output,
    patch.usage.reasoning,
    patch.costUsd,
    patch.unpricedCalls,
    sessionId,
    nodes.nodeId,
    fence.epoch,
    fence.head,
    (last?.seq ?? 0) - entries.length,
  );
}

function whyRefused({ database, nodes }: Parts, sessionId: string, fence: Fence): AppError {
  const row = knownSession(database, sessionId);
  if (row.owner !== nodes.nodeId || row.epoch !== fence.epoch) {
    return new AppError("fenced", `This process no longer holds the lease of session "${sessionId}".`, {
      details: { epoch: fence.epoch, currentEpoch: row.epoch, holder: row.owner },
    });
  }
  if (row.head_id === fence.head) {
    const next = row.head_seq + 1;
    return new AppError(
      "invalid_input",
      `The next entry of session "${sessionId}" must have the number ${next}.`,
    );
  }
  return new AppError(
    "stale_head",
    `Session "${sessionId}" stands at ${row.head_id}, not at ${fence.head}.`,
    {
      details: { expected: fence.head, head: row.head_id, headSeq: row.head_seq },
    },
  );
}
