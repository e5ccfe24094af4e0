import assert from "node:assert/strict";
import { AppError, isAppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { noUsage } from "../log/content.ts";
import { ENTRY_VERSION, type Entry, type InterruptRequest, type NewEntry } from "../log/entry.ts";
import { fold } from "../log/fold.ts";
import type { ImportedSession } from "../log/session-import.ts";
import type { StoreContractCase } from "./store-contract.ts";

/** What every store must do with a session that comes from another one. Run it beside `storeContract`. */
export const importContract: readonly StoreContractCase[] = [
  {
    name: "imports a session that goes on where it stood",
    async run({ open }) {
      await using store = await open();
      const entries = log(created, said, started, asking, finishedCall("c1"), ended);
      const { session, created: made } = await store.importSession(imported("s"), from(entries));
      assert.equal(made, true);
      const { updatedAt, ...rest } = session;
      assert.deepEqual(rest, {
        id: "s",
        agent: "analyst",
        tenant: "acme",
        title: "Taken along",
        status: "idle",
        lastRunEnd: "endTurn",
        headId: entries.at(-1)?.id,
        headSeq: 6,
        createdAt: 5,
        turns: 3,
        usage: { ...noUsage, input: 7 },
        costUsd: 1.5,
        unpricedCalls: 2,
        forkedFrom: null,
      });
      assert.ok(updatedAt > 5);
      assert.deepEqual(await store.read("s", 0), entries);
      assert.deepEqual(await store.session("s"), session);

      await store.enqueue("s", { type: "message", blocks: [{ type: "text", text: "go on" }] });
      const lease = await store.claim("s");
      assert.equal(lease?.headId, session.headId);
      const [item] = await store.inbox("s");
      const next = entry({ ...said, inboxId: item?.id ?? "" }, entries);
      await store.append("s", { head: session.headId, epoch: lease?.epoch ?? 0 }, [next], "queued");
      assert.deepEqual(await store.path("s"), [...entries, next]);
    },
  },
  {
    name: "imports the same once, and nothing over a session that is there",
    async run({ open }) {
      await using store = await open();
      const entries = log(created, said);
      await store.importSession(imported("s"), from(entries));
      const again = await store.importSession(imported("s"), from(entries));
      assert.deepEqual([again.created, again.session.headSeq], [false, 2]);
      await rejects(store.importSession({ ...imported("s"), fingerprint: "g" }, from(entries)), "conflict");
      await store.create({ id: "own", agent: "analyst" });
      await rejects(store.importSession(imported("own"), from(entries)), "conflict");
      assert.equal((await store.read("own", 0)).length, 1);
    },
  },
  {
    name: "leaves nothing of an import whose entries break off or do not follow each other",
    async run({ open }) {
      await using store = await open();
      const entries = log(created, ...Array.from({ length: 600 }, () => said));
      const broken = async function* () {
        yield* entries.slice(0, 599);
        throw new AppError("corrupt", "the rest is missing");
      };
      await rejects(store.importSession(imported("s"), broken()), "corrupt");
      const gap = entries.toSpliced(300, 1);
      await rejects(store.importSession(imported("s"), from(gap)), "invalid_input");
      await rejects(store.importSession(imported("s"), from([])), "invalid_input");
      assert.equal(await store.session("s"), undefined);
      assert.deepEqual(await store.sessions(), []);
      await store.importSession(imported("s"), from(entries));
      assert.deepEqual(await store.path("s"), entries);
    },
  },
  {
    name: "imports several sessions at once, large bodies included",
    async run({ open }) {
      await using store = await open();
      const large: NewEntry = { ...said, blocks: [{ type: "text", text: "x".repeat(200_000) }] };
      const logs = ["a", "b", "c"].map((id) => [id, log(created, large, said, large)] as const);
      await Promise.all(logs.map(([id, entries]) => store.importSession(imported(id), from(entries))));
      for (const [id, entries] of logs) {
        assert.deepEqual(
          await store.path(id),
          entries.map((each) => ({ ...each, sessionId: id })),
        );
      }
    },
  },
  {
    name: "imports branches that were left, where a call may have had another result",
    async run({ open }) {
      await using store = await open();
      const before = log(created, said, started);
      const left = entry(finishedCall("c1"), before);
      const moved = { ...entry(headMoved(left.id), [...before, left]), parentId: before[2]?.id ?? "" };
      const again = entry(finishedCall("c1"), [...before, left, moved]);
      const entries = [...before, left, moved, again];
      await store.importSession(imported("s"), from(entries));
      assert.deepEqual(await store.read("s", 0), entries);
      assert.deepEqual(await store.path("s"), [...before, moved, again]);
      assert.deepEqual(await store.tail("s"), [...before, moved, again]);
    },
  },
  {
    name: "imports what a session asks people, and what they have answered",
    async run({ open }) {
      await using store = await open();
      const entries = log(
        { ...created, forkedFrom: { sessionId: "other", entryId: "e" } },
        said,
        started,
        asks("i_1"),
        answers("i_1", "ada"),
        asks("i_2"),
      );
      await store.importSession({ ...imported("s"), status: "waiting" }, from(entries));
      assert.equal((await store.session("s"))?.status, "waiting");
      assert.deepEqual(await store.runnable(10), []);
      const found = await store.interrupts({ sessionId: "s" });
      assert.deepEqual(
        found.map(({ id, status, answered }) => [id, status, answered?.actor ?? null]),
        [
          ["i_2", "open", null],
          ["i_1", "answered", "ada"],
        ],
      );
      await rejects(store.importSession({ ...imported("t"), status: "waiting" }, from(entries)), "conflict");
      const answer = { action: "end" } as const;
      await store.enqueue("s", { type: "answer", interruptId: "i_2", answer, actor: "bob" });
      assert.deepEqual(await store.runnable(10), ["s"]);
      await rejects(store.enqueue("s", { type: "answer", interruptId: "i_1", answer }), "conflict");
    },
  },
  {
    name: "imports a fork that waits for the same as the session that it was forked from, each for itself",
    async run({ open }) {
      await using store = await open();
      const waiting = log(created, said, started, asks("i_1"));
      await store.importSession({ ...imported("s"), status: "waiting" }, from(waiting));
      const fork = entry(
        { ...created, forkedFrom: { sessionId: "s", entryId: waiting.at(-1)?.id ?? "" }, waits: true },
        waiting,
      );
      await store.importSession({ ...imported("t"), status: "waiting" }, from([...waiting, fork]));
      const [own, ...others] = await store.interrupts({ sessionId: "t" });
      assert.deepEqual(others, []);
      assert.equal(own?.status, "open");
      assert.deepEqual(
        fold(await store.path("t")).run?.interrupts.map(({ interruptId }) => interruptId),
        [own?.id],
      );
      assert.equal((await store.interrupts({ id: "i_1" })).length, 1);
    },
  },
  {
    name: "charges nobody for what an imported session has cost, and makes no rule of its log for others",
    async run({ open }) {
      await using store = await open();
      const rule: NewEntry = { type: "ruleAdded", scope: "agent", list: "allow", rule: "shell" };
      await store.importSession(imported("s"), from(log(created, said, started, asking, rule, ended)));
      assert.deepEqual((await store.costs({ by: "day" })).rows, []);
      assert.deepEqual(await store.rules("analyst"), []);
      const { rows } = await store.costs({ by: "session" });
      assert.deepEqual(
        rows.map(({ key, costUsd }) => [key, costUsd]),
        [["s", 1.5]],
      );
    },
  },
];

const created = { type: "sessionCreated", agent: "analyst" } as const;
const said = { type: "userMessage", blocks: [{ type: "text", text: "hello" }], inboxId: "in_1" } as const;
const started = { type: "runStarted", runId: "run_1", model: "m" } as const;
const ended = { type: "runFinished", runId: "run_1", reason: "endTurn" } as const;
const asking = { type: "modelCalled", runId: "run_1", model: "m", attempt: 1 } as const;

function finishedCall(callId: string): NewEntry {
  const blocks = [{ type: "text", text: "done" }] as const;
  return { type: "toolFinished", runId: "run_1", callId, name: "t", outcome: "ok", blocks, durationMs: 1 };
}

function headMoved(from: string): NewEntry {
  const spent = { usage: noUsage, costUsd: 0, unpricedCalls: 0, lostUsd: 0 };
  return { type: "headMoved", from, spent } as NewEntry;
}

function asks(interruptId: string): NewEntry {
  const budget = { scope: "run", key: "run_1", limitUsd: 1, spentUsd: 1, neededUsd: 1 } as const;
  const request: InterruptRequest = { kind: "budget", message: "more?", budget };
  return { type: "interrupted", runId: "run_1", interruptId, request };
}

function answers(interruptId: string, actor: string): NewEntry {
  const answer = { action: "raise", limitUsd: 2 } as const;
  return { type: "interruptResolved", interruptId, inboxId: "in_2", answer, actor };
}

function log(...facts: readonly NewEntry[]): readonly Entry[] {
  const entries: Entry[] = [];
  for (const fact of facts) entries.push(entry(fact, entries));
  return entries;
}

/** The one that comes behind the others. */
function entry(fact: NewEntry, before: readonly Entry[]): Entry {
  return {
    ...fact,
    id: newId("e"),
    sessionId: "s",
    parentId: before.at(-1)?.id ?? null,
    seq: before.length + 1,
    at: 1_000 + before.length,
    v: ENTRY_VERSION,
  };
}

async function* from(entries: readonly Entry[]): AsyncGenerator<Entry> {
  yield* entries;
}

function imported(id: string): ImportedSession {
  return {
    id,
    agent: "analyst",
    tenant: "acme",
    title: "Taken along",
    status: "idle",
    lastRunEnd: "endTurn",
    createdAt: 5,
    turns: 3,
    usage: { ...noUsage, input: 7 },
    costUsd: 1.5,
    unpricedCalls: 2,
    fingerprint: "f",
    due: null,
  };
}

async function rejects(work: Promise<unknown>, code: AppError["code"]): Promise<void> {
  await assert.rejects(work, (error) => isAppError(error, code));
}
