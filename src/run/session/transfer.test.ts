import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { ENTRY_VERSION, type Entry, type NewEntry } from "../../log/entry.ts";
import { fold } from "../../log/fold.ts";
import { createSandboxPool, type SandboxPool } from "../../sandboxes/pool.ts";
import { diskSnapshots } from "../../snapshots/disk.ts";
import type { Snapshots } from "../../snapshots/snapshot.ts";
import { openSqliteStore } from "../../stores/sqlite/sqlite.ts";
import type { Store } from "../../stores/store.ts";
import { createTransfer, type Transfer } from "./transfer.ts";

/** One installation: a store, workspaces and snapshots. */
interface Home extends AsyncDisposable {
  readonly store: Store;
  readonly pool: SandboxPool;
  readonly snapshots: Snapshots;
  readonly transfer: Transfer;
  readonly dataDir: string;
  transferOf(tenant: string): Transfer;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdfast-transfer-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function openHome(name: string): Promise<Home> {
  const dataDir = join(folder, name);
  await mkdir(dataDir, { recursive: true });
  const store = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
  const pool = createSandboxPool(dataDir, () => Promise.reject(new Error("no sandbox is needed")));
  const snapshots = diskSnapshots({ directory: join(dataDir, "snapshots"), clock: systemClock });
  const transferOf = (tenant: string | undefined) =>
    createTransfer({
      log: store,
      sandboxes: pool,
      snapshots,
      agents: { list: () => [] },
      clock: systemClock,
      tenant,
      checkSessionId: () => {},
      async existing(id) {
        const session = await store.session(id);
        if (session === undefined) throw new AppError("not_found", id);
        return session;
      },
    });
  const transfer = transferOf(undefined);
  return {
    store,
    pool,
    snapshots,
    transfer,
    transferOf,
    dataDir,
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

const said = (text: string): NewEntry => ({
  type: "userMessage",
  blocks: [{ type: "text", text }],
  inboxId: newId("in"),
});
const run: NewEntry = { type: "runStarted", runId: "run_1", model: "m" };
const ended: NewEntry = { type: "runFinished", runId: "run_1", reason: "endTurn" };
const asks: NewEntry = {
  type: "interrupted",
  runId: "run_1",
  interruptId: "int_1",
  request: {
    kind: "budget",
    message: "more?",
    budget: { scope: "run", key: "run_1", limitUsd: 1, spentUsd: 1, neededUsd: 1 },
  },
};

/** A session with these facts behind its root, at rest. */
async function makeSession({ store }: Home, id: string, ...facts: readonly NewEntry[]): Promise<void> {
  await store.create({ id, agent: "tester", title: "A title" });
  await append(store, id, ...facts);
}

async function append(store: Store, id: string, ...facts: readonly NewEntry[]): Promise<void> {
  const inboxIds = new Map<string, string>();
  for (const fact of facts) {
    if (fact.type !== "userMessage") continue;
    const { id: real } = await store.enqueue(id, { type: "message", blocks: fact.blocks });
    inboxIds.set(fact.inboxId, real);
  }
  const lease = await store.claim(id);
  if (lease === undefined) throw new Error("no lease");
  const entries: Entry[] = [];
  for (const fact of facts) {
    const known = fact.type === "userMessage" ? { ...fact, inboxId: inboxIds.get(fact.inboxId) ?? "" } : fact;
    entries.push({
      ...known,
      id: newId("e"),
      sessionId: id,
      parentId: entries.at(-1)?.id ?? lease.headId,
      seq: lease.headSeq + entries.length + 1,
      at: 1_000 + entries.length,
      v: ENTRY_VERSION,
    });
  }
  const state = fold([...(await store.path(id)), ...entries]);
  const status = state.run === null ? "idle" : "waiting";
  await store.append(id, { head: lease.headId, epoch: lease.epoch }, entries, status);
  await store.release(lease);
}

async function fill({ pool }: Home, id: string): Promise<string> {
  const workspace = pool.workspacePath(id);
  await mkdir(join(workspace, "src/deep"), { recursive: true });
  await mkdir(join(workspace, "empty"));
  await writeFile(join(workspace, "src/main.ts"), "console.log(1);\n");
  await writeFile(join(workspace, "src/deep/große Datei.bin"), Buffer.alloc(700_000, 7));
  await writeFile(join(workspace, "run.sh"), "#!/bin/sh\n");
  await chmod(join(workspace, "run.sh"), 0o750);
  await writeFile(join(workspace, "nothing"), "");
  await symlink("../src/main.ts", join(workspace, "empty/link"));
  await symlink("missing", join(workspace, "dangling"));
  return workspace;
}

async function fileOf(home: Home, id: string, options?: { workspace: boolean }): Promise<Buffer> {
  const exported = await home.transfer.export(id, options);
  return Buffer.concat(await Array.fromAsync(exported.bytes()));
}

async function* bytes(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** Everything that an import could have left: sessions, workspaces, drafts. */
async function traces({ store, dataDir }: Home): Promise<readonly string[]> {
  const sessions = (await store.sessions()).map(({ id }) => id);
  const names = async (sub: string) => readdir(join(dataDir, sub)).catch(() => []);
  return [...sessions, ...(await names("workspaces")), ...(await names("sandboxes"))];
}

describe("a round trip", () => {
  test("brings the log, the summary and the files to another store", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    await makeSession(here, "s", said("x".repeat(100_000)), run, ended);
    await fill(here, "s");
    const exported = await here.transfer.export("s");
    const file = Buffer.concat(await Array.fromAsync(exported.bytes()));

    const imported = await there.transfer.import(bytes(file), { expect: exported.id });
    expect(imported).toMatchObject({ created: true, id: exported.id, served: false });
    const { updatedAt: _, ...before } = (await here.store.session("s")) ?? { updatedAt: 0 };
    expect(await there.store.session("s")).toMatchObject(before);
    expect(await there.store.path("s")).toEqual(await here.store.path("s"));

    const copy = there.pool.workspacePath("s");
    expect((await readdir(copy, { recursive: true })).sort()).toEqual(
      (await readdir(here.pool.workspacePath("s"), { recursive: true })).sort(),
    );
    expect(await readFile(join(copy, "src/deep/große Datei.bin"))).toEqual(Buffer.alloc(700_000, 7));
    expect((await lstat(join(copy, "run.sh"))).mode & 0o777).toBe(0o750);
    expect(await readlink(join(copy, "empty/link"))).toBe("../src/main.ts");
    expect(await readlink(join(copy, "dangling"))).toBe("missing");
    expect(await traces(there)).toEqual(["s", expect.stringMatching(/^s-/)]);
  });

  test("leaves a session that goes on: it takes messages and is exported again", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    await makeSession(here, "s", said("hello"), run, ended);
    await there.transfer.import(bytes(await fileOf(here, "s")));
    await append(there.store, "s", said("again"), { ...run, runId: "run_2" }, { ...ended, runId: "run_2" });
    expect(await there.store.session("s")).toMatchObject({ status: "idle", headSeq: 7 });
    await here.transfer.import(bytes(await fileOf(there, "s")), { as: "back" });
    const entries = (await there.store.read("s", 0)).map((each) => ({ ...each, sessionId: "back" }));
    expect(await here.store.read("back", 0)).toEqual(entries);
  });

  test("keeps what waits for a person waiting", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    await makeSession(here, "s", said("hello"), run, asks);
    await there.transfer.import(bytes(await fileOf(here, "s")));
    expect(await there.store.session("s")).toMatchObject({ status: "waiting" });
    const [open] = await there.store.interrupts({ status: "open" });
    expect(open).toMatchObject({ id: "int_1", sessionId: "s", runId: "run_1" });
  });

  test("flattens forks, and takes branches along that were left", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    await makeSession(here, "s", said("one"), run, ended);
    const [, , , last] = await here.store.path("s");
    await here.store.fork("s", last?.id ?? "", "f");
    await append(here.store, "f", said("two"), { ...run, runId: "run_2" }, { ...ended, runId: "run_2" });
    const hold = await here.store.hold("f", { atRest: true });
    if (hold === undefined) throw new Error("no hold");
    const spent = { usage: fold([]).usage, costUsd: 0, unpricedCalls: 0, lostUsd: 0 };
    await here.store.rewind(hold, {
      to: last?.id ?? "",
      leaving: [],
      moved: { type: "headMoved", spent } as never,
    });
    await here.store.letGo(hold);

    await there.transfer.import(bytes(await fileOf(here, "f")));
    const own = (entries: readonly Entry[]) => entries.map((each) => ({ ...each, sessionId: "f" }));
    expect(await there.store.read("f", 0)).toEqual(own(await here.store.read("f", 0)));
    expect(await there.store.path("f")).toEqual(own(await here.store.path("f")));
    expect((await there.store.session("f"))?.forkedFrom).toBeNull();
    await there.store.fork("f", last?.id ?? "", "g");
    expect((await there.store.path("g")).length).toBe(5);
  });

  test("brings snapshots, so that the files of earlier moments are there", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    const workspace = await fill(here, "s");
    const signal = new AbortController().signal;
    const first = await here.snapshots.take(workspace, null, { signal });
    await writeFile(join(workspace, "src/main.ts"), "changed");
    const saved: NewEntry = { type: "workspaceSaved", snapshot: first.id, ...countsOf(first), durationMs: 1 };
    await makeSession(here, "s", said("hello"), run, saved, ended);
    await there.transfer.import(bytes(await fileOf(here, "s")));
    const restored = join(folder, "restored");
    await there.snapshots.restore(first.id, restored);
    expect(await readFile(join(restored, "src/main.ts"), "utf8")).toBe("console.log(1);\n");
    expect(await readFile(join(there.pool.workspacePath("s"), "src/main.ts"), "utf8")).toBe("changed");
  });

