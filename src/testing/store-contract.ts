import assert from "node:assert/strict";
import { type ErrorCode, isAppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { noUsage } from "../log/content.ts";
import { ENTRY_VERSION, type Entry, type NewEntry } from "../log/entry.ts";
import { fold } from "../log/fold.ts";
import type { Quota, SessionStatus } from "../log/session-log.ts";
import { carriedState } from "../log/state.ts";
import type { Command, Lease } from "../run/worker/queue.ts";
import type { Store } from "../stores/store.ts";

/**
 * What every store must do. Framework-free, so that a store of your own can run it under any test runner: open a fresh,
 * empty database for each case, run the case, dispose of what it opened.
 */
export interface StoreContractCase {
  readonly name: string;
  run(subject: StoreSubject): Promise<void>;
}

export interface StoreSubject {
  /** Opens one more node on the case's database. The case disposes of it. */
  open(): Promise<Store>;
}

export const storeContract: readonly StoreContractCase[] = [
  {
    name: "creates a session with its root entry",
    async run({ open }) {
      await using store = await open();
      const { session, created } = await store.create({ id: "s", agent: "analyst", title: "A \u0000 title" });
      assert.equal(created, true);
      const { headId, createdAt, updatedAt, ...rest } = session;
      assert.deepEqual(rest, {
        id: "s",
        agent: "analyst",
        tenant: "default",
        title: "A \u0000 title",
        status: "idle",
        lastRunEnd: null,
        headSeq: 1,
        turns: 0,
        usage: { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
        costUsd: 0,
        unpricedCalls: 0,
        forkedFrom: null,
      });
      assert.ok(Number.isInteger(createdAt) && updatedAt === createdAt);
      const [root, ...others] = await store.path("s");
      assert.equal(others.length, 0);
      assert.deepEqual(
        { ...root, at: 0 },
        {
          id: headId,
          sessionId: "s",
          parentId: null,
          seq: 1,
          at: 0,
          v: 1,
          type: "sessionCreated",
          agent: "analyst",
        },
      );
      assert.deepEqual(await store.session("s"), session);
      assert.equal(await store.session("other"), undefined);
    },
  },
  {
    name: "creates once per key",
    async run({ open }) {
      await using store = await open();
      const first = await store.create({ id: "a", agent: "x", createKey: "k", fingerprint: "f" });
      const again = await store.create({ id: "a", agent: "x", createKey: "k", fingerprint: "f" });
      const otherId = await store.create({ id: "b", agent: "x", createKey: "k", fingerprint: "f" });
      assert.deepEqual([again.created, otherId.created], [false, false]);
      assert.deepEqual([again.session, otherId.session], [first.session, first.session]);
      await rejects(store.create({ id: "a", agent: "x", createKey: "k", fingerprint: "g" }), "conflict");
      await rejects(store.create({ id: "a", agent: "x", createKey: "l", fingerprint: "f" }), "conflict");
      await rejects(store.create({ id: "a", agent: "x" }), "conflict");
      assert.equal((await store.path("a")).length, 1);
    },
  },
  {
    name: "creates once when asked by many at the same time",
    async run({ open }) {
      await using one = await open();
      await using two = await open();
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          (i % 2 ? one : two).create({ id: `s${i}`, agent: "x", createKey: "k" }),
        ),
      );
      assert.equal(results.filter((result) => result.created).length, 1);
      assert.equal(new Set(results.map((result) => result.session.id)).size, 1);
    },
  },
  {
    name: "lists sessions, newest change first, by agent, status and page",
    async run({ open }) {
      await using store = await open();
      for (const [id, agent] of [
        ["a", "x"],
        ["b", "y"],
        ["c", "x"],
      ] as const) {
        await store.create({ id, agent });
        await tick();
      }
      await store.enqueue("a", message("work"));
      const ids = async (filter?: Parameters<Store["sessions"]>[0]) =>
        (await store.sessions(filter)).map((session) => session.id);
      assert.deepEqual(await ids(), ["a", "c", "b"]);
      assert.deepEqual(await ids({ agent: "x" }), ["a", "c"]);
      assert.deepEqual(await ids({ status: "queued" }), ["a"]);
      assert.deepEqual(await ids({ limit: 2 }), ["a", "c"]);
    },
  },
  {
    name: "keeps the sessions of tenants apart in lists, also those that were forked",
    async run({ open }) {
      await using store = await open();
      await store.create({ id: "ours", agent: "x", tenant: "acme" });
      const { session } = await store.create({ id: "theirs", agent: "x" });
      assert.equal(session.tenant, "default");
      const { session: fork } = await store.fork("ours", (await store.session("ours"))?.headId ?? "", "fork");
      assert.equal(fork.tenant, "acme");
      const ids = (await store.sessions({ tenant: "acme" })).map(({ id }) => id);
      assert.deepEqual(ids.toSorted(), ["fork", "ours"]);
    },
  },
  {
    name: "lets exactly as many runs begin as an agent or a tenant may have, whoever asks",
    async run({ open }) {
      await using one = await open();
      await using two = await open();
      const begin = (id: string, runs: Quota, i = 0) =>
        (i % 2 ? one : two).enqueue(id, message("go"), "key", { runs });
      const ids = Array.from({ length: 50 }, (_, i) => `s${i}`);
      for (const id of ids) await one.create({ id, agent: "x", tenant: "acme" });
      await one.create({ id: "other-agent", agent: "y", tenant: "acme" });
      await one.create({ id: "other-tenant", agent: "x" });

      const asked = await Promise.allSettled(ids.map((id, i) => begin(id, { agent: 7, tenant: null }, i)));
      const begun = ids.filter((_, i) => asked[i]?.status === "fulfilled");
      assert.equal(begun.length, 7);
      for (const result of asked) {
        if (result.status === "rejected") assert.equal(result.reason.code, "rate_limited");
      }
      const [busy = ""] = begun;
      await begin(busy, { agent: 7, tenant: 7 });
      await one.enqueue(busy, message("joins what goes on"), "another", { runs: { agent: 7, tenant: 7 } });
      await rejects(begin("other-tenant", { agent: 7, tenant: null }), "rate_limited");
      await rejects(begin("other-agent", { agent: 7, tenant: 7 }), "rate_limited");
      await begin("other-agent", { agent: 7, tenant: 8 });
      await begin("other-tenant", { agent: 8, tenant: 1 });
    },
  },
  {
    name: "counts a run that waits for a person as none, and one that has ended no more",
    async run({ open }) {
      await using store = await open();
      const runs = { agent: 1, tenant: null };
      for (const id of ["a", "b", "c"]) await store.create({ id, agent: "x" });
      await store.enqueue("a", message("go"), undefined, { runs });
      const a = await claim(store, "a");
      const [asked] = await store.inbox("a");
      await a.append(said(asked?.id), runStarted, interrupted);
      await store.enqueue("b", message("go"), undefined, { runs });
      await rejects(store.enqueue("c", message("go"), undefined, { runs }), "rate_limited");
      const b = await claim(store, "b");
      const [work] = await store.inbox("b");
      await b.append(said(work?.id), runStarted, runFinished);
      await store.enqueue("c", message("go"), undefined, { runs });
    },
  },
  {
    name: "lets exactly as many sessions be made in a minute as an agent or a tenant may, and says when there may be more",
    async run({ open }) {
      await using one = await open();
      await using two = await open();
      const quota = { agent: null, tenant: 9 };
      const asked = await Promise.allSettled(
        Array.from({ length: 50 }, (_, i) =>
          (i % 2 ? one : two).create({ id: `s${i}`, agent: "x", tenant: "acme", createKey: `k${i}` }, quota),
        ),
      );
      const made = asked.flatMap((result) =>
        result.status === "fulfilled" ? [result.value.session.id] : [],
      );
      assert.equal(made.length, 9);
      const refused = asked.find((result) => result.status === "rejected");
      const { code, details } = refused?.reason ?? {};
      assert.equal(code, "rate_limited");
      assert.ok(details.retryAfterMs > 0 && details.retryAfterMs <= 60_000);
      // What exists already is found, not made.
      const [again = ""] = made;
      const found = await one.create(
        { id: again, agent: "x", tenant: "acme", createKey: `k${again.slice(1)}` },
        quota,
      );
      assert.equal(found.created, false);
      await one.create({ id: "theirs", agent: "x" }, quota);
      await rejects(one.create({ id: "one-more", agent: "x" }, { agent: 10, tenant: null }), "rate_limited");
    },
  },
  {
    name: "refuses a message that wants an idle session while there is work, and a full inbox",
    async run({ open }) {
      await using one = await open();
      await using two = await open();
      await one.create({ id: "s", agent: "x" });
      const sent = await Promise.allSettled(
        Array.from({ length: 50 }, (_, i) =>
          (i % 2 ? one : two).enqueue("s", message(`${i}`), `k${i}`, { onlyIfIdle: true }),
        ),
      );
      const accepted = sent.flatMap((result, i) => (result.status === "fulfilled" ? [i] : []));
      assert.equal(accepted.length, 1);
      assert.equal((await one.inbox("s")).length, 1);
      const [first = 0] = accepted;
      const again = await two.enqueue("s", message(`${first}`), `k${first}`, { onlyIfIdle: true });
      assert.equal(again.duplicate, true);
      await rejects(two.enqueue("s", message("late"), "late", { onlyIfIdle: true }), "conflict");

      await Promise.all(Array.from({ length: 999 }, (_, i) => one.enqueue("s", message(`more ${i}`))));
      await rejects(one.enqueue("s", message("too many")), "rate_limited");
      await one.enqueue("s", { type: "stop" });
      assert.equal((await one.inbox("s")).length, 1_001);
    },
  },
  {
    name: "pages through sessions that changed in the same millisecond: each one once",
    async run({ open }) {
      await using store = await open();
      // Made in an order that differs from that of their ids, and fast enough for several to share a millisecond.
      const ids = Array.from({ length: 60 }, (_, i) => `s${(i * 37) % 60}`);
      await Promise.all(ids.map((id) => store.create({ id, agent: "x" })));
      const all = await store.sessions({ limit: 1_000 });
      const times = new Set(all.map((session) => session.updatedAt));
      assert.ok(times.size < all.length, "some share a millisecond, or this tests nothing");

      const paged: string[] = [];
      let page = await store.sessions({ limit: 7 });
      for (let last = page.at(-1); last !== undefined; last = page.at(-1)) {
        paged.push(...page.map((session) => session.id));
        page = await store.sessions({ limit: 7, after: last });
      }
      assert.deepEqual(
        paged,
        all.map((session) => session.id),
      );
      assert.deepEqual(paged.toSorted(), ids.toSorted());
    },
  },
  {
    name: "appends behind the expected head only",
    async run({ open }) {
      await using store = await open();
      const writer = await startSession(store, "s");
      const root = writer.head;
      await writer.append(note("1"), note("2"));
      const stale = { ...writer, head: root, seq: 1 };
      await rejects(
        store.append("s", { head: root, epoch: writer.epoch }, entriesOf(stale, [note("x")])),
        "stale_head",
      );
      await rejects(
        store.append("s", { head: null, epoch: writer.epoch }, [
          { ...(entriesOf({ ...stale, head: null, seq: 0 }, [note("x")])[0] as Entry) },
        ]),
        "stale_head",
      );
      assert.deepEqual(await texts(store, "s"), ["1", "2"]);
      await writer.append(note("3"));
      const path = await store.path("s");
      assert.deepEqual(
        path.map((entry) => entry.seq),
        [1, 2, 3, 4],
      );
      assert.deepEqual(
        path.map((entry) => entry.parentId),
        [null, ...path.slice(0, -1).map((entry) => entry.id)],
      );
    },
  },
  {
    name: "stores an append whole or not at all, and refuses misnumbered entries",
    async run({ open }) {
      await using store = await open();
      const writer = await startSession(store, "s");
      const fence = { head: writer.head, epoch: writer.epoch };
      const [first, second] = entriesOf(writer, [note("1"), note("2")]) as [Entry, Entry];
      await rejects(store.append("s", fence, [first, { ...second, seq: 7 }]), "invalid_input");
      await rejects(store.append("s", fence, [{ ...first, seq: 3 }]), "invalid_input");
      await rejects(store.append("s", fence, [first, { ...second, parentId: "other" }]), "invalid_input");
      await rejects(store.append("s", fence, [first, { ...second, sessionId: "t" }]), "invalid_input");
      await rejects(store.append("t", fence, [{ ...first, sessionId: "t" }]), "not_found");
      assert.equal((await store.session("s"))?.headSeq, 1);
      await store.append("s", fence, []);
      assert.equal((await store.session("s"))?.headSeq, 1);
    },
  },
  {
    name: "takes pipelined appends of one tick, and fails all behind a failure",
    async run({ open }) {
      await using store = await open();
      const writer = await startSession(store, "s");
      await Promise.all(Array.from({ length: 50 }, (_, i) => writer.append(note(String(i)))));
      assert.deepEqual(
        await texts(store, "s"),
        Array.from({ length: 50 }, (_, i) => String(i)),
      );

      const good = writer.append(note("good"));
      const bad = writer.append({ type: "userMessage", blocks: [], inboxId: "unknown" });
      const behind = writer.append(note("behind"));
      const [one, two, three] = await Promise.allSettled([good, bad, behind]);
      assert.deepEqual([one.status, two.status, three.status], ["fulfilled", "rejected", "rejected"]);
      assert.ok(three.status === "rejected" && isAppError(three.reason, "stale_head"));
      assert.equal((await texts(store, "s")).at(-1), "good");
    },
  },
  {
    name: "lets only the holder of the lease write",
    async run({ open }) {
      await using one = await open();
      await using two = await open();
      const first = await startSession(one, "s");
      assert.equal(await two.claim("s"), undefined);
      await rejects(
        two.append("s", { head: first.head, epoch: first.epoch }, entriesOf(first, [note("x")])),
        "fenced",
      );

      await one.release(first.lease);
      const second = await claim(two, "s");
      assert.equal(second.epoch, first.epoch + 1);
      for (const epoch of [first.epoch, second.epoch]) {
        await rejects(
          one.append("s", { head: second.head, epoch }, entriesOf(second, [note("x")])),
          "fenced",
        );
      }
      await rejects(first.append(note("x")), "fenced");
      await second.append(note("mine"));
      assert.deepEqual(await texts(one, "s"), ["mine"]);
    },
  },
  {
    name: "gives a lease to one of many, the same one to its holder, and a higher epoch each time",
    async run({ open }) {
      await using one = await open();
      await using two = await open();
      await one.create({ id: "s", agent: "x" });
      const leases = await Promise.all([one.claim("s"), two.claim("s"), one.claim("s"), two.claim("s")]);
      const [lease, ...same] = leases.filter((each) => each !== undefined);
      assert.ok(lease !== undefined && same.length === 1);
      assert.deepEqual(same[0], lease);
      assert.equal(lease.headSeq, 1);
      const holder = lease.nodeId === one.nodeId ? one : two;

      await holder.release(lease);
      const next = await holder.claim("s");
      assert.equal(next?.epoch, lease.epoch + 1);
      await holder.release(lease); // lost meanwhile: without effect
      assert.deepEqual(await holder.claim("s"), next);
      await rejects(one.claim("other"), "not_found");
    },
  },
  {
    name: "gives all leases back when it is closed",
    async run({ open }) {
      const one = await open();
      await using two = await open();
      const writer = await startSession(one, "s");
      const last = writer.append(note("written on the way out"));
      await one[Symbol.asyncDispose]();
      await last;
      assert.equal((await two.claim("s"))?.epoch, writer.epoch + 1);
      assert.deepEqual(await texts(two, "s"), ["written on the way out"]);
      await rejects(one.enqueue("s", message("late")), "unavailable");
      await rejects(one.session("s"), "unavailable");
    },
  },
  {
    name: "keeps an inbox in order, each key once",
    async run({ open }) {
      await using store = await open();
      await store.create({ id: "s", agent: "x" });
      await store.create({ id: "t", agent: "x" });
      const first = await store.enqueue("s", message("1"), "k1");
      const stop = await store.enqueue("s", { type: "stop", reason: "enough" });
      const third = await store.enqueue("s", { ...message("3"), model: "m" });
      const same = await store.enqueue("s", { blocks: [{ text: "1", type: "text" }], type: "message" }, "k1");
      assert.deepEqual(same, { id: first.id, duplicate: true });
      assert.equal((await store.enqueue("t", message("1"), "k1")).duplicate, false);
      await rejects(store.enqueue("s", message("other"), "k1"), "conflict");
      await rejects(store.enqueue("unknown", message("1")), "not_found");
      const items = await store.inbox("s");
      assert.deepEqual(
        items.map((item) => item.id),
        [first.id, stop.id, third.id],
      );
      assert.deepEqual(
        items.map((item) => item.command),
        [message("1"), { type: "stop", reason: "enough" }, { ...message("3"), model: "m" }],
      );
    },
  },
  {
    name: "moves an inbox item into the log exactly once",
    async run({ open }) {
      await using store = await open();
      const writer = await startSession(store, "s");
      const one = await store.enqueue("s", message("1"), "k");
      const stop = await store.enqueue("s", { type: "stop" });
      await writer.append({ type: "userMessage", blocks: [], inboxId: one.id });
      assert.deepEqual(
        (await store.inbox("s")).map((item) => item.id),
        [stop.id],
      );

      const head = writer.head;
      await rejects(
        writer.append(note("with it"), { type: "userMessage", blocks: [], inboxId: one.id }),
        "conflict",
      );
      const [session] = await store.sessions();
      assert.equal(session?.headId, head);

      const retry = await claim(store, "s");
      await retry.append({ type: "stopRequested", inboxId: stop.id });
      assert.deepEqual(await store.inbox("s"), []);
      assert.deepEqual(await store.enqueue("s", message("1"), "k"), { id: one.id, duplicate: true });
      assert.deepEqual(await store.inbox("s"), []);
    },
  },
  {
    name: "allows one result per tool call",
    async run({ open }) {
      await using store = await open();
      const writer = await startSession(store, "s");
      await writer.append(result("c1"));
      await writer.append(result("c2"));
      await rejects(writer.append(note("with it"), result("c1")), "conflict");
      const retry = await claim(store, "s");
      await retry.append(result("c3"));
      assert.equal((await store.path("s")).filter((entry) => entry.type === "toolFinished").length, 3);
    },
  },
  {
    name: "says what is runnable, oldest first",
    async run({ open }) {
      await using one = await open();
      await using two = await open();
      const a = await startSession(one, "a");
      await one.create({ id: "b", agent: "x" });
      assert.deepEqual(await two.runnable(10), []);

      await two.enqueue("b", message("1"));
      await tick();
      const item = await two.enqueue("a", message("1"));
      assert.deepEqual(await two.runnable(10), ["b"], "a living node holds the other");
      assert.equal((await two.session("a"))?.status, "queued");

      await a.append({ type: "userMessage", blocks: [], inboxId: item.id }, runStarted);
      assert.equal((await two.session("a"))?.status, "running");
      await one.release(a.lease);
      assert.deepEqual(await two.runnable(10), ["b", "a"], "an unfinished run is work");
      assert.deepEqual(await two.runnable(1), ["b"]);

      const again = await claim(two, "a");
      await again.append(runFinished);
      await two.release(again.lease);
      assert.deepEqual(await two.runnable(10), ["b"]);
      assert.equal((await two.session("a"))?.status, "idle");
    },
  },
  {
    name: "takes the writer's word for what the session is after an append",
    async run({ open }) {
      await using store = await open();
      let writer = await startSession(store, "s");
      const append = async (facts: readonly NewEntry[], status: SessionStatus) => {
        const position = { sessionId: "s", head: writer.head, seq: writer.seq };
        await store.append(
          "s",
          { head: position.head, epoch: writer.epoch },
          entriesOf(position, facts),
          status,
        );
        await store.release(writer.lease);
        const found = { status: (await store.session("s"))?.status, runnable: await store.runnable(1) };
        writer = await claim(store, "s");
        return found;
      };
      const { id } = await store.enqueue("s", message("unanswered"));
      const work = { status: "queued", runnable: ["s"] };
      assert.deepEqual(await append([{ type: "userMessage", blocks: [], inboxId: id }], "queued"), work);
      assert.deepEqual(await append([note("still")], "queued"), work);
      const stop = await store.enqueue("s", { type: "stop" });
      assert.deepEqual(await append([{ type: "stopRequested", inboxId: stop.id }], "queued"), work);
      assert.deepEqual(await append([runStarted], "running"), { status: "running", runnable: ["s"] });
      assert.deepEqual(await append([runFinished], "queued"), work);
      assert.deepEqual(await append([note("over")], "idle"), { status: "idle", runnable: [] });
    },
  },
  {
    name: "wakes listeners in every process, also for what arrives while a run ends",
    async run({ open }) {
      await using one = await open();
      await using two = await open();
      const writer = await startSession(one, "s");
      const woken = { one: 0, two: 0 };
      const listenOne = one.onWake((id) => {
        if (id === "s") woken.one += 1;
      });
      const listenTwo = two.onWake((id) => {
        if (id === "s") woken.two += 1;
      });
      await one.enqueue("s", message("1"), "k");
      assert.equal(woken.one, 1, "at once in the same process");
      await eventually(() => woken.two > 0);
      await one.enqueue("s", message("1"), "k");
      assert.equal(woken.one, 1, "a duplicate is no work");

      await writer.append(runStarted, runFinished);
      assert.equal((await one.session("s"))?.status, "queued", "the message is still there");
      await one.release(writer.lease);
      assert.equal(woken.one, 2, "somebody must take it up");

      listenOne[Symbol.dispose]();
      listenTwo[Symbol.dispose]();
      await one.enqueue("s", message("2"));
      assert.equal(woken.one, 2);
    },
  },
  {
    name: "sums up a session",
    async run({ open }) {
      await using store = await open();
      const writer = await startSession(store, "s");
      const usage = { input: 10, cacheRead: 20, cacheWrite: 30, output: 40, reasoning: 5 };
      const model = { runId: "r", model: "m" } as const;
      const answer = {
        ...model,
        type: "assistantMessage",
        blocks: [],
        stopReason: "endTurn",
        usage,
      } as const;
      const timing = { firstTokenMs: null, totalMs: 5 };
      await writer.append(runStarted, { ...model, type: "modelCalled", attempt: 1 });
      await writer.append({ ...model, type: "modelCalled", attempt: 2 });
      await writer.append({ ...answer, timing, costUsd: 0.25 });
      await writer.append(
        { ...model, type: "modelCalled", attempt: 1 },
        { ...answer, timing, costUsd: null },
      );
      const running = await store.session("s");
      assert.equal(running?.status, "running");
      assert.equal(running.lastRunEnd, null);
      await writer.append({ type: "runFailed", runId: "r", error: { code: "x", message: "y" } });
      const session = await store.session("s");
      assert.ok(session);
      assert.deepEqual(session.usage, {
        input: 20,
        cacheRead: 40,
        cacheWrite: 60,
        output: 80,
        reasoning: 10,
      });
      assert.deepEqual(
        [session.status, session.lastRunEnd, session.turns, session.costUsd, session.unpricedCalls],
        ["idle", "failed", 2, 0.25, 1],
      );
      assert.deepEqual([session.headId, session.headSeq], [writer.head, writer.seq]);
    },
  },
  {
    name: "reads in pages from a cursor",
    async run({ open }) {
      await using store = await open();
      const writer = await startSession(store, "s");
      await Promise.all(Array.from({ length: 2_499 }, (_, i) => writer.append(note(String(i)))));
      const seqs = async (after: number, limit?: number) =>
        (await store.read("s", after, limit)).map((e) => e.seq);
      assert.deepEqual(await seqs(0, 3), [1, 2, 3]);
      assert.deepEqual(await seqs(2_498, 10), [2_499, 2_500]);
      assert.deepEqual(await seqs(2_500), []);
      assert.equal((await seqs(0)).length, 1_000);
      assert.equal((await store.path("s")).length, 2_500);
      const middle = (await store.read("s", 1_699, 1))[0];
      const part = await store.path("s", middle?.id);
      assert.deepEqual([part.length, part.at(-1)?.seq], [1_700, 1_700]);
      await rejects(store.path("s", "unknown"), "not_found");
      await rejects(store.path("unknown"), "not_found");
      await rejects(store.read("unknown", 0), "not_found");
    },
  },
  {
    name: "gives content back as it was: large, with NUL, with lone surrogates, in its order",
    async run({ open }) {
      await using store = await open();
      const writer = await startSession(store, "s");
      const odd = "nul \u0000, surrogates \ud800 and \udc00, paragraph \u2028, emoji \u{1f600}";
      const details = { z: 1, a: { "2": 2, "1": odd }, [odd]: [1.5, null, "", -0 + 1e-7] };
      const large = `${odd}${"é0123456789".repeat(30_000)}`;
      await writer.append({ ...result("c1"), details, blocks: [{ type: "text", text: odd }] });
      await writer.append({ ...result("c2"), blocks: [{ type: "text", text: large }] });
      const [, one, two] = await store.path("s");
      assert.ok(one?.type === "toolFinished" && two?.type === "toolFinished");
      assert.equal(JSON.stringify(one.details), JSON.stringify(details));
      assert.deepEqual(one.blocks, [{ type: "text", text: odd }]);
      assert.deepEqual(two.blocks, [{ type: "text", text: large }]);

      const command: Command = {
        type: "message",
        blocks: [{ type: "image", mediaType: "image/png", data: large }],
      };
      const first = await store.enqueue("s", command, "k");
      const second = await store.enqueue("s", command);
      assert.equal((await store.enqueue("s", command, "k")).duplicate, true);
      assert.deepEqual(
        (await store.inbox("s")).map((item) => item.command),
        [command, command],
      );
      await writer.append({ type: "userMessage", blocks: command.blocks, inboxId: first.id });
      assert.deepEqual(
        (await store.inbox("s")).map((item) => [item.id, item.command]),
        [[second.id, command]],
      );
      const [last] = await store.read("s", 3);
      assert.deepEqual(last?.type === "userMessage" && last.blocks, command.blocks);
    },
  },
  {
    name: "keeps entries of a later release as they are",
    async run({ open }) {
      await using store = await open();
      const writer = await startSession(store, "s");
      const later = { type: "somethingNew", nested: { a: [1] } } as unknown as NewEntry;
      const [entry] = entriesOf(writer, [later]);
      const future = { ...entry, v: 99 } as unknown as Entry;
      await store.append("s", { head: writer.head, epoch: writer.epoch }, [future]);
      assert.deepEqual((await store.read("s", 1))[0], future);
    },
  },
  {
    name: "follows from a cursor while others append: each entry once, in order",
    async run({ open }) {
      await using one = await open();
      await using two = await open();
      const writer = await startSession(one, "s");
      await writer.append(note("before"));
      const stop = new AbortController();
      const followers = [one, one, two, two].map((store, i) => collect(store, "s", i % 2 ? 2 : 0, 200, stop));
      for (let i = 2; i < 200; i++) {
        await writer.append(note(String(i)));
        if (i % 60 === 0) await tick(20);
      }
      const late = collect(two, "s", 150, 200, stop);
      const all = await Promise.all([...followers, late]);
      for (const [i, seqs] of all.entries()) {
        const first = i === 4 ? 151 : i % 2 ? 3 : 1;
        assert.deepEqual(
          seqs,
          Array.from({ length: 201 - first }, (_, n) => n + first),
        );
      }
    },
  },
  {
    name: "follows a session that is written by one process and another in turn, also when the reader is slow",
    async run({ open }) {
      await using one = await open();
      await using two = await open();
      await one.create({ id: "s", agent: "x" });
      const stop = new AbortController();
      const slow = one.follow("s", 0, stop.signal)[Symbol.asyncIterator]();
      const seqs = [(await slow.next()).value?.seq];
      for (const store of [one, two, one]) {
        const writer = await claim(store, "s");
        await writer.append(note("by turns"));
        await store.release(writer.lease);
      }
      for (let i = 0; i < 3; i++) seqs.push((await slow.next()).value?.seq);
      assert.deepEqual(seqs, [1, 2, 3, 4]);
      stop.abort();
    },
  },
  {
    name: "ends following when the signal is aborted, and when the store is closed",
    async run({ open }) {
      const store = await open();
      await store.create({ id: "s", agent: "x" });
      const stop = new AbortController();
      const stopped = collect(store, "s", 0, 100, stop);
      const closed = collect(store, "s", 0, 100, new AbortController());
      const before = collect(store, "s", 0, 100, { signal: AbortSignal.abort() });
      await tick();
      stop.abort();
      assert.deepEqual(await stopped, [1]);
      assert.deepEqual(await before, []);
      await store[Symbol.asyncDispose]();
      assert.deepEqual(await closed, [1]);
    },
  },
  {
    name: "forks: shares history, goes on alone",
    async run({ open }) {
      await using store = await open();
      const writer = await startSession(store, "a");
      await writer.append(note("1"), note("2"), note("3"));
      const history = await store.path("a");
      const at = history[2] as Entry;
      const { session: fork } = await store.fork("a", at.id, "b");
      assert.deepEqual(fork.forkedFrom, { sessionId: "a", entryId: at.id });
      assert.equal(fork.headSeq, 4);
      const again = await store.fork("a", at.id, "b");
      assert.deepEqual(again, { session: fork, created: false });
      await rejects(store.fork("a", history[1]?.id ?? "", "b"), "conflict");
      await rejects(store.fork("a", "unknown", "c"), "not_found");

      await writer.append(note("only in a"));
      const branch = await claim(store, "b");
      await branch.append(note("only in b"));
      assert.deepEqual(await texts(store, "a"), ["1", "2", "3", "only in a"]);
      assert.deepEqual(await texts(store, "b"), ["1", "2", "only in b"]);
      const path = await store.path("b");
      assert.deepEqual(path.slice(0, 3), history.slice(0, 3), "not copied");
      assert.deepEqual(
        path.map((entry) => entry.seq),
        [1, 2, 3, 4, 5],
      );
      assert.deepEqual(
        path.slice(1).map((entry) => entry.parentId),
        path.slice(0, -1).map((entry) => entry.id),
      );
      assert.ok(path[3]?.type === "sessionCreated" && path[3].sessionId === "b");
      assert.deepEqual(path[3].forkedFrom, { sessionId: "a", entryId: at.id });

      const own = path[4] as Entry;
      await store.fork("b", own.id, "c");
      await store.fork("b", at.id, "d");
      assert.deepEqual(await texts(store, "c"), ["1", "2", "only in b"]);
      assert.deepEqual(await texts(store, "d"), ["1", "2"]);
      await rejects(store.path("b", history[3]?.id), "not_found");
      assert.deepEqual((await store.path("c", at.id)).at(-1), at);
      assert.deepEqual(
        (await store.read("c", 2, 3)).map((entry) => entry.seq),
        [3, 4, 5],
      );
      const stop = new AbortController();
      assert.deepEqual(await collect(store, "c", 0, 6, stop), [1, 2, 3, 4, 5, 6]);
    },
  },
  {
    name: "reads a session from its last compaction on: what is before it costs nothing, also where it is shared",
    async run({ open }) {
      await using store = await open();
      const writer = await startSession(store, "a");
      assert.deepEqual(await store.tail("a"), await store.path("a"), "all of it where there is none");
      await writer.append(...Array.from({ length: 2_500 }, (_, i) => note(`old ${i}`)));
      await writer.append(compacted("first"), note("between"), compacted("second"));
      const atSecond = await store.tail("a");
      assert.deepEqual(transcripts(atSecond), ["second"]);
      await writer.append(note("1"), note("2"), note("3"));
      const tail = await store.tail("a");
      assert.equal(tail.length, 4);
      const path = await store.path("a");
      assert.deepEqual(tail, path.slice(-4));
      assert.deepEqual(fold(tail), fold(path));

      await store.fork("a", tail[2]?.id ?? "", "behind");
      assert.deepEqual(await store.tail("behind"), (await store.path("behind")).slice(-4));
      await store.fork("a", path.at(-5)?.id ?? "", "before");
      assert.deepEqual(transcripts(await store.tail("before")), ["first"]);
      assert.deepEqual(await store.tail("before"), (await store.path("before")).slice(-3));
      const branch = await claim(store, "behind");
      await branch.append(compacted("of the fork"), note("4"));
      assert.deepEqual(transcripts(await store.tail("behind")), ["of the fork"]);
      assert.deepEqual(await store.tail("a"), tail);
      await rejects(store.tail("unknown"), "not_found");
    },
  },
  {
    name: "erases a session: nothing of it is left, and its id and key are free",
    async run({ open }) {
      await using store = await open();
      await store.create({ id: "a", agent: "x", createKey: "k" });
      await store.create({ id: "other", agent: "x" });
      await store.enqueue("a", message("work"), "m");
      await rejects(store.erase("a"), "conflict");
      await rejects(store.erase("unknown"), "not_found");
      await store.create({ id: "unused", agent: "x" });
      await store.erase("unused", { onlyUnused: true });
      const writer = await claim(store, "a");
      const [item] = await store.inbox("a");
      await writer.append(
        { type: "userMessage", blocks: [], inboxId: item?.id ?? "" },
        runStarted,
        runFinished,
      );
      await using other = await open();
      await rejects(other.erase("a"), "conflict");
      await store.release(writer.lease);

      const stop = new AbortController();
      const gone = [store, other].map((node) => rejects(collect(node, "a", 4, 5, stop), "not_found"));
      await rejects(store.erase("a", { onlyUnused: true }), "conflict");
      await store.erase("a");
      await Promise.all(gone);
      assert.equal(await store.session("a"), undefined);
      assert.deepEqual(
        (await store.sessions()).map((session) => session.id),
        ["other"],
      );
      await rejects(store.path("a"), "not_found");
      await rejects(store.enqueue("a", message("more")), "not_found");
      const again = await store.create({ id: "a", agent: "y", createKey: "k" });
      assert.deepEqual([again.created, again.session.headSeq], [true, 1]);
      assert.equal((await store.enqueue("a", message("work"), "m")).duplicate, false);
    },
  },
  {
    name: "erases the origin of forks: they keep what they shared",
    async run({ open }) {
      await using store = await open();
      const large = "x".repeat(70_000);
      const writer = await startSession(store, "a");
      await writer.append(note("1"), note(large), note("3"), note("only in a"));
      await store.release(writer.lease);
      const history = await store.path("a");
      const at = (i: number) => history[i]?.id ?? "";
      await store.fork("a", at(1), "short");
      await store.fork("a", at(3), "long");
      for (const id of ["short", "long"]) {
        const branch = await claim(store, id);
        await branch.append(note(`only in ${id}`));
        await store.release(branch.lease);
      }
      await store.fork("long", at(2), "within");
      const expected = {
        short: ["1", "only in short"],
        long: ["1", large, "3", "only in long"],
        within: ["1", large],
      };
      const check = async (...ids: readonly (keyof typeof expected)[]) => {
        for (const id of ids) {
          const path = await store.path(id);
          assert.deepEqual(await texts(store, id), expected[id]);
          assert.deepEqual(
            path.map((entry) => entry.seq),
            path.map((_, i) => i + 1),
          );
          assert.deepEqual(
            path.slice(1).map((entry) => entry.parentId),
            path.slice(0, -1).map((entry) => entry.id),
          );
        }
      };
      const following = collect(store, "short", 0, 4, new AbortController());
      await store.erase("a");
      assert.deepEqual(await following, [1, 2, 3, 4]);
      await check("short", "long", "within");
      assert.equal((await store.session("long"))?.forkedFrom, null);
      const branch = await claim(store, "long");
      await branch.append(note("goes on"));
      await store.release(branch.lease);
      expected.long.push("goes on");

      await store.erase("long");
      await check("short", "within");
      await store.erase("within");
      await check("short");
      await store.erase("short");
      assert.deepEqual(await store.sessions(), []);
    },
  },
  {
    name: "tells of what is appended after an erasure, also to other processes",
    async run({ open }) {
      await using store = await open();
      await using other = await open();
      const writer = await startSession(store, "a");
      await writer.append(note("1"));
      const last = await startSession(store, "z");
      await last.append(note("2"), note("3"), note("4"));
      await store.release(last.lease);
      const seen: number[] = [];
      const stop = new AbortController();
      const following = (async () => {
        for await (const { seq } of other.follow("a", 0, stop.signal)) {
          seen.push(seq);
          if (seq === 3) return;
        }
      })();
      await eventually(() => seen.length === 2);
      // The erased entries were the last in the database: the next one may take the place of one of them.
      await store.erase("z");
      await writer.append(note("5"));
      await following;
      assert.deepEqual(seen, [1, 2, 3]);
    },
  },
  {
    name: "stands 1,000 appends over 100 sessions at the same time",
    async run({ open }) {
      await using store = await open();
      const ids = Array.from({ length: 100 }, (_, i) => `s${i}`);
      const writers = await Promise.all(ids.map((id) => startSession(store, id)));
      await Promise.all(
        writers.map(async (writer, i) => {
          for (let n = 0; n < 10; n++) {
            const appended = writer.append(note(`${i}/${n}`));
            if (n % 3 === 0) await appended;
          }
        }),
      );
      await writers[0]?.append(note("0/10"));
      for (const [i, id] of ids.entries()) {
        const expected = Array.from({ length: i === 0 ? 11 : 10 }, (_, n) => `${i}/${n}`);
        await eventually(async () => (await store.session(id))?.headSeq === expected.length + 1);
        assert.deepEqual(await texts(store, id), expected);
      }
    },
  },
];

