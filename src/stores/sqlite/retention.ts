import type { Retention, UnusedQuery } from "../../log/retention.ts";
import type { Database } from "./database.ts";
import type { Parts } from "./parts.ts";

/** Given up ones are few, and have an index of their own. */
export const ABANDONED = `
  SELECT id FROM session INDEXED BY session_abandoned
  WHERE last_run_end = 'abandoned' AND agent = ?1 AND updated_at < ?2 AND status = 'idle' ORDER BY updated_at LIMIT ?3`;

export const UNUSED = `
  SELECT id FROM session WHERE updated_at < ?2 AND +agent = ?1 AND status = 'idle' ORDER BY updated_at LIMIT ?3`;

export function createRetention({ database, commits, clock }: Parts): Retention {
  return {
    unused: async (query) => database.read(() => listUnused(database, query)),

    takeTurn(chore, everyMs) {
      const now = clock.now();
      return commits.run(() => {
        const taken = database.run(
          `INSERT INTO chore (name, next_at) VALUES (?1, ?2 + ?3)
           ON CONFLICT (name) DO UPDATE SET next_at = excluded.next_at WHERE next_at <= ?2`,
          chore,
          now,
          everyMs,
        );
        return taken > 0;
      });
    },
  };
}

function listUnused(
  database: Database,
  { agent, since, onlyAbandoned, limit }: UnusedQuery,
): readonly string[] {
  return database
    .all<{ id: string }>(onlyAbandoned ? ABANDONED : UNUSED, agent, since, limit)
    .map(({ id }) => id);
}
