import assert from "node:assert/strict";
import { isAppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { noUsage } from "../log/content.ts";
import {
  type BudgetRequest,
  ENTRY_VERSION,
  type Entry,
  type NewEntry,
  type Reservation,
} from "../log/entry.ts";
import { shortageOf } from "../run/turn/shared-budget.ts";
import type { Store } from "../stores/store.ts";
import type { StoreContractCase } from "./store-contract.ts";

/** What every store must do with money and with questions to people. Run it beside `storeContract`. */
export const spendContract: readonly StoreContractCase[] = [
  {
    name: "adds up what calls cost, by day, agent, model, actor, tenant and session",
    async run({ open }) {
      await using store = await open();
      const one = await writerOf(store, { id: "one", agent: "x", tenant: "acme" });
      const two = await writerOf(store, { id: "two", agent: "y" });
      await one.say("ada");
      await one.append(called(), answered(0.5), called(), answered(0.25, { model: "n" }));
      await one.say("bob");
      await one.append(called(), answered(null));
      await two.append(called(), { ...answered(1), at: DAY_2 });

      const rows = async (by: Parameters<Store["costs"]>[0]["by"], more: object = {}) => {
        const { rows: found } = await store.costs({ by, ...more });
        return found.map(({ key, calls, costUsd, unpricedCalls }) => [key, calls, costUsd, unpricedCalls]);
      };
      assert.deepEqual(await rows("day"), [
        ["2026-02-01", 1, 1, 0],
        ["2026-01-31", 3, 0.75, 1],
      ]);
      assert.deepEqual(await rows("agent"), [
        ["y", 1, 1, 0],
        ["x", 3, 0.75, 1],
      ]);
      assert.deepEqual(await rows("model"), [
        ["m", 3, 1.5, 1],
        ["n", 1, 0.25, 0],
      ]);
      assert.deepEqual(await rows("actor"), [
        [null, 1, 1, 0],
        ["ada", 2, 0.75, 0],
        ["bob", 1, 0, 1],
      ]);
      assert.deepEqual(await rows("tenant", { agent: "x" }), [["acme", 3, 0.75, 1]]);
      assert.deepEqual(await rows("session"), [
        ["two", 1, 1, 0],
        ["one", 3, 0.75, 1],
      ]);
      assert.deepEqual(await rows("agent", { since: DAY_2 }), [["y", 1, 1, 0]]);
      const { total, omitted } = await store.costs({ by: "agent", limit: 1 });
      assert.deepEqual([total.costUsd, total.calls, total.unpricedCalls, omitted], [1.75, 4, 1, 1]);
      assert.deepEqual(total.usage, { input: 40, cacheRead: 8, cacheWrite: 4, output: 20, reasoning: 0 });
      const none = await store.costs({ by: "model", tenant: "nobody" });
      assert.deepEqual([none.rows, none.total.costUsd, none.omitted], [[], 0, 0]);
    },
  },
  {
    name: "refuses a call for which a budget has no room, with nothing stored, and goes on behind it",
    async run({ open }) {
      await using store = await open();
      const one = await writerOf(store, { id: "one", agent: "x" });
      const two = await writerOf(store, { id: "two", agent: "x" });
      await one.append(called(reserve(0.6)));
      const shortage = await refusal(two.append(called(reserve(0.5))));
      assert.deepEqual(shortage, {
        scope: "agent",
        key: "x",
        day: TODAY,
        limitUsd: 1,
        settledUsd: 0,
        reservedUsd: 0.6,
        neededUsd: 0.5,
      });
      assert.equal((await store.session("two"))?.headSeq, 1);
      assert.equal((await store.session("two"))?.turns, 0);
      await two.append(called(reserve(0.4)));
      assert.equal((await store.session("two"))?.turns, 1);
    },
  },
  {
    name: "frees what was reserved when the call has ended, and counts what it cost",
    async run({ open }) {
      await using store = await open();
      const ends: readonly (readonly [NewEntry, number])[] = [
        [answered(0.1), 0.1],
        [failed, 0],
        [{ ...failed, lostCall: true } as NewEntry, 0.6],
        [called(), 0],
        [{ type: "runResumed", runId: "r", nodeId: "n", epoch: 2, lostCall: true }, 0.6],
        [{ type: "runFinished", runId: "r", reason: "stopped", lostCall: true }, 0.6],
        [{ type: "runFailed", runId: "r", error: { code: "c", message: "" } }, 0],
        [{ ...answered(null), brokeOff: true } as NewEntry, 0.6],
        [{ ...summary, costUsd: 0.2 }, 0.2],
        [{ ...classified, costUsd: 0.1 }, 0.1],
      ];
      for (const [i, [end, settledUsd]] of ends.entries()) {
        const agent = `agent-${i}`;
        const writer = await writerOf(store, { id: agent, agent });
        await writer.append(called(reserve(0.6, agent)));
        await writer.append(end);
        const { reservedUsd, ...rest } = await refusal(writer.append(called(reserve(2, agent))));
        assert.deepEqual([rest.settledUsd, reservedUsd], [settledUsd, 0], end.type);
      }
      const { total } = await store.costs({ by: "day" });
      assert.deepEqual([total.unpricedCalls, total.lostCalls], [4, 4]);
    },
  },
  {
    name: "lets calls that are made at the same time never exceed a budget together, over several processes",
    async run({ open }) {
      await using first = await open();
      await using second = await open();
      const writers = await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          writerOf(i % 2 === 0 ? first : second, { id: `s${i}`, agent: "x", tenant: "acme" }),
        ),
      );
      const budgets = (usd: number): Reservation => ({
        usd,
        budgets: [
          { scope: "agent", key: "x", day: TODAY, limitUsd: 1 },
          { scope: "tenant", key: "acme", day: TODAY, limitUsd: 0.8 },
        ],
      });
      const outcomes = await Promise.allSettled(
        writers.map((writer) => writer.append(called(budgets(0.03)))),
      );
      const allowed = outcomes.filter(({ status }) => status === "fulfilled").length;
      assert.equal(allowed, 26, "26 times 0.03 fits into 0.8, 27 times does not");
      const refused = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
      assert.ok(refused.every((error) => isAppError(error, "budget_exceeded")));

      // Those that were let through cost less than was reserved: their rest is room for others.
      const running = writers.filter((_, i) => outcomes[i]?.status === "fulfilled");
      await Promise.all(running.map((writer) => writer.append(answered(0.01))));
      const others = writers.filter((_, i) => outcomes[i]?.status === "rejected");
      const again = await Promise.allSettled(others.map((writer) => writer.append(called(budgets(0.03)))));
      assert.equal(again.filter(({ status }) => status === "fulfilled").length, 18, "0.26 spent, 0.54 left");
    },
  },
  {
    name: "keeps what is reserved when a process dies, until its session is taken up or erased",
    async run({ open }) {
      await using other = await open();
      {
        await using dying = await open();
        const writer = await writerOf(dying, { id: "s", agent: "x" });
        await writer.append(called(reserve(0.9)));
      }
      const beside = await writerOf(other, { id: "beside", agent: "x" });
      assert.equal((await refusal(beside.append(called(reserve(0.2))))).reservedUsd, 0.9);
      const next = await writerOf(other, { id: "s" });
      await next.append(
        { type: "runResumed", runId: "r", nodeId: "n", epoch: 2, lostCall: true },
        { type: "runFinished", runId: "r", reason: "stopped" },
      );
      const { reservedUsd, settledUsd } = await refusal(beside.append(called(reserve(0.2))));
      assert.deepEqual([reservedUsd, settledUsd], [0, 0.9], "nobody can tell what the lost call cost");
      await other.release(next.lease);
      await other.erase("s");
      assert.equal((await refusal(beside.append(called(reserve(0.2))))).settledUsd, 0.9);
      assert.equal((await other.costs({ by: "day" })).total.lostCalls, 1);
    },
  },
  {
    name: "counts a call for the day on which it was reserved",
    async run({ open }) {
      await using store = await open();
      const writer = await writerOf(store, { id: "s", agent: "x" });
      await writer.append(called(reserve(0.9)), { ...answered(0.9), at: DAY_2 });
      assert.equal((await refusal(writer.append(called(reserve(0.2))))).settledUsd, 0.9);
      const tomorrow = {
        usd: 0.9,
        budgets: [{ scope: "agent", key: "x", day: "2026-02-01", limitUsd: 1 }],
      } as const;
      await writer.append(called(tomorrow));
    },
  },
  {
    name: "raises a budget for the day when the log says that a person has",
    async run({ open }) {
      await using store = await open();
      const one = await writerOf(store, { id: "one", agent: "x" });
      const two = await writerOf(store, { id: "two", agent: "x" });
      await one.append(called(reserve(1)), answered(1));
      await refusal(one.append(called(reserve(0.5))));
      await one.append(runStarted, interrupted("i", "agent"));
      await store.enqueue("one", {
        type: "answer",
        interruptId: "i",
        answer: { action: "raise", limitUsd: 2 },
      });
      const [item] = await store.inbox("one");
      assert.equal(item?.command.type, "answer");
      await one.append({
        type: "interruptResolved",
        interruptId: "i",
        inboxId: item?.id ?? "",
        answer: { action: "raise", limitUsd: 2 },
      });
      await two.append(called(reserve(0.5)));
      assert.equal((await refusal(one.append(called(reserve(0.6))))).limitUsd, 2);
    },
  },
  {
    name: "lists what waits for a person, and takes the first of many answers",
    async run({ open }) {
      await using store = await open();
      await using elsewhere = await open();
      const writer = await writerOf(store, { id: "s", agent: "x", tenant: "acme" });
      await writer.append(runStarted, interrupted("i", "run"));
      const [open1, ...more] = await elsewhere.interrupts({ status: "open", agent: "x", tenant: "acme" });
      assert.deepEqual(more, []);
      assert.deepEqual([open1?.id, open1?.sessionId, open1?.runId, open1?.answered], ["i", "s", "r", null]);
      for (const filter of [
        { agent: "y" },
        { tenant: "y" },
        { sessionId: "t" },
        { status: "answered" as const },
      ]) {
        assert.deepEqual(await store.interrupts(filter), []);
      }

      const answer = (limitUsd: number) =>
        ({
          type: "answer",
          interruptId: "i",
          answer: { action: "raise", limitUsd },
          actor: `p${limitUsd}`,
        }) as const;
      const outcomes = await Promise.allSettled(
        [1, 2, 3, 4, 5, 6].map((n) => (n % 2 ? store : elsewhere).enqueue("s", answer(n), `k${n}`)),
      );
      assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
      const [item, ...others] = await store.inbox("s");
      assert.deepEqual(others, []);
      const [answered1] = await store.interrupts({ sessionId: "s" });
      const command = item?.command;
      assert.ok(command?.type === "answer" && answered1?.answered !== undefined);
      assert.equal(answered1.status, "answered");
      assert.equal(answered1.answered?.actor, command.actor);
      const late = await failureOf(store.enqueue("s", answer(7)));
      assert.ok(isAppError(late, "conflict") && late.details?.actor === command.actor);
      assert.equal(late.details?.at, answered1.answered?.at);

      // Whoever repeats the first one with its key is told that it was stored.
      const n = command.answer.action === "raise" ? command.answer.limitUsd : 0;
      assert.deepEqual(await store.enqueue("s", answer(n), `k${n}`), { id: item?.id, duplicate: true });
      assert.ok(
        isAppError(await failureOf(store.enqueue("s", { ...answer(1), interruptId: "j" })), "not_found"),
      );
    },
  },
  {
    name: "takes no answer for a run that has ended",
    async run({ open }) {
      await using store = await open();
      const writer = await writerOf(store, { id: "s", agent: "x" });
      await writer.append(runStarted, interrupted("i", "run"));
      await writer.append({ type: "runFinished", runId: "r", reason: "stopped" });
      assert.deepEqual(await store.interrupts({ status: "open" }), []);
      assert.equal((await store.interrupts({ status: "closed" }))[0]?.id, "i");
      const command = { type: "answer", interruptId: "i", answer: { action: "end" } } as const;
      assert.ok(isAppError(await failureOf(store.enqueue("s", command)), "conflict"));
      assert.deepEqual(await store.inbox("s"), []);
    },
  },
];

