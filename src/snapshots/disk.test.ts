import {
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../lib/clock.ts";
import { sha256 } from "../lib/ids.ts";
import { snapshotContract } from "../testing/snapshot-contract.ts";
import { diskSnapshots } from "./disk.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-snapshots-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("snapshot contract", () => {
  for (const { name, run } of snapshotContract) {
    test.concurrent(name, () =>
      run({
        directory: folder,
        open: async (clock) =>
          diskSnapshots({ directory: mkdtempSync(join(folder, "store-")), clock, kept: [".kept"] }),
      }),
    );
  }
});

describe("what lies on the disk", () => {
  let home = "";
  let workspace = "";
  let store = "";
  const { signal } = new AbortController();
  beforeEach(() => {
    home = mkdtempSync(join(folder, "disk-"));
    workspace = join(home, "workspace");
    store = join(home, "snapshots");
    mkdirSync(workspace);
  });
  const open = () => diskSnapshots({ directory: store, clock: systemClock });
  const objectOf = (content: string) => {
    const hash = sha256(content);
    return join(store, "objects", hash.slice(0, 2), hash.slice(2));
  };

  test.each([
    ["missing", (path: string) => rmSync(path), /a\.txt cannot be restored: .* is missing/],
    ["damaged", (path: string) => writeFileSync(path, "pother"), /a\.txt cannot be restored: .* is damaged/],
    ["cut off", (path: string) => writeFileSync(path, ""), /a\.txt cannot be restored/],
    [
      "no deflated data",
      (path: string) => writeFileSync(path, "zother"),
      /a\.txt cannot be restored: .* is damaged/,
    ],
    ["longer", (path: string) => writeFileSync(path, `p${"x".repeat(9_999)}`), /a\.txt cannot be restored/],
  ])("a content that is %s is named before anything is changed", async (_name, damage, message) => {
    writeFileSync(join(workspace, "a.txt"), "first");
    writeFileSync(join(workspace, "b.txt"), "first too");
    const { id } = await open().take(workspace, null, { signal });
    writeFileSync(join(workspace, "a.txt"), "second");
    writeFileSync(join(workspace, "b.txt"), "second too");
    writeFileSync(join(workspace, "c.txt"), "third");
    damage(objectOf("first"));
    await expect(open().restore(id, workspace)).rejects.toThrow(message);
    expect(readdirSync(workspace)).toEqual(["a.txt", "b.txt", "c.txt"]);
    expect(readFileSync(join(workspace, "b.txt"), "utf8")).toBe("second too");
    expect(readdirSync(join(store, "drafts"))).toEqual([]);
  });

  test.runIf(process.geteuid?.() === 0)(
    "what is restored belongs to whoever the workspace belongs to",
    async () => {
      mkdirSync(join(workspace, "made"));
      writeFileSync(join(workspace, "made", "a"), "1");
      symlinkSync("made/a", join(workspace, "link"));
      mkdirSync(join(workspace, "empty"));
      const { id } = await open().take(workspace, null, { signal });
      const into = join(home, "other");
      mkdirSync(into);
      chownSync(into, 4_711, 4_712);
      await open().restore(id, into);
      for (const name of ["made", "made/a", "link", "empty"]) {
        expect(lstatSync(join(into, name))).toMatchObject({ uid: 4_711, gid: 4_712 });
      }
    },
  );

  test("a manifest that does not hash to its name is not believed", async () => {
    const { id } = await open().take(workspace, null, { signal });
    const path = join(store, "manifests", id.slice(0, 2), id.slice(2));
    writeFileSync(path, readFileSync(path, "utf8").replace('"partial":false', '"partial":true '));
    await expect(open().restore(id, workspace)).rejects.toMatchObject({ code: "corrupt" });
  });

  test("what was half written when a process died never counts, and goes after an hour", async () => {
    const content = "content";
    const { id: empty } = await open().take(workspace, null, { signal });
    writeFileSync(join(store, "drafts", "d_left"), `p${content.slice(0, 3)}`);
    const longAgo = new Date("2001-01-01");
    utimesSync(join(store, "drafts", "d_left"), longAgo, longAgo);
    writeFileSync(join(workspace, "a"), content);
    const { id } = await open().take(workspace, empty, { signal });
    await open().restore(id, join(home, "other"));
    expect(readFileSync(join(home, "other", "a"), "utf8")).toBe(content);
    await open().collect(new Set([empty, id]));
    expect(readdirSync(join(store, "drafts"))).toEqual([]);
  });

  test("an index that is lost, or says nonsense, costs only the reading", async () => {
    writeFileSync(join(workspace, "a"), "content");
    const { id } = await open().take(workspace, null, { signal });
    const [name = ""] = readdirSync(join(store, "indexes"));
    for (const nonsense of ["", "{", "[]", '{"workspace":1}']) {
      writeFileSync(join(store, "indexes", name), nonsense);
      expect(await open().take(workspace, id, { signal })).toMatchObject({ id, unchanged: true });
    }
    rmSync(workspace, { recursive: true });
    await open().collect(new Set());
    expect(readdirSync(join(store, "indexes"))).toEqual([]);
  });

  test("contents that repeat themselves take little room", async () => {
    const content = "a line of a table, much like the others\n".repeat(50_000);
    writeFileSync(join(workspace, "table.csv"), content);
    await open().take(workspace, null, { signal });
    expect(readFileSync(objectOf(content)).length).toBeLessThan(content.length / 10);
  });
});