  test("takes along what the files of a fork, which nobody has opened yet, are to become", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    const workspace = await fill(here, "s");
    const { signal } = new AbortController();
    const taken = await here.snapshots.take(workspace, null, { signal });
    await makeSession(here, "s", said("hello"), run, ended);
    const head = (await here.store.session("s"))?.headId ?? "";
    await here.store.fork("s", head, "f", { due: taken.id });
    await there.transfer.import(bytes(await fileOf(here, "f")));
    expect(await there.store.files("f")).toMatchObject({ due: taken.id });
    expect(await there.snapshots.has(taken.id)).toBe(true);
    await there.transfer.import(bytes(await fileOf(here, "f", { workspace: false })), { as: "g" });
    expect(await there.store.files("g")).toMatchObject({ due: null });
  });

  test("takes along what the files were when a session was forked, or moved back", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    const { signal } = new AbortController();
    const workspace = await fill(here, "s");
    const first = await here.snapshots.take(workspace, null, { signal });
    await writeFile(join(workspace, "src/main.ts"), "changed");
    const second = await here.snapshots.take(workspace, first.id, { signal });
    await makeSession(here, "s", said("hello"), run, ended);
    const head = (await here.store.session("s"))?.headId ?? "";
    await here.store.fork("s", head, "f", { files: { from: "now", snapshot: first.id, skipped: 0 } });
    const hold = await here.store.hold("f", { atRest: true });
    if (hold === undefined) throw new Error("no hold");
    const spent = { usage: fold([]).usage, costUsd: 0, unpricedCalls: 0, lostUsd: 0 };
    const files = { from: "now", snapshot: second.id, skipped: 0 } as const;
    await here.store.rewind(hold, { to: head, leaving: [], moved: { type: "headMoved", spent, files } });
    await here.store.letGo(hold);
    await there.transfer.import(bytes(await fileOf(here, "f")));
    expect(await there.snapshots.has(first.id)).toBe(true);
    expect(await there.snapshots.has(second.id)).toBe(true);
  });

  test("takes the log alone where that is wanted, and says so in the manifest", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    await makeSession(here, "s", said("hello"));
    await append(here.store, "s", run, ended);
    await fill(here, "s");
    const file = await fileOf(here, "s", { workspace: false });
    expect(manifestOf(file).workspace.state).toBe("leftOut");
    await there.transfer.import(bytes(file));
    expect(await traces(there)).toEqual(["s"]);
  });

  test("is deterministic but for its time, and can be read by other tools", async () => {
    await using here = await openHome("here");
    await makeSession(here, "s", said("hello"), run, ended);
    await fill(here, "s");
    const members = async () => manifestOf(await fileOf(here, "s")).members;
    expect(await members()).toEqual(await members());
    // Also with the seal behind it.
    expect(gunzipSync(await fileOf(here, "s")).length % 512).toBe(0);
  });
});

