import type { Lease, RuleBook, RunQueue } from "../../run/worker/queue.ts";
import { isHeld } from "./holds.ts";
import { insertInboxItem, readInbox } from "./inbox.ts";
import { dropRule, dueInterrupts, listInterrupts, listRules } from "./interrupts.ts";
import type { Parts } from "./parts.ts";
import { knownSession, sessionRow } from "./sessions.ts";

export function createRunQueue(parts: Parts): RunQueue & RuleBook {
  const { database, commits, changes, nodes, clock } = parts;
  return {
    async enqueue(sessionId, command, key, conditions = {}) {
      const result = await commits.run(() =>
        insertInboxItem(database, knownSession(database, sessionId), command, {
          key,
          at: clock.now(),
          conditions,
        }),
      );
      if (!result.duplicate) changes.woke(sessionId);
      return result;
    },

    async expire(limit) {
      const at = clock.now();
      // Found outside of the transaction, since there is nearly never one; then the first answer counts, as always.
      if (database.read(() => dueInterrupts(database, at, 1)).length === 0) return 0;
      const expired = await commits.run(() => {
        const due = dueInterrupts(database, at, limit);
        for (const { sessionId, command } of due) {
          insertInboxItem(database, knownSession(database, sessionId), command, {
            key: undefined,
            at,
            conditions: {},
          });
        }
        return due;
      });
      for (const { sessionId } of expired) changes.woke(sessionId);
      return expired.length;
    },

    rules: async (agent) => database.read(() => listRules(database, agent)),
    removeRule: (agent, rule) => commits.run(() => dropRule(database, agent, rule)),

    interrupts: async (filter = {}) => database.read(() => listInterrupts(database, filter)),

    inbox: async (sessionId) =>
      database.read(() => readInbox(database, knownSession(database, sessionId).key)),

    async claim(sessionId) {
      const holder = database.read(() => knownSession(database, sessionId).owner);
      if (holder !== null && holder !== nodes.nodeId) await nodes.buryDead();
      return commits.run(() => takeLease(parts, sessionId));
    },

    async release(lease) {
      const released = await commits.run(() =>
        database.run(
          "UPDATE session SET owner = NULL WHERE id = ? AND owner = ? AND epoch = ?",
          lease.sessionId,
          lease.nodeId,
          lease.epoch,
        ),
      );
      // What arrived between the holder's last look at the inbox and now.
      const status = database.read(() => sessionRow(database, lease.sessionId)?.status);
      if (released > 0 && status === "queued") changes.woke(lease.sessionId);
    },

    async runnable(limit) {
      await nodes.buryDead();
      return database.read(() => listRunnable(parts, limit));
    },

    onWake: (listener) => changes.onWake(listener),
  };
}

/** Sessions that are idle, or wait for people, are not in the index that it reads. */
export const RUNNABLE = `
  SELECT session.id FROM session LEFT JOIN node ON node.id = session.owner
    LEFT JOIN node AS holder ON holder.id = session.held_by
  WHERE work_since IS NOT NULL AND (owner IS NULL OR node.expires_at <= ?1)
    AND (held_by IS NULL OR holder.expires_at <= ?1)
  ORDER BY work_since LIMIT ?2`;

function listRunnable({ database, clock }: Parts, limit: number): readonly string[] {
  return database.all<{ id: string }>(RUNNABLE, clock.now(), limit).map((row) => row.id);
}

function takeLease({ database, nodes, clock }: Parts, sessionId: string): Lease | undefined {
  const { nodeId } = nodes;
  nodes.beat();
  const row = knownSession(database, sessionId);
  if (isHeld({ database, clock }, row)) return undefined;
  const lease = { sessionId, tenant: row.tenant, nodeId, headId: row.head_id, headSeq: row.head_seq };
  if (row.owner === nodeId) return { ...lease, epoch: row.epoch };
  if (row.owner !== null) {
    const holder = database.get<{ expires_at: number }>(
      "SELECT expires_at FROM node WHERE id = ?",
      row.owner,
    );
    if (holder !== undefined && holder.expires_at > clock.now()) return undefined;
  }
  const epoch = row.epoch + 1;
  database.run("UPDATE session SET owner = ?, epoch = ? WHERE key = ?", nodeId, epoch, row.key);
  return { ...lease, epoch };
}