const TODAY = "2026-01-31";
const DAY_1 = Date.UTC(2026, 0, 31, 12);
const DAY_2 = Date.UTC(2026, 1, 1, 12);

const runStarted: NewEntry = { type: "runStarted", runId: "r", model: "m" };

const failed: NewEntry = {
  type: "modelFailed",
  runId: "r",
  model: "m",
  attempt: 1,
  failure: { kind: "overloaded", message: "" },
  durationMs: 1,
};

const summary = {
  type: "compactionFailed",
  runId: "r",
  tier: "summary",
  reason: "",
  tokens: 0,
  usage: { ...noUsage, input: 1 },
  costUsd: 0 as number | null,
} as const;

const classified = {
  type: "callClassified",
  runId: "r",
  callId: "c",
  binding: "b",
  decision: "ask",
  reason: "",
  model: "m",
  usage: { ...noUsage, input: 1 },
  costUsd: 0 as number | null,
  durationMs: 1,
} as const;

function called(reservation?: Reservation): NewEntry {
  const call = { type: "modelCalled", runId: "r", model: "m", attempt: 1 } as const;
  return reservation === undefined ? call : { ...call, reservation };
}

function reserve(usd: number, key = "x"): Reservation {
  return { usd, budgets: [{ scope: "agent", key, day: TODAY, limitUsd: 1 }] };
}

