import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newId } from "../../lib/ids.ts";
import { DatabaseSync } from "../../lib/sqlite.ts";
import { ENTRY_VERSION, type Entry } from "../../log/entry.ts";
import { importContract } from "../../testing/import-contract.ts";
import { noticesContract } from "../../testing/notices-contract.ts";
import { retentionContract } from "../../testing/retention-contract.ts";
import { spendContract } from "../../testing/spend-contract.ts";
import { storeContract } from "../../testing/store-contract.ts";
import { timeTravelContract } from "../../testing/time-travel-contract.ts";
import { LAST_COMPACTION, LAST_FILES } from "./history.ts";
import { DUE } from "./interrupts.ts";
import { RUNNABLE } from "./queue.ts";
import { ABANDONED, UNUSED } from "./retention.ts";
import { openSqliteStore } from "./sqlite.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
  path = join(folder, "test.db");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("store contract", () => {
  for (const { name, run } of [
    ...storeContract,
    ...spendContract,
    ...timeTravelContract,
    ...importContract,
    ...noticesContract,
    ...retentionContract,
  ]) {
    test(name, () => run({ open: () => openSqliteStore({ path }) }));
  }
});

describe("the file", () => {
  test("is opened again with everything in it, and leaves nothing beside it", async () => {
    {
      await using store = await openSqliteStore({ path });
      await store.create({ id: "s", agent: "x" });
    }
    expect(readdirSync(folder).sort()).toEqual(["test.db", "test.db-nodes"]);
    expect(readdirSync(`${path}-nodes`)).toEqual([]);
    await using store = await openSqliteStore({ path });
    expect(await store.session("s")).toMatchObject({ id: "s", headSeq: 1 });
  });

  test("of a newer release is refused and left alone", async () => {
    await (await openSqliteStore({ path }))[Symbol.asyncDispose]();
    const database = new DatabaseSync(path);
    database.exec("INSERT INTO migration (version, applied_at) VALUES (999, 0)");
    database.close();
    const before = readFileSync(path);
    await expect(openSqliteStore({ path })).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("newer release (schema 999"),
    });
    expect(readFileSync(path)).toEqual(before);
  });

  test("of another program is refused and left alone", async () => {
    const database = new DatabaseSync(path);
    database.exec("CREATE TABLE notes (text TEXT)");
    database.close();
    const before = readFileSync(path);
    await expect(openSqliteStore({ path })).rejects.toMatchObject({ code: "unsupported" });
    expect(readFileSync(path)).toEqual(before);
  });

  test("is waited for while another process makes it", async () => {
    const other = new DatabaseSync(path);
    other.exec("BEGIN EXCLUSIVE; CREATE TABLE half_made (x)");
    const opening = openSqliteStore({ path });
    await new Promise((resolve) => setTimeout(resolve, 150));
    other.exec("ROLLBACK");
    other.close();
    await using store = await opening;
    expect(await store.session("s1")).toBeUndefined();
  });

  test("is opened beside a process that has had it open for hours", async () => {
    await using _old = await openSqliteStore({ path });
    const hoursAgo = new Date(Date.now() - 5 * 3_600_000);
    for (const name of readdirSync(`${path}-nodes`))
      utimesSync(join(`${path}-nodes`, name), hoursAgo, hoursAgo);
    await using store = await openSqliteStore({ path });
    expect(await store.session("s1")).toBeUndefined();
  });

  test("is refused when it is no database", async () => {
    writeFileSync(path, "These are notes about bees. ".repeat(1_000));
    await expect(openSqliteStore({ path })).rejects.toMatchObject({ code: "corrupt" });
    await expect(openSqliteStore({ path: join(folder, "no/such/folder/x.db") })).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  test("forgets a session that is deleted, but not one that others were forked from", async () => {
    const large = { type: "message", blocks: [{ type: "text", text: "x".repeat(70_000) }] } as const;
    {
      await using store = await openSqliteStore({ path });
      const { session } = await store.create({ id: "s", agent: "x" });
      await store.enqueue("s", large);
      await store.fork("s", session.headId ?? "", "child");
    }
    using database = new DatabaseSync(path);
    const erase = database.prepare("DELETE FROM session WHERE id = ?");
    expect(() => erase.run("s")).toThrow("FOREIGN KEY");
    for (const id of ["child", "s"]) erase.run(id);
    for (const table of ["session", "entry", "inbox", "blob", "node"]) {
      expect(database.prepare(`SELECT count(*) AS rows FROM ${table}`).get()).toEqual({ rows: 0 });
    }
  });

  test("stores equal large content once, and drops it from the inbox when the log has it", async () => {
    await using store = await openSqliteStore({ path });
    const blocks = [{ type: "text", text: "x".repeat(70_000) }] as const;
    await store.create({ id: "s", agent: "x" });
    const lease = await store.claim("s");
    const one = await store.enqueue("s", { type: "message", blocks });
    await store.enqueue("s", { type: "message", blocks });
    using database = new DatabaseSync(path);
    const blobs = () => database.prepare("SELECT count(*) AS blobs FROM blob").get();
    expect(blobs()).toEqual({ blobs: 1 });
    const head = lease?.headId ?? null;
    const header = { id: "e", sessionId: "s", parentId: head, seq: 2, at: 0, v: ENTRY_VERSION } as const;
    await store.append("s", { head, epoch: 1 }, [
      { ...header, type: "userMessage", blocks, inboxId: one.id },
    ]);
    expect(blobs()).toEqual({ blobs: 2 });
    expect(await store.inbox("s")).toMatchObject([{ command: { blocks } }]);
  });

  test("finds the last compaction of a session, and its last snapshot, in indexes that hold little else", async () => {
    await using _store = await openSqliteStore({ path });
    using database = new DatabaseSync(path);
    const planOf = (sql: string) =>
      database
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all(1, 0, 100)
        .map((row) => row.detail);
    expect(planOf(LAST_COMPACTION)).toEqual([
      "SEARCH entry USING COVERING INDEX entry_compacted (session=? AND seq>? AND seq<?)",
    ]);
    expect(planOf(LAST_FILES)).toEqual([
      "SEARCH entry USING INDEX entry_files (session=? AND seq>? AND seq<?)",
    ]);
  });

  test("is looked through every second, and every hour, without reading sessions that have nothing to do", async () => {
    await using _store = await openSqliteStore({ path });
    using database = new DatabaseSync(path);
    const planOf = (sql: string, ...values: (number | string)[]) =>
      database
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all(...values)
        .map((row) => row.detail);
    expect(planOf(DUE, 1, 100)).toEqual([
      "SEARCH interrupt USING INDEX interrupt_due (due_at<?)",
      "SEARCH session USING INTEGER PRIMARY KEY (rowid=?)",
    ]);
    expect(planOf(RUNNABLE, 1, 100)[0]).toBe("SEARCH session USING INDEX session_work (work_since>?)");
    expect(planOf(ABANDONED, "a", 1, 100)).toEqual([
      "SEARCH session USING INDEX session_abandoned (agent=? AND updated_at<?)",
    ]);
    expect(planOf(UNUSED, "a", 1, 100)).toEqual([
      "SEARCH session USING INDEX session_updated (updated_at<?)",
    ]);
  });

  test("can be in memory", async () => {
    await using store = await openSqliteStore({ path: ":memory:" });
    await store.create({ id: "s", agent: "x" });
    expect((await store.claim("s"))?.epoch).toBe(1);
    expect(existsSync(":memory:-nodes")).toBe(false);
  });
});

