import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import { ENTRY_VERSION, type Entry, type InterruptTerms } from "../log/entry.ts";
import type { Notice } from "../run/worker/notices.ts";
import type { Store } from "../stores/store.ts";
import type { StoreContractCase } from "./store-contract.ts";

const ALL = { agents: ["x"], limit: 10, forMs: 60_000 };
const HOUR = 3_600_000;

/** What every store must do about telling people outside of questions, and finding those of a person. Run it beside `storeContract`. */
export const noticesContract: readonly StoreContractCase[] = [
  {
    name: "a question is given to one of those who tell people, and once told not again",
    async run({ open }) {
      await using store = await open();
      await using other = await open();
      await ask(store, "s", "i");
      await ask(store, "elsewhere", "j", { agent: "y" });
      assert.deepEqual(await store.takeNotices({ ...ALL, agents: [] }), []);
      const taken = await Promise.all([
        store.takeNotices(ALL),
        other.takeNotices(ALL),
        store.takeNotices(ALL),
      ]);
      const [notice, ...more] = taken.flat();
      assert.equal(more.length, 0);
      assert.ok(notice !== undefined);
      assert.deepEqual(
        [notice.interrupt.id, notice.interrupt.sessionId, notice.number, notice.failures],
        ["i", "s", 0, 0],
      );
      assert.deepEqual(notice.interrupt, (await store.interrupts({ id: "i" }))[0]);
      await other.settleNotice(notice);
      assert.deepEqual(await store.takeNotices({ ...ALL, forMs: 0 }), []);
      const [elsewhere] = await store.takeNotices({ ...ALL, agents: ["x", "y"] });
      assert.equal(elsewhere?.interrupt.id, "j");
    },
  },
  {
    name: "what could not be told, or was left lying, is due again and says how often it failed",
    async run({ open }) {
      await using store = await open();
      await ask(store, "s", "i");
      const left = await store.takeNotices({ ...ALL, forMs: 0 });
      const [again] = await store.takeNotices(ALL);
      assert.deepEqual(left, [again]);
      assert.ok(again !== undefined);
      await store.putOffNotice(again, HOUR);
      assert.deepEqual(await store.takeNotices(ALL), []);
      await store.putOffNotice(again, 0);
      const [third] = await store.takeNotices(ALL);
      assert.deepEqual([third?.number, third?.failures], [0, 1]);
      await store.settleNotice(again);
      // Whoever was slower does not bring it back.
      await store.putOffNotice(again, 0);
      assert.deepEqual(await store.takeNotices(ALL), []);
    },
  },
  {
    name: "reminders come in their time, without those that have passed, and none after the answer",
    async run({ open }) {
      await using store = await open();
      const now = systemClock.now();
      await ask(store, "s", "i", { remindAt: [now - 2_000, now - 1_000, now + 200, now + HOUR] });
      const [opened] = await store.takeNotices(ALL);
      assert.ok(opened !== undefined);
      await store.settleNotice(opened);
      const reminder = await soon(async () => (await store.takeNotices(ALL))[0]);
      assert.equal(reminder.number, 3);
      assert.ok(systemClock.now() >= now + 200);
      await store.settleNotice(reminder);
      assert.deepEqual(await store.takeNotices(ALL), []);

      await ask(store, "t", "j");
      await store.enqueue("t", { type: "answer", interruptId: "j", answer: { action: "reject" } });
      assert.deepEqual(await store.takeNotices(ALL), []);
    },
  },
  {
    name: "questions are found by their kind, and by who may answer them",
    async run({ open }) {
      await using store = await open();
      await ask(store, "a", "anybody");
      await ask(store, "b", "ada", { approvers: ["ada", "o'brien"] });
      await ask(store, "c", "not-ada", { excluded: ["ada"] });
      await ask(store, "d", "neither", { approvers: ["ada"], excluded: ["ada"] });
      const of = async (filter: Parameters<Store["interrupts"]>[0]) =>
        (await store.interrupts(filter)).map(({ id }) => id).sort();
      assert.deepEqual(await of({ answerableBy: "ada" }), ["ada", "anybody"]);
      assert.deepEqual(await of({ answerableBy: "o'brien" }), ["ada", "anybody", "not-ada"]);
      assert.deepEqual(await of({ answerableBy: "bob", sessionId: "c" }), ["not-ada"]);
      assert.deepEqual(await of({ kind: "outcome", answerableBy: "bob" }), ["anybody", "not-ada"]);
      assert.deepEqual(await of({ kind: "approval" }), []);
    },
  },
];

/** A session in which a run has asked this. */
async function ask(
  store: Store,
  id: string,
  interruptId: string,
  { agent = "x", ...terms }: InterruptTerms & { readonly agent?: string } = {},
): Promise<void> {
  await store.create({ id, agent });
  const lease = await store.claim(id);
  assert.ok(lease !== undefined);
  const at = systemClock.now();
  const header = { sessionId: id, at, v: ENTRY_VERSION } as const;
  const first = newId("e");
  const risk = { reversibility: "hard", reach: "outside", why: [] } as const;
  const call = { callId: "c", tool: "refund", input: {}, risk };
  const entries: readonly Entry[] = [
    {
      ...header,
      ...{ id: first, parentId: lease.headId, seq: lease.headSeq + 1 },
      ...{ type: "runStarted", runId: "r", model: "m" },
    },
    {
      ...header,
      ...{ id: newId("e"), parentId: first, seq: lease.headSeq + 2 },
      ...{ type: "interrupted", runId: "r", interruptId },
      request: { kind: "outcome", message: "?", call, ...terms },
    },
  ];
  await store.append(id, { head: lease.headId, epoch: lease.epoch }, entries);
  await store.release(lease);
}

async function soon(look: () => Promise<Notice | undefined>): Promise<Notice> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await delay(10);
  }
}
