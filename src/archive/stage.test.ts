import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sha256 } from "../lib/ids.ts";
import type { Entry } from "../log/entry.ts";
import { type ArchiveLimits, DEFAULT_LIMITS, type Manifest, type Member } from "./archive.ts";
import { staysInside } from "./check-members.ts";
import { sealed } from "./seal.ts";
import { type Staged, stageArchive } from "./stage.ts";
import { type Packed, packed } from "./tar.ts";

/** Files that nobody's export wrote, each with the right seal: what is wrong with them is wrong inside. */

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "holdfast-stage-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

interface Part {
  readonly member: Member;
  readonly content?: string;
}

function file(name: string, content: string, mode = 0o600): Part {
  const size = Buffer.byteLength(content);
  return { member: { type: "file", name, mode, size, sha256: sha256(content) }, content };
}

const folder = (name: string): Part => ({ member: { type: "directory", name, mode: 0o700 } });
const link = (name: string, target: string): Part => ({ member: { type: "link", name, target } });

const header = (seq: number) => ({
  id: `e${seq}`,
  sessionId: "s",
  parentId: seq === 1 ? null : `e${seq - 1}`,
  seq,
  at: seq,
  v: 1,
});
const root = { ...header(1), type: "sessionCreated", agent: "a" };
const noted = { ...header(2), type: "contextAdded", source: "hook", text: "a note" };