test("two living nodes cannot have one id", async () => {
  await using _first = await openSqliteStore({ path, nodeId: "n" });
  await expect(openSqliteStore({ path, nodeId: "n" })).rejects.toMatchObject({ code: "conflict" });
});

test("a full disk fails the append whole, and work goes on when there is room", async ({ skip }) => {
  const disk = join(folder, "disk");
  mkdirSync(disk);
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]).status === 0;
  if (!mounted) skip("needs the right to mount a small disk");
  try {
    const ballast = join(disk, "ballast");
    writeFileSync(ballast, Buffer.alloc(1_000_000));
    await using store = await openSqliteStore({ path: join(disk, "test.db") });
    await store.create({ id: "s", agent: "x" });
    const lease = await store.claim("s");
    let head = lease?.headId ?? null;
    let seq = 1;
    const append = async () => {
      const entry: Entry = {
        id: newId("e"),
        sessionId: "s",
        parentId: head,
        seq: seq + 1,
        at: 0,
        v: ENTRY_VERSION,
        type: "runStarted",
        runId: "r",
        model: "x".repeat(100_000),
      };
      await store.append("s", { head, epoch: 1 }, [entry]);
      head = entry.id;
      seq = entry.seq;
    };
    const fill = async () => {
      for (let i = 0; i < 100; i++) await append();
    };
    await expect(fill()).rejects.toMatchObject({ code: "no_space" });
    expect(seq).toBeGreaterThan(3);
    await expect(append()).rejects.toMatchObject({ code: "no_space" });
    expect(await store.session("s")).toMatchObject({ headId: head, headSeq: seq });
    expect(await store.path("s")).toHaveLength(seq);

    rmSync(ballast);
    await append();
    expect(await store.path("s")).toHaveLength(seq);
  } finally {
    spawnSync("umount", ["-l", disk]);
  }
});
