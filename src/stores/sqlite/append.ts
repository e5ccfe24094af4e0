import { AppError } from "../../lib/errors.ts";
import type { Entry } from "../../log/entry.ts";
import type { Fence, SessionStatus } from "../../log/session-log.ts";
import { inboxIdOf, type SessionPatch, sessionPatch } from "../../log/session-patch.ts";
import { Undo } from "./commits.ts";
import { insertEntry } from "./entries.ts";
import { isConstraint } from "./errors.ts";
import { moveInboxItem, refreshStatus } from "./inbox.ts";
import { noteInterrupts } from "./interrupts.ts";
import type { Parts } from "./parts.ts";
import { knownSession } from "./sessions.ts";
import { type Account, accountFor } from "./spend.ts";

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
  const { key, ...account } = session;
  try {
    for (const entry of entries) {
      insertEntry(database, key, entry);
      const inboxId = inboxIdOf(entry);
      if (inboxId !== undefined) moveInboxItem(database, key, inboxId, entry.seq);
    }
  } catch (error) {
    if (!isConstraint(error)) throw error;
    throw new Undo(
      new AppError("conflict", `A tool call of session "${sessionId}" has a result already.`, {
        cause: error,
      }),
    );
  }
  accountFor(database, { session: key, ...account }, entries);
  noteInterrupts(database, { key, agent: account.agent }, entries);
  const settled = patch.consumed.length === 0 && patch.status === undefined;
  if (!settled || (status ?? session.status) !== session.status) {
    refreshStatus(database, key, patch.updatedAt, status);
  }
}

/** When a session got a message, or a run of it began or ended; in between the time stands still, which spares its index. */
const TOUCH = "updated_at = max(updated_at, ?13),";

const ADVANCE = (touch: string) => `UPDATE session SET ${touch}
    head_id = ?1, head_seq = ?2, status = coalesce(?3, status), last_run_end = coalesce(?4, last_run_end),
    turns = turns + ?5, usage_input = usage_input + ?6, usage_cache_read = usage_cache_read + ?7,
    usage_cache_write = usage_cache_write + ?8, usage_output = usage_output + ?9,
    usage_reasoning = usage_reasoning + ?10, cost_usd = cost_usd + ?11, unpriced_calls = unpriced_calls + ?12
  WHERE id = ?14 AND owner = ?15 AND epoch = ?16 AND head_id IS ?17 AND head_seq = ?18
  RETURNING key, status, agent, tenant, actor`;

const advances = { touching: ADVANCE(TOUCH), plain: ADVANCE("") };

interface AdvancedSession extends Omit<Account, "session"> {
  readonly key: number;
  readonly status: SessionStatus;
}

/** The fence and the summary in one statement. Undefined when the fence does not hold. */
function advanceSession(
  { database, nodes }: Parts,
  sessionId: string,
  fence: Fence,
  { entries, patch }: { readonly entries: readonly Entry[]; readonly patch: SessionPatch },
): AdvancedSession | undefined {
  const last = entries.at(-1);
  const touches = patch.status !== undefined || patch.consumed.length > 0;
  return database.get(
    touches ? advances.touching : advances.plain,
    last?.id ?? null,
    last?.seq ?? 0,
    patch.status ?? null,
    patch.lastRunEnd ?? null,
    patch.turns,
    patch.usage.input,
    patch.usage.cacheRead,
    patch.usage.cacheWrite,
    patch.usage.output,
    patch.usage.reasoning,
    patch.costUsd,
    patch.unpricedCalls,
    patch.updatedAt,
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
