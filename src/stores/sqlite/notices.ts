import type { Notice, Notices } from "../../run/worker/notices.ts";
import type { Database } from "./database.ts";
import { type InterruptRow, interruptRecord } from "./interrupts.ts";
import type { Parts } from "./parts.ts";

interface NoticeRow extends InterruptRow {
  readonly key: number;
  readonly told: number;
  readonly tell_failures: number;
}

export function createNotices({ database, commits, clock }: Parts): Notices {
  return {
    async takeNotices(query) {
      const now = clock.now();
      // Looked for outside of the transaction, since there is nearly never one.
      if (database.read(() => dueNotices(database, { ...query, now, limit: 1 })).length === 0) return [];
      return commits.run(() => {
        const due = dueNotices(database, { ...query, now });
        for (const { key } of due) {
          database.run("UPDATE interrupt SET tell_at = ? WHERE key = ?", now + query.forMs, key);
        }
        return due.map(noticeOf);
      });
    },

    settleNotice: ({ interrupt: { id, sessionId, request }, number }) =>
      commits.run(() => {
        const now = clock.now();
        const { remindAt = [] } = request;
        const passed = remindAt.filter((at) => at <= now).length;
        // One that was told late, or twice, does not take a step back.
        database.run(
          `UPDATE interrupt SET told = ?, tell_at = ?, tell_failures = 0 WHERE ${THIS} AND told = ?`,
          Math.max(number, passed) + 1,
          [...remindAt].sort((a, b) => a - b).find((at) => at > now) ?? null,
          id,
          sessionId,
          number,
        );
      }),

    putOffNotice: ({ interrupt: { id, sessionId }, number, failures }, delayMs) =>
      commits.run(() => {
        database.run(
          `UPDATE interrupt SET tell_failures = ?, tell_at = ? WHERE ${THIS} AND told = ?`,
          failures + 1,
          clock.now() + delayMs,
          id,
          sessionId,
          number,
        );
      }),
  };
}

const THIS = "id = ? AND session = (SELECT key FROM session WHERE id = ?)";

function dueNotices(
  database: Database,
  {
    agents,
    now,
    limit,
  }: { readonly agents: readonly string[]; readonly now: number; readonly limit: number },
): readonly NoticeRow[] {
  return database.all<NoticeRow>(
    `SELECT interrupt.*, session.id AS session_id, session.agent
     FROM interrupt JOIN session ON session.key = interrupt.session
     WHERE interrupt.closed_at IS NULL AND interrupt.tell_at <= ?
       AND session.agent IN (SELECT value FROM json_each(?))
     ORDER BY interrupt.tell_at LIMIT ?`,
    now,
    JSON.stringify(agents),
    limit,
  );
}

function noticeOf(row: NoticeRow): Notice {
  return { interrupt: interruptRecord(row), number: row.told, failures: row.tell_failures };
}