function answered(costUsd: number | null, { model = "m" } = {}): NewEntry {
  return {
    type: "assistantMessage",
    runId: "r",
    model,
    blocks: [],
    stopReason: "endTurn",
    usage: { input: 10, cacheRead: 2, cacheWrite: 1, output: 5, reasoning: 0 },
    costUsd,
    timing: { firstTokenMs: 1, totalMs: 2 },
  };
}

function interrupted(interruptId: string, scope: BudgetRequest["budget"]["scope"]): NewEntry {
  const budget = { scope, key: scope === "run" ? "r" : "x", limitUsd: 1, spentUsd: 1, neededUsd: 0.5 };
  return { type: "interrupted", runId: "r", interruptId, request: { kind: "budget", message: "?", budget } };
}

type Timed = NewEntry & { readonly at?: number };

/** Appends to a session that is made where it does not exist. A refused append leaves the writer where it was. */
async function writerOf(
  store: Store,
  { id, agent, tenant }: { readonly id: string; readonly agent?: string; readonly tenant?: string },
) {
  if (agent !== undefined) await store.create({ id, agent, ...(tenant === undefined ? {} : { tenant }) });
  const lease = await store.claim(id);
  assert.ok(lease !== undefined, `${id} is held by somebody else`);
  assert.equal(lease.tenant, tenant ?? "default");
  let head = { id: lease.headId, seq: lease.headSeq };

  async function append(...facts: readonly Timed[]): Promise<void> {
    let last = head;
    const entries = facts.map((fact) => {
      const entry: Entry = {
        ...fact,
        ...{ id: newId("e"), sessionId: id, parentId: last.id, seq: last.seq + 1, v: ENTRY_VERSION },
        at: fact.at ?? DAY_1,
      };
      last = entry;
      return entry;
    });
    await store.append(id, { head: head.id, epoch: lease?.epoch ?? 0 }, entries);
    head = { id: last.id, seq: last.seq };
  }

  return {
    lease,
    append,
    async say(actor: string): Promise<void> {
      const { id: inboxId } = await store.enqueue(id, { type: "message", blocks: [], actor });
      await append({ type: "userMessage", blocks: [], inboxId, actor });
    },
  };
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => assert.fail("it was not refused"),
    (error: unknown) => error,
  );
}

async function refusal(work: Promise<unknown>) {
  const error = await failureOf(work);
  assert.ok(isAppError(error, "budget_exceeded"), String(error));
  return shortageOf(error);
}