function countsOf({
  files,
  bytes: size,
  added,
  changed,
  removed,
  skipped,
}: Awaited<ReturnType<Snapshots["take"]>>) {
  return { files, bytes: size, added, changed, removed, skipped };
}

interface ReadManifest {
  readonly members: readonly { readonly name: string }[];
  readonly workspace: {
    readonly state: string;
    readonly skipped: readonly unknown[];
    readonly skippedCount: number;
  };
}

function manifestOf(file: Buffer): ReadManifest {
  const tar = gunzipSync(file);
  const size = Number.parseInt(tar.toString("latin1", 124, 135), 8);
  return JSON.parse(tar.toString("utf8", 512, 512 + size));
}

describe("an export", () => {
  test("of a session that has work is refused", async () => {
    await using here = await openHome("here");
    await makeSession(here, "s", said("hello"), run, ended);
    await here.store.enqueue("s", { type: "message", blocks: [{ type: "text", text: "more" }] });
    await expect(here.transfer.export("s")).rejects.toMatchObject({ code: "conflict" });
  });

  test("breaks off when a file changes after it was looked at", async () => {
    await using here = await openHome("here");
    await makeSession(here, "s", said("hello"), run, ended);
    const workspace = await fill(here, "s");
    const exported = await here.transfer.export("s");
    await writeFile(join(workspace, "src/main.ts"), "console.log(2);\n");
    await expect(Array.fromAsync(exported.bytes())).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("workspace/src/main.ts"),
    });
  });

  test("follows no link that has taken the place of a file", async () => {
    await using here = await openHome("here");
    await makeSession(here, "s", said("hello"), run, ended);
    const workspace = await fill(here, "s");
    await writeFile(join(folder, "secret"), "console.log(1);\n");
    const exported = await here.transfer.export("s");
    await rm(join(workspace, "src/main.ts"));
    await symlink(join(folder, "secret"), join(workspace, "src/main.ts"));
    await expect(Array.fromAsync(exported.bytes())).rejects.toMatchObject({ code: "conflict" });
  });

  test("says what cannot be moved", async () => {
    await using here = await openHome("here");
    await makeSession(here, "s", said("hello"), run, ended);
    const workspace = await fill(here, "s");
    await symlink("/etc/passwd", join(workspace, "absolute"));
    await symlink("../../up", join(workspace, "src/up"));
    await symlink("deep/../../..", join(workspace, "src/around"));
    const exported = await here.transfer.export("s");
    expect(exported.skipped).toBe(3);
    const { workspace: part } = manifestOf(Buffer.concat(await Array.fromAsync(exported.bytes())));
    expect(part.skipped).toEqual([
      { path: "absolute", why: "a link that leads out of the workspace: /etc/passwd" },
      { path: "src/around", why: "a link that leads out of the workspace: deep/../../.." },
      { path: "src/up", why: "a link that leads out of the workspace: ../../up" },
    ]);
  });
});