function logFile(...entries: readonly object[]): Part {
  return file("entries.jsonl", entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
}

interface Change {
  readonly manifest?: object;
  readonly session?: object;
  /** What stands in the tar, where that is not what the manifest says. */
  readonly standing?: readonly Part[];
}

/** A file of these parts, and the manifest that fits them but for what is to be wrong. */
function archive(parts: readonly Part[], { manifest = {}, session = {}, standing = parts }: Change = {}) {
  const log = parts.find(({ member }) => member.name === "entries.jsonl")?.content ?? "";
  const length = Math.max(1, log.split("\n").filter((line) => line !== "").length);
  const whole: Manifest = {
    format: "holdfast-session",
    formatVersion: 1,
    holdfast: "9.9.9",
    exportedAt: 1,
    session: {
      ...{ id: "s", agent: "a", tenant: "default", title: null, status: "idle", lastRunEnd: null },
      ...{ headId: `e${length}`, headSeq: length, createdAt: 1, updatedAt: 1, turns: 0 },
      ...{ costUsd: 0, unpricedCalls: 0, forkedFrom: null },
      usage: { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
      ...session,
    } as Manifest["session"],
    entries: length,
    workspace: { state: "included", skipped: [], skippedCount: 0, due: null },
    snapshots: [],
    members: parts.map(({ member }) => member),
    ...manifest,
  };
  const first = file("manifest.json", JSON.stringify(whole));
  return sealed(packed(packing([first, ...standing]), 1));
}

async function* packing(parts: readonly Part[]): AsyncGenerator<Packed> {
  for (const { member, content } of parts) yield { member, content: pieces(content) };
}

async function* pieces(content: string | undefined): AsyncGenerator<Uint8Array> {
  if (content !== undefined && content !== "") yield Buffer.from(content);
}

function staged(source: AsyncIterable<Uint8Array>, limits: Partial<ArchiveLimits> = {}): Promise<Staged> {
  return stageArchive(source, { directory, limits: { ...DEFAULT_LIMITS, ...limits } });
}

const log = logFile(root, noted);

test("a file that is right is unpacked", async () => {
  const { workspace, manifest, entries } = await staged(
    archive([log, folder("workspace"), file("workspace/a", "A", 0o444), link("workspace/b", "./a")]),
  );
  expect(workspace).toBe(join(directory, "workspace"));
  expect(await readFile(join(directory, "workspace/b"), "utf8")).toBe("A");
  expect(manifest.session.id).toBe("s");
  expect(await Array.fromAsync(entries("t"))).toEqual([root, noted].map((e) => ({ ...e, sessionId: "t" })));
});

describe("members", () => {
  const inWorkspace = (...parts: readonly Part[]) => [log, folder("workspace"), ...parts];
  const rows: readonly (readonly [what: string, parts: readonly Part[], says: string])[] = [
    ["a name that goes up", inWorkspace(file("workspace/../up", "")), "cannot be the name"],
    ["a name that goes up at its start", [log, file("../up", "")], "cannot be the name"],
    ["an absolute name", [log, file("/etc/cron.d/x", "")], "cannot be the name"],
    ["an absolute name in the workspace", inWorkspace(file("workspace//etc/x", "")), "cannot be the name"],
    ["a name with a dot in it", inWorkspace(file("workspace/./x", "")), "cannot be the name"],
    ["a name with a NUL", inWorkspace(file("workspace/a\0b", "")), "cannot be the name"],
    ["the same name twice", inWorkspace(file("workspace/a", ""), file("workspace/a", "")), "twice"],
    [
      "a name that is a file and a folder",
      inWorkspace(file("workspace/a", ""), file("workspace/a/b", "")),
      "folder of",
    ],
    ["a file below a link", inWorkspace(link("workspace/a", "."), file("workspace/a/b", "")), "folder of"],
    ["a folder that is missing", inWorkspace(file("workspace/a/b", "")), "folder of"],
    ["a workspace that is a file", [log, file("workspace", "")], "folder of"],
    ["a part that no export has", [log, folder("extra"), file("extra/a", "")], "no part"],
    ["no log", [folder("workspace")], "entries.jsonl is missing"],
    ["a log that is not first", [folder("workspace"), log], "entries.jsonl is missing"],
    ["an absolute link", inWorkspace(link("workspace/a", "/etc/passwd")), "leads out"],
    ["a link that goes up", inWorkspace(link("workspace/a", "../../x")), "leads out"],
    ["a link that goes up behind a name", inWorkspace(link("workspace/a", "b/../..")), "leads out"],
    ["a link outside of the workspace", [log, folder("snapshots"), link("snapshots/a", "b")], "leads out"],
  ];
  test.each(rows)("with %s are refused", async (_what, parts, says) => {
    const error = await staged(archive(parts)).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "invalid_input", message: expect.stringContaining(says) });
    // It is refused by what the manifest says, before any of it is written.
    expect(await readdir(directory)).toEqual([]);
  });

  const a = file("workspace/a", "A");
  const listed = [log, folder("workspace"), a, file("workspace/b", "B")];
  const standing: readonly (readonly [what: string, standing: readonly Part[]])[] = [
    ["one is missing", listed.slice(0, 3)],
    ["one stands twice", [...listed, a]],
    ["there is one more", [...listed, file("workspace/c", "C")]],
    ["two have changed places", listed.toReversed()],
    ["one has another content", listed.with(2, file("workspace/a", "X"))],
    ["one has another size", listed.with(2, file("workspace/a", "AA"))],
    ["one is a link instead", listed.with(2, link("workspace/a", "b"))],
    ["one has another name", listed.with(2, file("workspace/x", "A"))],
  ];
  test.each(standing)("that are not as listed are refused: %s", async (_what, parts) => {
    await expect(staged(archive(listed, { standing: parts }))).rejects.toMatchObject({
      code: "invalid_input",
    });
  });

  test("are never written through a link", async () => {
    await writeFile(join(directory, "outside"), "untouched");
    await symlink(join(directory, "outside"), join(directory, "entries.jsonl"));
    await expect(staged(archive([log]))).rejects.toThrow();
    expect(await readFile(join(directory, "outside"), "utf8")).toBe("untouched");
  });
});

test.each([
  ["a", "b", true],
  ["a/b", "../c", true],
  ["a/b", "../../c", false],
  ["a/b/c", "../..", true],
  ["a", ".", true],
  ["a", "..", false],
  ["a", "./../b", false],
  ["a/b", "x/../y", false],
  ["a", "", true],
  ["a", "/", false],
])("a link at %s to %s stays inside: %s", (path, target, expected) => {
  expect(staysInside(path, target)).toBe(expected);
});

