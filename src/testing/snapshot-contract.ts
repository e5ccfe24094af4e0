import { strict as assert } from "node:assert";
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  unlink,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { type ErrorCode, isAppError } from "../lib/errors.ts";
import type { Manifest, Restored, Snapshots, Taken, TakeOptions } from "../snapshots/snapshot.ts";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";

/** What every driver of snapshots must do, as plain cases for any test runner. */
export interface SnapshotCase {
  readonly name: string;
  readonly run: (subject: SnapshotSubject) => Promise<void>;
}

export interface SnapshotSubject {
  /** Snapshots in a place of their own, which keep `.kept` whatever a `.gitignore` says. */
  readonly open: (clock: FakeClock) => Promise<Snapshots>;
  /** An existing directory on the host, for workspaces; the caller removes it afterwards. */
  readonly directory: string;
}

export const snapshotContract: readonly SnapshotCase[] = [
  inWorkspace("brings a workspace back as it was, file by file", async ({ fill, take, restore, shown }) => {
    await fill({
      "a.txt": "one",
      "deep/er/b.txt": "two",
      "new\nline": "3",
      "Ünïcode \u{1f600}": "4",
      ["__proto__"]: "5",
    });
    await fill({ empty: null, "deep/none": null, "large.bin": "x".repeat(700_000) });
    const first = await take(null);
    assert.deepEqual(
      { ...first, id: "", skipped: [] },
      { id: "", files: 6, bytes: 700_009, added: 8, changed: 0, removed: 0, skipped: [], unchanged: false },
    );
    const before = await shown();
    await fill({ "a.txt": "changed", "deep/er/new.txt": "new", "deep/none/c.txt": "c" });
    await fill({ "added/by/later.txt": "later" });
    const second = await take(first.id);
    assert.deepEqual([second.added, second.changed, second.removed], [3, 1, 1]);
    const after = await shown();
    const { removed, kept } = await restore(first.id);
    assert.deepEqual([removed, kept], [3, []]);
    assert.deepEqual(await shown(), before);
    await restore(second.id);
    assert.deepEqual(await shown(), after);
  }),
  inWorkspace(
    "starts another workspace with the files of one",
    async ({ fill, take, snapshots, shown, root }) => {
      await fill({ "a.txt": "one", "b/c.txt": "two" });
      const { id } = await take(null);
      const other = `${root}-other/made/for/it`;
      const restored = await snapshots.restore(id, other);
      assert.deepEqual([restored.files, restored.removed], [2, 0]);
      assert.deepEqual(await shown(other), await shown());
    },
  ),
  inWorkspace("says that nothing has changed, by the same name", async ({ fill, take, snapshots }) => {
    await fill({ "a.txt": "one" });
    const first = await take(null);
    const second = await take(first.id);
    assert.deepEqual(second, { ...first, added: 0, unchanged: true });
    await fill({ "a.txt": "one" });
    assert.equal((await take(first.id)).unchanged, true);
    assert.equal(await snapshots.has(first.id), true);
    assert.equal(await snapshots.has(first.id.replace(/^./, (c) => (c === "0" ? "1" : "0"))), false);
    assert.equal(await snapshots.has("../../etc/passwd"), false);
  }),
  inWorkspace("of a workspace that does not exist is empty", async ({ snapshots, root }) => {
    const options = { signal: new AbortController().signal };
    const taken = await snapshots.take(`${root}-none`, null, options);
    assert.deepEqual([taken.files, taken.bytes, taken.skipped], [0, 0, []]);
    assert.deepEqual((await snapshots.manifest(taken.id)).entries, []);
  }),
  inWorkspace("notices every change, however soon it comes", async ({ fill, take, snapshots, root }) => {
    let previous: string | null = null;
    for (const content of ["aaa", "bbb", "ccc", "ddd", "eee"]) {
      await fill({ "same-length.txt": content });
      const { id, unchanged } = await take(previous);
      assert.equal(unchanged, false);
      await snapshots.restore(id, `${root}-check`);
      assert.equal(await readFile(`${root}-check/same-length.txt`, "utf8"), content);
      previous = id;
    }
  }),
  inWorkspace(
    "keeps permissions, and nobody's set-user-ID",
    async ({ fill, take, restore, snapshots, root }) => {
      await fill({ run: "#!/bin/sh", secret: "s" });
      await chmod(join(root, "run"), 0o4755);
      await chmod(join(root, "secret"), 0o600);
      const { id } = await take(null);
      const entries = (await snapshots.manifest(id)).entries;
      assert.deepEqual(
        entries.map((entry) => entry.type === "file" && entry.mode),
        [0o755, 0o600],
      );
      await chmod(join(root, "run"), 0o644);
      await restore(id);
      assert.equal((await lstat(join(root, "run"))).mode & 0o7777, 0o755);
    },
  ),
  inWorkspace("makes two files of hard links", async ({ fill, take, snapshots, root }) => {
    await fill({ one: "same" });
    await link(join(root, "one"), join(root, "two"));
    const { id, files } = await take(null);
    assert.equal(files, 2);
    await snapshots.restore(id, `${root}-other`);
    await writeFile(`${root}-other/one`, "changed");
    assert.equal(await readFile(`${root}-other/two`, "utf8"), "same");
  }),

  // ---- links ----

  inWorkspace("keeps links as links and follows none", async ({ fill, take, restore, snapshots, root }) => {
    await writeFile(`${root}-secret`, "secret of the host");
    await mkdir(`${root}-folder`);
    await writeFile(`${root}-folder/file`, "of the host");
    await symlink(`${root}-secret`, join(root, "file"));
    await symlink(`${root}-folder`, join(root, "folder"));
    await symlink("nowhere", join(root, "dangling"));
    await symlink("loop", join(root, "loop"));
    const { id, bytes } = await take(null);
    assert.equal(bytes, 0);
    const { entries } = await snapshots.manifest(id);
    assert.deepEqual(
      entries.map((entry) => entry.type),
      ["link", "link", "link", "link"],
    );
    await unlink(join(root, "folder"));
    await fill({ "folder/mine": "x" });
    await restore(id);
    assert.equal(await readlink(join(root, "folder")), `${root}-folder`);
    assert.deepEqual(await readdir(`${root}-folder`), ["file"]);
  }),
  inWorkspace("restores into no directory that a link leads to", async ({ fill, take, restore, root }) => {
    await fill({ "folder/file": "mine", "folder/other": "mine too" });
    const { id } = await take(null);
    await rename(join(root, "folder"), `${root}-away`);
    await mkdir(`${root}-host`);
    await writeFile(`${root}-host/file`, "of the host");
    await symlink(`${root}-host`, join(root, "folder"));
    await restore(id);
    assert.equal(await readFile(`${root}-host/file`, "utf8"), "of the host");
    assert.deepEqual(await readdir(`${root}-host`), ["file"]);
    assert.equal((await lstat(join(root, "folder"))).isDirectory(), true);
    assert.equal(await readFile(join(root, "folder/file"), "utf8"), "mine");
  }),
  inWorkspace("does not write through a link in a file's place", async ({ fill, take, restore, root }) => {
    await fill({ file: "mine" });
    const { id } = await take(null);
    await unlink(join(root, "file"));
    await writeFile(`${root}-host`, "of the host");
    await symlink(`${root}-host`, join(root, "file"));
    await restore(id);
    assert.equal(await readFile(`${root}-host`, "utf8"), "of the host");
    assert.equal((await lstat(join(root, "file"))).isFile(), true);
  }),
  inWorkspace("heeds no rules behind a link", async ({ fill, take, root }) => {
    await writeFile(`${root}-rules`, "*");
    await symlink(`${root}-rules`, join(root, ".gitignore"));
    await fill({ file: "mine" });
    assert.equal((await take(null)).files, 2);
  }),

  // ---- what is left out ----

  inWorkspace("leaves out what is ignored, at every level, and restores around it", async (bench) => {
    const { fill, take, restore, paths, shown } = bench;
    await fill({ ".gitignore": "*.log\n!keep.log\nbuild/\n", "a.log": "", "keep.log": "", "sub/b.log": "" });
    await fill({ "sub/.gitignore": "/only-here\n!b.log\n", "sub/only-here": "", "only-here": "" });
    await fill({ "build/x": "", "sub/build/y": "" });
    const { id, skipped } = await take(null);
    assert.deepEqual(await paths(id), [".gitignore", "keep.log", "only-here", "sub/.gitignore", "sub/b.log"]);
    assert.deepEqual(skipped, []);
    await fill({ "c.log": "later", "new.txt": "later", "build/z": "later" });
    await fill({ ".gitignore": "*.later\n", "x.later": "ignored now" });
    await restore(id);
    const names = Object.keys(await shown());
    for (const kept of ["a.log", "c.log", "build/x", "build/z", "sub/only-here", "x.later"]) {
      assert.equal(names.includes(kept), true, kept);
    }
    assert.equal(names.includes("new.txt"), false);
  }),
  inWorkspace("keeps the runtime's own folder whatever is ignored", async ({ fill, take, paths }) => {
    await fill({
      ".gitignore": "*",
      ".kept/.gitignore": "*",
      ".kept/outputs/1.txt": "x",
      "other/.kept/y": "",
    });
    assert.deepEqual(await paths((await take(null)).id), [".kept/.gitignore", ".kept/outputs/1.txt"]);
  }),
  inWorkspace("says what is too large, and leaves it alone when it restores", async (bench) => {
    const { fill, take, restore, paths, shown } = bench;
    await fill({ small: "1234", large: "12345" });
    const limits = { maxFileSize: 4, maxSize: 100, maxFiles: 10 };
    const { id, skipped } = await take(null, { limits });
    assert.deepEqual(skipped, [{ path: "large", why: "larger than 4 B" }]);
    assert.deepEqual(await paths(id), ["small"]);
    await fill({ "large-too": "123456", "small-too": "1" });
    await restore(id);
    assert.deepEqual(Object.keys(await shown()), ["large", "large-too", "small"]);
  }),
  inWorkspace("of more than it may hold keeps a part, says so, and then removes nothing", async (bench) => {
    const { fill, take, restore, paths, shown } = bench;
    await fill({ ".git/objects/1": "123456", a: "12345", b: "12345" });
    const bySize = await take(null, { limits: { maxFileSize: 10, maxSize: 12, maxFiles: 10 } });
    assert.deepEqual(await paths(bySize.id), ["a", "b"]);
    assert.deepEqual(bySize.skipped, [{ path: ".", why: "more than 12 B: the rest is left out" }]);
    const byNumber = await take(null, { limits: { maxFileSize: 10, maxSize: 100, maxFiles: 2 } });
    assert.deepEqual(await paths(byNumber.id), ["a", "b"]);
    assert.deepEqual(byNumber.skipped, [{ path: ".", why: "more than 2 files: the rest is left out" }]);
    await fill({ c: "1" });
    await restore(byNumber.id);
    assert.deepEqual(Object.keys(await shown()), [".git/objects/1", "a", "b", "c"]);
  }),
  inWorkspace("says which special files it cannot keep", async ({ fill, take, restore, paths, root }) => {
    await fill({ a: "1" });
    const server = createServer().listen(join(root, "socket"));
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      const { id, skipped } = await take(null);
      assert.deepEqual(skipped, [{ path: "socket", why: "a socket" }]);
      assert.deepEqual(await paths(id), ["a"]);
      await restore(id);
      assert.equal((await lstat(join(root, "socket"))).isSocket(), true);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  }),
  inWorkspace("says which names it cannot keep", async ({ take, root }) => {
    await writeFile(Buffer.concat([Buffer.from(`${root}/bad-`), Buffer.from([0xff])]), "");
    const { skipped, files } = await take(null);
    assert.deepEqual([files, skipped.map(({ why }) => why)], [0, ["its name is not UTF-8"]]);
  }),
  inWorkspace("goes no deeper than anybody means to", async ({ fill, take, root }) => {
    const deep = Array.from({ length: 70 }, () => "d").join("/");
    await mkdir(join(root, deep), { recursive: true });
    await fill({ a: "1" });
    const { files, skipped } = await take(null);
    assert.deepEqual([files, skipped.length, skipped[0]?.why], [1, 1, "more than 64 folders deep"]);
  }),
  inWorkspace("leaves what stands in a file's place and that no snapshot holds", async (bench) => {
    const { fill, take, restore, root } = bench;
    await fill({ ".gitignore": "*.log", thing: "a file" });
    const { id } = await take(null);
    await unlink(join(root, "thing"));
    await fill({ "thing/x.log": "ignored" });
    const { kept } = await restore(id);
    assert.deepEqual(
      kept.map(({ path }) => path),
      ["thing"],
    );
    assert.equal(await readFile(join(root, "thing/x.log"), "utf8"), "ignored");
  }),
  inWorkspace("replaces and removes only what the snapshot of now holds", async (bench) => {
    const { fill, take, root, snapshots, shown } = bench;
    await fill({ "local.db": "old", "grows.txt": "old", "kept.txt": "old", "b/c": "old" });
    const limits = { maxFileSize: 10, maxSize: 1_000, maxFiles: 100 };
    const then = await take(null);
    await rm(join(root, "b"), { recursive: true });
    await fill({
      ".gitignore": "local.db",
      "local.db": "new",
      "grows.txt": "new and longer",
      "kept.txt": "new",
    });
    await fill({ "large.txt": "larger than all", "small.txt": "new" });
    const now = await take(null, { limits });
    for (const attempt of ["first", "after a crash"]) {
      const { kept } = await snapshots.restore(then.id, root, { replacing: now.id });
      if (attempt === "first") {
        const paths = kept.map(({ path }) => path);
        assert.deepEqual(paths.sort(), ["grows.txt", "large.txt", "local.db"]);
      }
      assert.deepEqual(await shown(), {
        "b/c": "644 old",
        "grows.txt": "644 new and longer",
        "kept.txt": "644 old",
        "large.txt": "644 larger than all",
        "local.db": "644 new",
      });
    }
  }),

  // ---- keeping and removing ----

  inWorkspace("removes what nobody uses, after an hour, and nothing else", async (bench) => {
    const { fill, take, snapshots, clock, root } = bench;
    await fill({ shared: "shared", old: "old content" });
    const old = await take(null);
    await rm(join(root, "old"));
    await fill({ fresh: "new content" });
    const used = await take(old.id);
    assert.deepEqual(await snapshots.collect(new Set()), { snapshots: 0, objects: 0 });
    await clock.advance(2 * 3_600_000);
    assert.deepEqual(await snapshots.collect(new Set([used.id])), { snapshots: 1, objects: 1 });
    assert.equal(await snapshots.has(old.id), false);
    await refused(snapshots.restore(old.id, `${root}-x`), "not_found");
    const { files } = await snapshots.restore(used.id, `${root}-y`);
    assert.equal(files, 2);
  }),
  inWorkspace("keeps what was asked for again, and does not rely on what was removed", async (bench) => {
    const { fill, take, snapshots, clock, root } = bench;
    await fill({ a: "content" });
    const first = await take(null);
    await clock.advance(2 * 3_600_000);
    assert.equal((await take(first.id)).unchanged, true);
    assert.deepEqual(await snapshots.collect(new Set()), { snapshots: 0, objects: 0 });
    await clock.advance(2 * 3_600_000);
    assert.deepEqual(await snapshots.collect(new Set()), { snapshots: 1, objects: 1 });
    const again = await take(first.id);
    assert.equal(again.id, first.id);
    await snapshots.restore(again.id, `${root}-x`);
    assert.equal(await readFile(`${root}-x/a`, "utf8"), "content");
  }),
  inWorkspace(
    "is carried to another place, content by content",
    async ({ fill, take, root, other, shown }) => {
      await fill({ a: "one", "b/c": "x".repeat(600_000), d: "" });
      const { id } = await take(null);
      const manifest = await other.from.manifest(id);
      for (const entry of manifest.entries) {
        if (entry.type === "file") await other.to.putObject(entry.hash, other.from.readObject(entry.hash));
      }
      await other.to.putManifest(id, JSON.parse(JSON.stringify(manifest)));
      await other.to.restore(id, `${root}-x`);
      assert.deepEqual(await shown(`${root}-x`), await shown());
    },
  ),
  inWorkspace("takes nothing that is not what it is called", async ({ fill, take, snapshots, other }) => {
    await fill({ a: "one", b: "two" });
    const { id } = await take(null);
    const manifest = await snapshots.manifest(id);
    const [a] = manifest.entries;
    assert.equal(a?.type, "file");
    await refused(other.to.putManifest(id, manifest), "corrupt");
    await refused(other.to.putObject(a.hash, bytesOf("another")), "corrupt");
    await refused(other.to.putObject("../../../x", bytesOf("x")), "invalid_input");
    await other.to.putObject(a.hash, bytesOf("one"));
    await refused(other.to.putManifest(id, { ...manifest, entries: [a] }), "corrupt");
    assert.equal(await other.to.has(id), false);
  }),
  inWorkspace("takes no manifest that leads elsewhere", async ({ snapshots }) => {
    const good: Manifest = { version: 1, entries: [], skipped: [], maxFileSize: 1, partial: false };
    const file = (path: string) => ({ type: "file", path, mode: 0o644, size: 0, hash: "0".repeat(64) });
    for (const entries of [
      [file("../outside")],
      [file("/etc/passwd")],
      [file("a/../../b")],
      [file("a//b")],
      [file("")],
      [file(".")],
      [file("a\0b")],
      [file("b"), file("a")],
      [file("a"), file("a")],
      [{ type: "link", path: "a", target: "/etc" }, file("a/passwd")],
      [file("a"), file("a/b")],
      [{ ...file("a"), mode: 0o4755 }],
      [{ ...file("a"), hash: "../x" }],
      [{ type: "device", path: "a" }],
    ]) {
      await refused(snapshots.putManifest("0".repeat(64), { ...good, entries }), "invalid_input");
    }
    await refused(snapshots.putManifest("0".repeat(64), { ...good, skipped: ["../x"] }), "invalid_input");
    await refused(snapshots.putManifest("0".repeat(64), "nonsense"), "invalid_input");
  }),
  inWorkspace("ends when it is told to", async ({ fill, take, root, snapshots }) => {
    await fill({ a: "one" });
    const ending = new AbortController();
    ending.abort(new Error("enough"));
    await assert.rejects(take(null, { signal: ending.signal }), /enough/);
    const { id } = await take(null);
    await fill({ a: "changed" });
    await assert.rejects(snapshots.restore(id, root, { signal: ending.signal }), /enough/);
    assert.equal(await readFile(join(root, "a"), "utf8"), "changed");
  }),
];