/** What a run's writer does: numbers entries and names the head of each append before the one before is on disk. */
interface Writer extends Position {
  readonly lease: Lease;
  readonly epoch: number;
  append(...facts: readonly NewEntry[]): Promise<void>;
}

interface Position {
  readonly sessionId: string;
  readonly head: string | null;
  readonly seq: number;
}

async function startSession(store: Store, id: string): Promise<Writer> {
  await store.create({ id, agent: "x" });
  return claim(store, id);
}

async function claim(store: Store, sessionId: string): Promise<Writer> {
  const lease = await store.claim(sessionId);
  assert.ok(lease !== undefined, `${sessionId} is held by somebody else`);
  let head = lease.headId;
  let seq = lease.headSeq;
  return {
    sessionId,
    lease,
    epoch: lease.epoch,
    get head() {
      return head;
    },
    get seq() {
      return seq;
    },
    append(...facts) {
      const fence = { head, epoch: lease.epoch };
      const entries = entriesOf({ sessionId, head, seq }, facts);
      head = entries.at(-1)?.id ?? head;
      seq += entries.length;
      return store.append(sessionId, fence, entries);
    },
  };
}

function entriesOf(position: Position, facts: readonly NewEntry[]): readonly Entry[] {
  let parentId = position.head;
  return facts.map((fact, i) => {
    const id = newId("e");
    const entry: Entry = {
      ...fact,
      id,
      sessionId: position.sessionId,
      parentId,
      seq: position.seq + 1 + i,
      at: 1_700_000_000_000 + i,
      v: ENTRY_VERSION,
    };
    parentId = id;
    return entry;
  });
}