describe("a manifest", () => {
  const rows: readonly (readonly [what: string, change: Change, code: string, says: string])[] = [
    ["of a newer format", { manifest: { formatVersion: 2 } }, "unsupported", "by Holdfast 9.9.9 in format 2"],
    ["of something else", { manifest: { format: "other" } }, "invalid_input", "something else"],
    ["with a session that works", { session: { status: "running" } }, "invalid_input", "session.status"],
    ["with an impossible id", { session: { id: "../x" } }, "invalid_input", "session.id"],
    ["with a negative cost", { session: { costUsd: -1 } }, "invalid_input", "session.costUsd"],
    ["with another number of entries", { manifest: { entries: 3 } }, "invalid_input", "should have 3"],
    ["with another head", { session: { headId: "e1" } }, "invalid_input", "does not end"],
    ["with another status", { session: { status: "waiting" } }, "invalid_input", "said to be waiting"],
  ];
  test.each(rows)("%s is refused", async (_what, change, code, says) => {
    const error = await staged(archive([log], change)).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code, message: expect.stringContaining(says) });
  });

  test("has to be the first member", async () => {
    const source = sealed(packed(packing([log, file("manifest.json", "{}")]), 1));
    await expect(staged(source)).rejects.toMatchObject({ message: expect.stringContaining("begin with") });
  });

  test("that announces more than there may be is refused before it is read", async () => {
    const big = file("workspace/big", "x".repeat(3_000));
    const source = archive([log, folder("workspace"), big]);
    await expect(staged(source, { unpackedBytes: 2_000 })).rejects.toMatchObject({ code: "too_large" });
    expect(await readdir(directory)).toEqual([]);
  });

  test("that is a bomb is refused before it is unpacked", async () => {
    const bomb = sealed(packed(packing([file("manifest.json", " ".repeat(40 * 2 ** 20))]), 1));
    await expect(staged(bomb, { manifestBytes: 2 ** 20 })).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringContaining("over the limit"),
    });
  });
});

describe("a log", () => {
  const rows: readonly (readonly [what: string, entries: readonly object[], code: string, says: string])[] = [
    ["with a gap", [root, { ...noted, seq: 3 }], "invalid_input", "entry 2"],
    ["with a number twice", [root, { ...noted, seq: 1 }], "invalid_input", "entry 2"],
    [
      "with an entry that follows nothing",
      [root, { ...noted, parentId: "e9" }],
      "invalid_input",
      "does not follow",
    ],
    [
      "with an entry that follows itself",
      [root, { ...noted, parentId: "e2" }],
      "invalid_input",
      "does not follow",
    ],
    ["with a second root", [root, { ...noted, parentId: null }], "invalid_input", "does not follow"],
    ["with an id twice", [root, { ...noted, id: "e1" }], "invalid_input", "has the id"],
    [
      "with a branch that nobody left",
      [root, noted, { ...header(3), parentId: "e1", type: "runFinished" }],
      "invalid_input",
      "does not follow",
    ],
    ["with an entry of a newer version", [root, { ...noted, v: 2 }], "unsupported", "version 2"],
    ["with an entry of no version", [root, { ...noted, v: "1" }], "invalid_input", "cannot be read"],
    [
      "with an entry that has no type",
      [root, { ...noted, type: undefined }],
      "invalid_input",
      "cannot be read",
    ],
    [
      "with an entry that cannot be applied",
      [
        root,
        { ...header(2), type: "userMessage" },
        { ...header(3), type: "runStarted" },
        { ...header(4), type: "assistantMessage" },
      ],
      "invalid_input",
      "entry 4",
    ],
    [
      "of a session that works",
      [root, { ...header(2), type: "runStarted", runId: "r", model: "m" }],
      "invalid_input",
      "its log says that it is running",
    ],
  ];
  test.each(rows)("%s is refused", async (_what, entries, code, says) => {
    const error = await staged(archive([logFile(...entries)])).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code, message: expect.stringContaining(says) });
  });

  test.each([
    ["that is not JSON", "{\n"],
    ["that is not UTF-8", "\udcff"],
    ["without an end", JSON.stringify(root)],
  ])("with a line %s is refused", async (_what, text) => {
    await expect(staged(archive([file("entries.jsonl", text)]))).rejects.toMatchObject({
      code: "invalid_input",
    });
  });

  test("keeps entries of kinds that only a newer release knows", async () => {
    const unknown = { ...header(2), type: "dreamt", of: { electric: ["sheep"] } };
    const { entries } = await staged(archive([logFile(root, unknown, { ...noted, ...header(3) })]));
    const kept: readonly Entry[] = await Array.fromAsync(entries("s"));
    expect(kept[1]).toEqual(unknown);
  });

  test("may have branches that were left", async () => {
    const spent = { usage: {}, costUsd: 0, unpricedCalls: 0, lostUsd: 0 };
    const moved = { ...header(3), parentId: "e1", type: "headMoved", from: "e2", spent };
    const { entries } = await staged(archive([logFile(root, noted, moved)]));
    expect((await Array.fromAsync(entries("s"))).length).toBe(3);
  });
});