describe("an import", () => {
  test("of the same file is the same session; of another one under its id a conflict", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    await makeSession(here, "s", said("hello"), run, ended);
    await fill(here, "s");
    const file = await fileOf(here, "s");
    await there.transfer.import(bytes(file));
    expect(await there.transfer.import(bytes(file))).toMatchObject({ created: false });
    await append(here.store, "s", said("more"), { ...run, runId: "run_2" }, { ...ended, runId: "run_2" });
    const other = await fileOf(here, "s");
    await expect(there.transfer.import(bytes(other))).rejects.toMatchObject({ code: "conflict" });
    await expect(here.transfer.import(bytes(file))).rejects.toMatchObject({ code: "conflict" });
    expect(await there.store.session("s")).toMatchObject({ headSeq: 4 });
    expect(await readFile(join(there.pool.workspacePath("s"), "run.sh"), "utf8")).toBe("#!/bin/sh\n");
  });

  test("is for whoever runs the server, who may say whose the session is", async () => {
    await using here = await openHome("here");
    await makeSession(here, "s", said("hello"), run, ended);
    const file = await fileOf(here, "s");
    const asTenant = here.transferOf("acme").import(bytes(file), { as: "t" });
    await expect(asTenant).rejects.toMatchObject({ code: "forbidden" });
    await here.transfer.import(bytes(file), { as: "t", tenant: "acme" });
    expect(await here.store.session("t")).toMatchObject({ tenant: "acme" });
  });

  test("refuses a file with another id, a file that is too large, and one that unpacks to too much", async () => {
    await using here = await openHome("here");
    await makeSession(here, "s", said("hello"), run, ended);
    await fill(here, "s");
    const file = await fileOf(here, "s");
    const attempt = (options: Parameters<Transfer["import"]>[1]) =>
      here.transfer.import(bytes(file), { as: "t", ...options });
    await expect(attempt({ expect: "0".repeat(64) })).rejects.toMatchObject({ code: "invalid_input" });
    await expect(attempt({ limits: { bytes: 500 } })).rejects.toMatchObject({ code: "too_large" });
    await expect(attempt({ limits: { unpackedBytes: 500_000 } })).rejects.toMatchObject({
      code: "too_large",
    });
    await expect(attempt({ limits: { manifestBytes: 300 } })).rejects.toMatchObject({
      code: "invalid_input",
    });
    await expect(attempt({ limits: { entryBytes: 20 } })).rejects.toMatchObject({ code: "invalid_input" });
    expect((await traces(here)).filter((name) => name !== "s" && !name.startsWith("s-"))).toEqual([]);
  });

  test("removes what a process that died in the middle has left", async () => {
    await using here = await openHome("here");
    const workspace = await fill(here, "s");
    await mkdir(join(here.dataDir, "sandboxes"));
    const dead = join(
      here.dataDir,
      "sandboxes",
      `${workspace.split("/").at(-1)}.arriving.draft-999999999-d_x`,
    );
    await writeFile(dead, "s");
    const past = new Date(0);
    await import("node:fs/promises").then(({ utimes }) => utimes(dead, past, past));
    await here.pool.removeLeftovers(async () => false);
    expect(await traces(here)).toEqual([]);
  });

  test("of an id that a directory of a dead session stands under takes its place", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    await makeSession(here, "s", said("hello"), run, ended);
    await fill(here, "s");
    await mkdir(there.pool.workspacePath("s"), { recursive: true });
    await writeFile(join(there.pool.workspacePath("s"), "old"), "");
    await there.transfer.import(bytes(await fileOf(here, "s")));
    expect(await readdir(there.pool.workspacePath("s"))).not.toContain("old");
  });

  test("takes logs of earlier releases along", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    for (const name of ["v1", "v1-2"]) {
      const text = await readFile(
        join(import.meta.dirname, `../../../test/fixtures/logs/${name}.jsonl`),
        "utf8",
      );
      const entries = text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Entry);
      const status = fold(entries).run === null ? "idle" : "waiting";
      const record = { ...blank, id: name, status } as const;
      await here.store.importSession(
        record,
        (async function* () {
          yield* entries;
        })(),
      );
      await there.transfer.import(bytes(await fileOf(here, name)));
      expect(await there.store.path(name)).toEqual(entries.map((entry) => ({ ...entry, sessionId: name })));
    }
  });
});