interface Bench {
  readonly snapshots: Snapshots;
  /** The same snapshots, and a second place. */
  readonly other: { readonly from: Snapshots; readonly to: Snapshots };
  readonly clock: FakeClock;
  /** The workspace. Names that begin with it are the case's own too. */
  readonly root: string;
  /** Writes files by path; null makes an empty directory. */
  fill(files: Readonly<Record<string, string | null>>): Promise<void>;
  take(previous: string | null, options?: Partial<TakeOptions>): Promise<Taken>;
  restore(id: string): Promise<Restored>;
  /** What a snapshot holds. */
  paths(id: string): Promise<readonly string[]>;
  /** Everything that is in a directory: contents of files, targets of links, modes. */
  shown(directory?: string): Promise<Readonly<Record<string, string>>>;
}

function inWorkspace(name: string, check: (bench: Bench) => Promise<void>): SnapshotCase {
  return {
    name,
    async run({ open, directory }) {
      const root = join(await mkdtemp(join(directory, "case-")), "workspace");
      await mkdir(root);
      const clock = createFakeClock(Date.parse("2100-01-01"));
      const snapshots = await open(clock);
      const { signal } = new AbortController();
      await check({
        snapshots,
        other: { from: snapshots, to: await open(clock) },
        clock,
        root,
        fill: (files) => fill(root, files),
        take: (previous, options) => snapshots.take(root, previous, { signal, ...options }),
        restore: (id) => snapshots.restore(id, root),
        paths: async (id) => (await snapshots.manifest(id)).entries.map(({ path }) => path),
        shown: async (from = root) => Object.fromEntries(await show(from, "")),
      });
    },
  };
}

async function fill(root: string, files: Readonly<Record<string, string | null>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    if (content === null) await mkdir(join(root, path), { recursive: true });
    else {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), content);
    }
  }
}

async function show(root: string, prefix: string): Promise<readonly (readonly [string, string])[]> {
  const shown: (readonly [string, string])[] = [];
  const names = await readdir(join(root, prefix));
  for (const name of names.sort()) {
    const path = prefix === "" ? name : `${prefix}/${name}`;
    const stats = await lstat(join(root, path));
    const mode = (stats.mode & 0o7777).toString(8);
    if (stats.isSymbolicLink()) shown.push([path, `-> ${await readlink(join(root, path))}`]);
    else if (stats.isFile()) shown.push([path, `${mode} ${await readFile(join(root, path), "utf8")}`]);
    else if (stats.isDirectory()) {
      const inside = await show(root, path);
      shown.push(...(inside.length === 0 ? [[path, `${mode} empty`] as const] : inside));
    }
  }
  return shown;
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

async function refused(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(work, (error) => isAppError(error, code));
}