const runStarted: NewEntry = { type: "runStarted", runId: "r", model: "m" };
const runFinished: NewEntry = { type: "runFinished", runId: "r", reason: "endTurn" };

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

function said(inboxId = ""): NewEntry {
  return { type: "userMessage", blocks: [], inboxId };
}

/** An entry that changes nothing in the summary. */
function note(text: string): NewEntry {
  const failure = { kind: "unknown", message: text } as const;
  return { type: "modelFailed", runId: "r", model: "m", attempt: 1, failure, durationMs: 1 };
}

function result(callId: string) {
  const blocks: { readonly type: "text"; readonly text: string }[] = [{ type: "text", text: "done" }];
  return {
    type: "toolFinished",
    runId: "r",
    callId,
    name: "t",
    outcome: "ok",
    blocks,
    durationMs: 1,
  } as const;
}

/** The transcript is one message from here on. */
function compacted(text: string): NewEntry {
  return {
    type: "compacted",
    runId: "r",
    tier: "summary",
    messages: [{ role: "user", blocks: [{ type: "text", text }] }],
    carried: carriedState(fold([])),
    tokensBefore: 2,
    tokensAfter: 1,
    usage: noUsage,
    costUsd: 0,
  };
}

/** What the messages of compactions say. */
function transcripts(entries: readonly Entry[]): readonly string[] {
  return entries.flatMap((entry) =>
    entry.type === "compacted"
      ? entry.messages.flatMap((each) =>
          each.role === "user"
            ? each.blocks.map((block) => (block.type === "text" ? block.text : block.type))
            : [],
        )
      : [],
  );
}

function message(text: string) {
  return { type: "message", blocks: [{ type: "text", text }] } as const satisfies Command;
}

async function texts(store: Store, sessionId: string): Promise<readonly string[]> {
  const path = await store.path(sessionId);
  return path.flatMap((entry) => (entry.type === "modelFailed" ? [entry.failure.message] : []));
}

/** The positions that a follower sees, until it has seen `last` or is stopped. */
async function collect(
  store: Store,
  sessionId: string,
  after: number,
  last: number,
  { signal }: { readonly signal: AbortSignal },
): Promise<readonly number[]> {
  const seqs: number[] = [];
  for await (const entry of store.follow(sessionId, after, signal)) {
    seqs.push(entry.seq);
    if (entry.seq === last) break;
  }
  return seqs;
}

async function rejects(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(isAppError(error, code), `expected ${code}, got ${String(error)}`);
    return true;
  });
}

function tick(ms = 5): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    if (await condition()) return;
    await tick(10);
  }
  assert.fail("it did not happen within 10 seconds");
}
