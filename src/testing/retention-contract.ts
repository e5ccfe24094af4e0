import assert from "node:assert/strict";
import { systemClock } from "../lib/clock.ts";
import { isAppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { ENTRY_VERSION, type Entry, type NewEntry, type RunEnd } from "../log/entry.ts";
import type { Store } from "../stores/store.ts";
import type { StoreContractCase } from "./store-contract.ts";

/** What a store must do for sessions that nobody uses any more. */
export const retentionContract: readonly StoreContractCase[] = [
  {
    name: "finds sessions that nobody has used since, the oldest first",
    async run({ open }) {
      await using store = await open();
      for (const id of ["given-up", "ended"]) {
        await store.create({ id, agent: "a" });
        await endRun(store, id, id === "ended" ? "endTurn" : "abandoned");
      }
      await store.create({ id: "unused", agent: "a" });
      await store.create({ id: "of another agent", agent: "b" });
      await store.create({ id: "with work", agent: "a" });
      await store.enqueue("with work", { type: "message", blocks: [{ type: "text", text: "Go." }] });
      const later = systemClock.now() + 1_000;
      const query = { agent: "a", since: later, onlyAbandoned: false, limit: 10 };
      assert.deepEqual(await store.unused(query), ["given-up", "ended", "unused"]);
      assert.deepEqual(await store.unused({ ...query, limit: 1 }), ["given-up"]);
      assert.deepEqual(await store.unused({ ...query, onlyAbandoned: true }), ["given-up"]);
      assert.deepEqual(await store.unused({ ...query, since: 1 }), []);
    },
  },
  {
    name: "does not erase what somebody has used since",
    async run({ open }) {
      await using store = await open();
      const { session } = await store.create({ id: "s", agent: "a" });
      const erasing = store.erase("s", { unusedSince: session.updatedAt });
      await assert.rejects(erasing, (error) => isAppError(error, "conflict"));
      await store.erase("s", { unusedSince: session.updatedAt + 1 });
      assert.equal(await store.session("s"), undefined);
    },
  },
  {
    name: "gives a turn to one caller of all processes",
    async run({ open }) {
      await using one = await open();
      await using other = await open();
      const turns = await Promise.all([one, other, one, other].map((store) => store.takeTurn("x", 60_000)));
      assert.equal(turns.filter(Boolean).length, 1);
      assert.equal(await one.takeTurn("y", 1), true);
      // Its time is over at once.
      await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(await other.takeTurn("y", 1), true);
      assert.equal(await other.takeTurn("x", 60_000), false);
    },
  },
];

async function endRun(store: Store, id: string, reason: RunEnd): Promise<void> {
  const lease = await store.claim(id);
  assert.ok(lease);
  const { headId, headSeq, epoch } = lease;
  const facts: readonly NewEntry[] = [
    { type: "runStarted", runId: `run_${id}`, model: "m" },
    { type: "runFinished", runId: `run_${id}`, reason },
  ];
  const entries: Entry[] = [];
  for (const fact of facts) {
    const before = entries.at(-1);
    entries.push({
      ...fact,
      id: newId("e"),
      sessionId: id,
      parentId: before?.id ?? headId,
      seq: (before?.seq ?? headSeq) + 1,
      at: systemClock.now(),
      v: ENTRY_VERSION,
    });
  }
  await store.append(id, { head: headId, epoch }, entries, "idle");
  await store.release(lease);
}