const blank = {
  agent: "tester",
  tenant: "default",
  title: null,
  lastRunEnd: null,
  createdAt: 1,
  turns: 0,
  usage: { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
  costUsd: 0,
  unpricedCalls: 0,
  fingerprint: "f",
  due: null,
};

describe("a file that was changed", () => {
  test("is refused, whichever byte it is, and leaves nothing behind", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    await makeSession(here, "s", said("hello"), run, asks);
    await fill(here, "s");
    const file = await fileOf(here, "s");
    for (const position of [...seeded(180, file.length), ...first(12), ...lastOnes(20, file.length)]) {
      const changed = Buffer.from(file);
      changed[position] = (changed[position] ?? 0) ^ (1 << (position % 8));
      await expect(there.transfer.import(bytes(changed)), `byte ${position}`).rejects.toMatchObject({
        code: "invalid_input",
        hint: expect.stringContaining("Nothing was imported"),
      });
    }
    expect(await traces(there)).toEqual([]);
  });

  test("is refused wherever it ends, and with more behind it", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    await makeSession(here, "s", said("hello"), run, ended);
    const file = await fileOf(here, "s");
    for (const length of [0, 1, 20, ...seeded(40, file.length)]) {
      const cut = there.transfer.import(bytes(file.subarray(0, length)));
      await expect(cut, `${length} bytes`).rejects.toMatchObject({ code: "invalid_input" });
    }
    const longer = there.transfer.import(bytes(file, Buffer.from("x")));
    await expect(longer).rejects.toMatchObject({ code: "invalid_input" });
    const text = there.transfer.import(
      bytes(Buffer.from("not an export at all, but long enough to be one ".repeat(20))),
    );
    await expect(text).rejects.toMatchObject({ code: "invalid_input" });
    expect(await traces(there)).toEqual([]);
  });

  test("leaves nothing behind when reading it breaks off", async () => {
    await using here = await openHome("here");
    await using there = await openHome("there");
    await makeSession(here, "s", said("hello"), run, ended);
    await fill(here, "s");
    const file = await fileOf(here, "s");
    const broken = (async function* () {
      yield file.subarray(0, file.length >> 1);
      throw new AppError("cancelled", "the caller hung up");
    })();
    await expect(there.transfer.import(broken)).rejects.toMatchObject({ code: "cancelled" });
    expect(await traces(there)).toEqual([]);
  });
});

function first(n: number): readonly number[] {
  return Array.from({ length: n }, (_, i) => i);
}

function lastOnes(n: number, length: number): readonly number[] {
  return first(n).map((i) => length - 1 - i);
}

/** The same positions each time: a linear congruential generator. */
function seeded(n: number, below: number): readonly number[] {
  let x = 20_260_101;
  return Array.from({ length: n }, () => {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    return x % below;
  });
}
