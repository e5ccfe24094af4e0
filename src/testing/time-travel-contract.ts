import assert from "node:assert/strict";
import { type ErrorCode, isAppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { noUsage } from "../log/content.ts";
import { ENTRY_VERSION, type Entry, type HeadMoved, type NewEntry } from "../log/entry.ts";
import { fold } from "../log/fold.ts";
import { carriedState } from "../log/state.ts";
import type { Hold } from "../log/time-travel.ts";
import type { Store } from "../stores/store.ts";
import type { StoreContractCase } from "./store-contract.ts";

/** What every store must do with the branches of a session. Run it beside `storeContract`. */
export const timeTravelContract: readonly StoreContractCase[] = [
  {
    name: "moves the head back: the path skips what stood behind it, and readers see everything",
    async run({ open }) {
      await using store = await open();
      const ids = await sessionWith(store, "s", ["1", "2", "3"]);
      const moved = await rewind(store, "s", ids[1]);
      const [before] = await store.read("s", 4, 1);
      assert.deepEqual(
        { ...moved, id: "", at: 0 },
        {
          ...{ type: "headMoved", id: "", at: 0, v: 1, sessionId: "s", seq: 5, spent },
          ...{ parentId: ids[1], from: ids[3] },
        },
      );
      assert.deepEqual(before, moved);
      const session = await store.session("s");
      assert.deepEqual([session?.headId, session?.headSeq, session?.status], [moved.id, 5, "idle"]);
      assert.deepEqual(await texts(store, "s"), ["1"]);
      await append(store, "s", note("other 2"), note("other 3"));
      assert.deepEqual(await texts(store, "s"), ["1", "other 2", "other 3"]);
      assert.deepEqual(await texts(store, "s", ids[3]), ["1", "2", "3"], "the branch that was left");
      assert.deepEqual(seqs(await store.path("s")), [1, 2, 5, 6, 7]);
      assert.deepEqual(seqs(await store.path("s", undefined, 2)), [5, 6, 7]);
      assert.deepEqual(seqs(await store.read("s", 0)), [1, 2, 3, 4, 5, 6, 7]);
      assert.deepEqual(await follow(store, "s", 7), [1, 2, 3, 4, 5, 6, 7]);
    },
  },
  {
    name: "moves the head again and again, also onto a branch that was left, and stays on it",
    async run({ open }) {
      await using store = await open();
      const ids = await sessionWith(store, "s", ["1", "2", "3"]);
      const expected: string[][] = [["1", "2", "3"]];
      await rewind(store, "s", ids[1]);
      const [own] = await append(store, "s", note("a"));
      expected.push(["1", "a"]);
      await rewind(store, "s", ids[2]);
      await append(store, "s", note("b"));
      expected.push(["1", "2", "b"]);
      await rewind(store, "s", own?.id);
      await append(store, "s", note("c"));
      expected.push(["1", "a", "c"]);
      const { headId } = await known(store, "s");
      await rewind(store, "s", headId ?? "");
      expected.push(["1", "a", "c"]);
      const all = await store.read("s", 0);
      const ends = all.filter((_, i) => i === all.length - 1 || all[i + 1]?.type === "headMoved");
      const branches = await Promise.all(ends.map(({ id }) => texts(store, "s", id)));
      assert.deepEqual(branches, expected);
      for (const { id } of ends) await isChain(store, "s", id);
    },
  },
  {
    name: "forks at any entry: of a branch that was left, of one that goes on, and of what a fork shares",
    async run({ open }) {
      await using store = await open();
      const ids = await sessionWith(store, "s", ["1", "2", "3"]);
      await rewind(store, "s", ids[1]);
      const [a] = await append(store, "s", note("a"));
      await store.fork("s", ids[3] ?? "", "left");
      await store.fork("s", a?.id ?? "", "goes on");
      await append(store, "left", note("of left"));
      await append(store, "goes on", note("of the other"));
      assert.deepEqual(await texts(store, "left"), ["1", "2", "3", "of left"]);
      assert.deepEqual(await texts(store, "goes on"), ["1", "a", "of the other"]);
      // Its tree holds what the other one left.
      await rewind(store, "goes on", ids[2]);
      await append(store, "goes on", note("again"));
      assert.deepEqual(await texts(store, "goes on"), ["1", "2", "again"]);
      await store.fork("goes on", ids[1] ?? "", "old");
      assert.deepEqual(await texts(store, "old"), ["1"]);
      await rejects(rewind(store, "left", a?.id), "not_found");
      await rejects(store.fork("left", a?.id ?? "", "x"), "not_found");
      for (const id of ["s", "left", "goes on", "old"]) await isChain(store, id);
      assert.deepEqual((await store.sessions({ forkOf: "s" })).map(({ id }) => id).toSorted(), [
        "goes on",
        "left",
      ]);
      assert.deepEqual(await texts(store, "s"), ["1", "a"]);
    },
  },
  {
    name: "reads the end of a path from the last compaction that is on it",
    async run({ open }) {
      await using store = await open();
      const ids = await sessionWith(store, "s", ["1", "2"]);
      await append(store, "s", compacted("first"), note("3"));
      const onFirst = await known(store, "s");
      await append(store, "s", compacted("second"), note("4"));
      const onSecond = await known(store, "s");
      const starts = async (id = "s") => (await store.tail(id))[0]?.type;
      const folds = async (id = "s") => {
        const [tail, path] = [await store.tail(id), await store.path(id)];
        assert.deepEqual(fold(tail), fold(path));
        return tail.length;
      };
      await rewind(store, "s", onFirst.headId);
      assert.deepEqual([await starts(), await folds()], ["compacted", 3], "before the second one");
      assert.deepEqual(
        await store.tail("s", onSecond.headId ?? ""),
        (await store.path("s", onSecond.headId ?? "")).slice(-2),
      );
      await rewind(store, "s", ids[1]);
      assert.deepEqual([await starts(), await folds()], ["sessionCreated", 3], "before both");
      await append(store, "s", compacted("third"));
      assert.deepEqual([await starts(), await folds()], ["compacted", 1]);
      await rewind(store, "s", onSecond.headId);
      assert.deepEqual([await starts(), await folds()], ["compacted", 3], "on the branch that was left");
      await store.fork("s", ids[2] ?? "", "before");
      await store.fork("s", onSecond.headId ?? "", "behind");
      assert.deepEqual([await starts("before"), await folds("before")], ["sessionCreated", 4]);
      assert.deepEqual([await starts("behind"), await folds("behind")], ["compacted", 3]);
    },
  },
  {
    name: "moves only what is at rest and held, and nobody takes up what is held",
    async run({ open }) {
      await using store = await open();
      await using other = await open();
      const ids = await sessionWith(store, "s", ["1", "2"]);
      const hold = await held(store, "s");
      assert.equal(await store.hold("s"), undefined);
      assert.equal(await other.hold("s"), undefined);
      assert.equal(await other.claim("s"), undefined);
      assert.equal(await store.claim("s"), undefined);
      assert.deepEqual(await other.files("s"), { due: null, held: true });
      await rejects(other.erase("s"), "conflict");

      const message = await store.enqueue("s", { type: "message", blocks: [] });
      assert.deepEqual(await store.runnable(10), [], "while it is held");
      await rejects(store.rewind(hold, move(ids[1])), "conflict");
      const woken: string[] = [];
      using _listening = store.onWake((id) => woken.push(id));
      await store.letGo(hold);
      assert.deepEqual(woken, ["s"]);
      await rejects(store.rewind(hold, move(ids[1])), "fenced");
      await rejects(store.hold("s", { atRest: true }), "conflict");
      assert.deepEqual(await store.runnable(10), ["s"]);
      await append(store, "s", { type: "userMessage", blocks: [], inboxId: message.id });

      // Whoever is only just letting go of it cannot write any more.
      const lease = await store.claim("s");
      const again = await held(other, "s");
      await rejects(
        store.append("s", { head: lease?.headId ?? null, epoch: lease?.epoch ?? 0 }, [
          entry("s", note("late"), lease?.headId ?? null, (lease?.headSeq ?? 0) + 1),
        ]),
        "fenced",
      );
      await rejects(other.rewind({ ...again, headId: ids[0] ?? "" }, move(ids[1])), "stale_head");
      await rejects(other.rewind(again, move("e_unknown")), "not_found");
      const moved = await other.rewind(again, move(ids[1]));
      await other.letGo(again);
      assert.equal((await store.claim("s"))?.headId, moved.id);
    },
  },
  {
    name: "leaves a run that waits for a person behind, and closes what it asked",
    async run({ open }) {
      await using store = await open();
      const ids = await sessionWith(store, "s", []);
      const { id: inboxId } = await store.enqueue("s", { type: "message", blocks: [] });
      await append(
        store,
        "s",
        { type: "userMessage", blocks: [], inboxId },
        { type: "runStarted", runId: "r", model: "m" },
        interrupted,
      );
      assert.equal((await known(store, "s")).status, "waiting");
      const stands = await known(store, "s");
      const moved = await rewind(store, "s", ids[0], {
        leaving: [{ type: "runFinished", runId: "r", reason: "stopped" }],
      });
      const [left] = await store.read("s", stands.headSeq, 1);
      assert.deepEqual([left?.type, left?.parentId, left?.seq], ["runFinished", stands.headId, 5]);
      assert.deepEqual([moved.from, moved.parentId, moved.seq], [left?.id, ids[0], 6]);
      const after = await known(store, "s");
      assert.deepEqual([after.status, after.lastRunEnd], ["idle", "stopped"]);
      assert.deepEqual(
        (await store.interrupts({ sessionId: "s" })).map(({ status }) => status),
        ["closed"],
      );
      const answer = { type: "answer", interruptId: "i", answer: { action: "end" } } as const;
      await rejects(store.enqueue("s", answer), "conflict");
      assert.deepEqual(await store.runnable(10), []);
    },
  },
  {
    name: "forks where people are asked: they are asked in both, and each answer counts where it was given",
    async run({ open }) {
      await using store = await open();
      await sessionWith(store, "s", []);
      const { id: inboxId } = await store.enqueue("s", { type: "message", blocks: [] });
      await append(
        store,
        "s",
        { type: "userMessage", blocks: [], inboxId },
        { type: "runStarted", runId: "r", model: "m" },
        interrupted,
      );
      const { headId } = await known(store, "s");
      const { run } = fold(await store.path("s"));
      assert.ok(run !== null);
      const waiting = { runId: run.id, interrupts: run.interrupts, status: "waiting" } as const;
      const { session } = await store.fork("s", headId ?? "", "f", { waiting });
      assert.equal(session.status, "waiting");
      const state = fold(await store.path("f"));
      const records = await store.interrupts({ sessionId: "f" });
      assert.deepEqual(
        records.map(({ id, at, runId, status }) => ({ id, at, runId, status })),
        state.run?.interrupts.map(({ interruptId: id, at }) => ({ id, at, runId: "r", status: "open" })),
      );
      const answer = { type: "answer", answer: { action: "end" } } as const;
      await rejects(store.enqueue("f", { ...answer, interruptId: "i" }), "not_found");
      await store.enqueue("f", { ...answer, interruptId: records[0]?.id ?? "" });
      assert.deepEqual(await store.runnable(10), ["f"]);
      assert.deepEqual(
        (await store.interrupts({ sessionId: "s" })).map(({ id, status }) => [id, status]),
        [["i", "open"]],
      );
    },
  },
  {
    name: "moves once for each key",
    async run({ open }) {
      await using store = await open();
      const ids = await sessionWith(store, "s", ["1"]);
      const key = { key: "k", fingerprint: "f" };
      assert.equal(await store.rewound("s", "k", "f"), undefined);
      const moved = await rewind(store, "s", ids[0], { key });
      assert.deepEqual(await store.rewound("s", "k", "f"), moved);
      await rejects(store.rewound("s", "k", "g"), "conflict");
      await rejects(store.enqueue("s", { type: "message", blocks: [] }, "k"), "conflict");
      await store.enqueue("s", { type: "message", blocks: [] }, "m");
      await rejects(store.rewound("s", "m", "f"), "conflict");
    },
  },
  {
    name: "notes what the files have to become, until they are: also when whoever was at it has died",
    async run({ open }) {
      await using store = await open();
      const ids = await sessionWith(store, "s", ["1"]);
      const due = "snap";
      const fork = await store.fork("s", ids[1] ?? "", "f", {
        due,
        files: { from: "snapshot", snapshot: due, skipped: 2 },
        title: "Again",
        createKey: "k",
        fingerprint: "p",
      });
      assert.deepEqual([fork.created, fork.session.title], [true, "Again"]);
      const same = await store.fork("s", ids[1] ?? "", "g", { createKey: "k", fingerprint: "p" });
      assert.deepEqual([same.created, same.session.id], [false, "f"]);
      await rejects(store.fork("s", ids[1] ?? "", "g", { createKey: "k", fingerprint: "other" }), "conflict");
      const [created] = await store.read("f", 2, 1);
      assert.ok(created?.type === "sessionCreated");
      assert.deepEqual(created.files, { from: "snapshot", snapshot: "snap", skipped: 2 });
      assert.deepEqual(await store.files("f"), { due, held: false });
      {
        const dying = await open();
        const hold = await dying.hold("f");
        assert.deepEqual(hold?.due, due);
        await dying[Symbol.asyncDispose]();
      }
      assert.deepEqual(await store.files("f"), { due, held: false });
      // Somebody who works on it puts its files in order.
      await store.claim("f");
      const hold = await store.hold("f");
      assert.ok(hold !== undefined);
      await store.letGo(hold, { filesDone: true });
      assert.deepEqual(await store.files("f"), { due: null, held: false });
      const moved = await rewind(store, "s", ids[0], { due: "template" });
      assert.deepEqual(await store.files("s"), { due: "template", held: false });
      assert.equal((await store.filesAt("s", moved.id))?.id, moved.id);
      await rewind(store, "s", ids[0]);
      assert.deepEqual(await store.files("s"), { due: null, held: false }, "they stay as they are");
      await rejects(store.files("unknown"), "not_found");
    },
  },
  {
    name: "knows every snapshot that something names, on any branch, until the last session with it is erased",
    async run({ open }) {
      await using store = await open();
      const inUse = async () => [...(await store.snapshotsInUse())].sort();
      assert.deepEqual(await inUse(), []);
      const ids = await sessionWith(store, "s", ["1"]);
      const long = Array.from({ length: 100 }, (_, i) => ({
        path: `${i}`.padStart(1_000, "x"),
        why: "too large",
      }));
      const [one] = await append(store, "s", saved("one"), { ...saved("long"), skipped: long }, saved("one"));
      const files = { from: "snapshot", snapshot: "moved", skipped: 0 } as const;
      await rewind(store, "s", ids[1], { moved: { type: "headMoved", spent, files }, due: "due" });
      await store.fork("s", one?.id ?? "", "f", { files: { ...files, snapshot: "forked" } });
      assert.deepEqual(await inUse(), ["due", "forked", "long", "moved", "one"]);
      await store.erase("s");
      assert.deepEqual(await inUse(), ["forked", "one"]);
      await store.erase("f");
      assert.deepEqual(await inUse(), []);
    },
  },
  {
    name: "finds entries by id, by the beginning of it, by number; and what the files were",
    async run({ open }) {
      await using store = await open();
      const ids = await sessionWith(store, "s", ["1"]);
      const [snapshot, later] = await append(store, "s", saved("one"), note("2"));
      await rewind(store, "s", ids[1]);
      await store.fork("s", later?.id ?? "", "f");
      assert.equal((await store.filesAt("s", ids[1] ?? ""))?.id, ids[0]);
      assert.equal((await store.filesAt("s", later?.id ?? ""))?.id, snapshot?.id);
      assert.equal((await store.filesAt("f", later?.id ?? ""))?.id, snapshot?.id);
      await rejects(store.filesAt("s", "unknown"), "not_found");

      assert.deepEqual(await store.find("f", { id: later?.id ?? "" }), later);
      assert.deepEqual(await store.find("f", { seq: 4 }), later);
      assert.deepEqual(await store.find("s", { seq: 3 }), snapshot);
      assert.deepEqual(await store.find("s", { id: later?.id.slice(0, -1) ?? "" }), later);
      await rejects(store.find("s", { id: "e_" }), "conflict");
      await rejects(store.find("s", { id: "x" }), "not_found");
      await rejects(store.find("s", { seq: 99 }), "not_found");
      await rejects(store.find("s", { seq: 0 }), "not_found");
    },
  },
  {
    name: "knows where the paths of two sessions part",
    async run({ open }) {
      await using store = await open();
      const ids = await sessionWith(store, "s", ["1", "2", "3"]);
      await sessionWith(store, "other", []);
      const part = async (a: string, b: string) => {
        const [one, two] = [await store.divergence(a, b), await store.divergence(b, a)];
        assert.deepEqual(one, two);
        return one?.seq;
      };
      await store.fork("s", ids[2] ?? "", "f");
      await store.fork("s", ids[1] ?? "", "g");
      await append(store, "s", note("only in s"));
      assert.deepEqual(await store.divergence("s", "f"), { entryId: ids[2], seq: 3 });
      assert.deepEqual([await part("s", "g"), await part("f", "g")], [2, 2]);
      assert.equal(await part("s", "other"), undefined);
      assert.equal(await part("s", "s"), 5);
      await rewind(store, "s", ids[1]);
      assert.deepEqual([await part("s", "f"), await part("s", "g")], [2, 2]);
      const { headId } = await known(store, "s");
      await store.fork("s", headId ?? "", "behind");
      await append(store, "s", note("4"));
      assert.deepEqual([await part("s", "behind"), await part("behind", "f")], [6, 2]);
      await rejects(store.divergence("s", "unknown"), "not_found");
    },
  },
  {
    name: "erases the origin of forks whose history has branches: they keep them",
    async run({ open }) {
      await using store = await open();
      const ids = await sessionWith(store, "s", ["1", "2", "3"]);
      await rewind(store, "s", ids[1]);
      const [a, b] = await append(store, "s", note("a"), note("b"));
      await rewind(store, "s", a?.id);
      await append(store, "s", note("only in s"));
      await store.fork("s", ids[3] ?? "", "left");
      await store.fork("s", b?.id ?? "", "long");
      await store.fork("long", ids[2] ?? "", "within");
      for (const id of ["left", "long", "within"]) await append(store, id, note(`of ${id}`));
      await rewind(store, "long", a?.id);
      await append(store, "long", note("moved"));
      const expected = {
        left: ["1", "2", "3", "of left"],
        long: ["1", "a", "moved"],
        within: ["1", "2", "of within"],
      };
      const check = async (...sessions: readonly (keyof typeof expected)[]) => {
        for (const id of sessions) {
          assert.deepEqual(await texts(store, id), expected[id]);
          await isChain(store, id);
          const all = await store.read(id, 0);
          assert.deepEqual(
            seqs(all),
            all.map((_, i) => i + 1),
          );
        }
      };
      await check("left", "long", "within");
      await store.erase("s");
      await check("left", "long", "within");
      await rewind(store, "long", ids[3]);
      await append(store, "long", note("back"));
      assert.deepEqual(await texts(store, "long"), ["1", "2", "3", "back"]);
      assert.equal((await store.divergence("long", "left"))?.entryId, ids[3]);
      await store.erase("long");
      await check("left", "within");
      await store.erase("left");
      await check("within");
      await store.erase("within");
      assert.deepEqual(await store.sessions(), []);
    },
  },
];

const spent = { usage: noUsage, costUsd: 0, unpricedCalls: 0, lostUsd: 0 };

const interrupted: NewEntry = {
  type: "interrupted",
  runId: "r",
  interruptId: "i",
  request: {
    kind: "budget",
    message: "It costs too much.",
    budget: { scope: "run", key: "r", limitUsd: 1, spentUsd: 1, neededUsd: 1 },
  },
};

/** A session whose log is its root and these notes. Their ids, the root's first. */
async function sessionWith(store: Store, id: string, notes: readonly string[]): Promise<readonly string[]> {
  await store.create({ id, agent: "x" });
  await append(store, id, ...notes.map(note));
  return (await store.path(id)).map((each) => each.id);
}

async function append(
  store: Store,
  sessionId: string,
  ...facts: readonly NewEntry[]
): Promise<readonly Entry[]> {
  const lease = await store.claim(sessionId);
  assert.ok(lease !== undefined, `${sessionId} is held by somebody else`);
  let parent = lease.headId;
  const entries = facts.map((fact, i) => {
    const made = entry(sessionId, fact, parent, lease.headSeq + 1 + i);
    parent = made.id;
    return made;
  });
  await store.append(sessionId, { head: lease.headId, epoch: lease.epoch }, entries);
  await store.release(lease);
  return entries;
}

function entry(sessionId: string, fact: NewEntry, parentId: string | null, seq: number): Entry {
  return { ...fact, id: newId("e"), sessionId, parentId, seq, at: 1, v: ENTRY_VERSION };
}

function move(to: string | null | undefined, rest: Partial<Parameters<Store["rewind"]>[1]> = {}) {
  return { to: to ?? "", leaving: [], moved: { type: "headMoved", spent } as const, ...rest };
}

async function held(store: Store, sessionId: string): Promise<Hold> {
  const hold = await store.hold(sessionId, { atRest: true });
  assert.ok(hold !== undefined, `${sessionId} is held by somebody else`);
  return hold;
}

async function rewind(
  store: Store,
  sessionId: string,
  to: string | null | undefined,
  rest: Partial<Parameters<Store["rewind"]>[1]> = {},
): Promise<Entry & HeadMoved> {
  const hold = await held(store, sessionId);
  try {
    return await store.rewind(hold, move(to, rest));
  } finally {
    await store.letGo(hold);
  }
}

async function known(store: Store, sessionId: string) {
  const session = await store.session(sessionId);
  assert.ok(session !== undefined);
  return session;
}

/** Each entry of a path follows the one before it. */
async function isChain(store: Store, sessionId: string, head?: string): Promise<void> {
  const path = await store.path(sessionId, head);
  assert.deepEqual(
    path.map(({ parentId }) => parentId),
    [null, ...path.slice(0, -1).map(({ id }) => id)],
  );
}

function seqs(entries: readonly Entry[]): readonly number[] {
  return entries.map(({ seq }) => seq);
}

async function follow(store: Store, sessionId: string, last: number): Promise<readonly number[]> {
  const found: number[] = [];
  const stop = new AbortController();
  for await (const { seq } of store.follow(sessionId, 0, stop.signal)) {
    found.push(seq);
    if (seq === last) stop.abort();
  }
  return found;
}

function note(text: string): NewEntry {
  const failure = { kind: "unknown", message: text } as const;
  return { type: "modelFailed", runId: "r", model: "m", attempt: 1, failure, durationMs: 1 };
}

function saved(snapshot: string): NewEntry & { readonly type: "workspaceSaved" } {
  const counts = { files: 1, bytes: 1, added: 1, changed: 0, removed: 0 };
  return { type: "workspaceSaved", snapshot, ...counts, skipped: [], durationMs: 1 };
}

function compacted(text: string): NewEntry {
  return {
    type: "compacted",
    tier: "summary",
    messages: [{ role: "user", blocks: [{ type: "text", text }] }],
    carried: carriedState(fold([])),
    tokensBefore: 2,
    tokensAfter: 1,
    usage: noUsage,
    costUsd: 0,
  };
}

async function texts(store: Store, sessionId: string, head?: string): Promise<readonly string[]> {
  const path = await store.path(sessionId, head);
  return path.flatMap((each) => (each.type === "modelFailed" ? [each.failure.message] : []));
}

async function rejects(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(isAppError(error, code), `expected ${code}, got ${String(error)}`);
    return true;
  });
}
