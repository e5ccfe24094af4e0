import { execFileSync } from "node:child_process";
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { noneDriver } from "./none/none.ts";
import { createSandboxPool, type SandboxWish } from "./pool.ts";

describe("what a session's workspace starts with", () => {
  let home: string;
  let template: string;

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "holdfast-pool-"));
    template = join(home, "template");
    await mkdir(template);
    await writeFile(join(template, "2024.csv"), "a,b\n");
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  async function workspaceFrom(workspaceTemplate: string, dataDir = join(home, "data")): Promise<string> {
    const limits = { memoryBytes: 2 ** 28, processes: 10, fileSizeBytes: 2 ** 20, cpus: 1 };
    const wish: SandboxWish = { sandbox: { isolation: "none", limits }, workspaceTemplate };
    await using driver = noneDriver();
    await using pool = createSandboxPool(dataDir, async () => driver);
    await pool.open("session", wish);
    return pool.workspacePath("session");
  }

  test("links lead where they led, in the workspace", async () => {
    await symlink("2024.csv", join(template, "latest.csv"));
    const workspace = await workspaceFrom(template);
    expect(await readlink(join(workspace, "latest.csv"))).toBe("2024.csv");
  });

  test("the template may be a link itself", async () => {
    await symlink("template", join(home, "link"));
    const workspace = await workspaceFrom(join(home, "link"));
    expect(await readFile(join(workspace, "2024.csv"), "utf8")).toBe("a,b\n");
  });

  test.each<[string, () => string]>([
    [
      "that cannot be copied",
      () => {
        execFileSync("mkfifo", [join(template, "fifo")]);
        return join(home, "data");
      },
    ],
    ["that holds the data directory", () => join(template, ".holdfast")],
  ])("a template %s is said to be the cause, and leaves nothing behind", async (_name, dataDirOf) => {
    const dataDir = dataDirOf();
    await expect(workspaceFrom(template, dataDir)).rejects.toMatchObject({
      code: "invalid_config",
      message: expect.stringContaining(template),
    });
    expect(await readdir(join(dataDir, "workspaces"))).toEqual([]);
  });
});

describe("what a session leaves on the disk", () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "holdfast-pool-"));
  });
  afterEach(() => rm(dataDir, { recursive: true, force: true }));

  const limits = { memoryBytes: 2 ** 28, processes: 10, fileSizeBytes: 2 ** 20, cpus: 1 };
  const wish: SandboxWish = { sandbox: { isolation: "none", limits }, workspaceTemplate: null };
  const contents = async () => [
    ...(await readdir(join(dataDir, "workspaces"))),
    ...(await readdir(join(dataDir, "sandboxes"))),
  ];

  /** A file that nobody has touched for two hours. */
  async function makeOld(path: string): Promise<void> {
    const time = Date.now() / 1000 - 7200;
    await utimes(path, time, time);
  }

  test("all goes when it is erased, also what was made read-only, and what runs", async () => {
    await using driver = noneDriver();
    await using pool = createSandboxPool(
      dataDir,
      async () => driver,
      async () => [driver],
    );
    const sandbox = await pool.open("gone", wish);
    await pool.open("kept", wish);
    const locked = join(pool.workspacePath("gone"), "cache", "module");
    await mkdir(locked, { recursive: true });
    await writeFile(join(locked, "file"), "x");
    await chmod(locked, 0o555);
    const execution = await sandbox.exec({ operationId: "op", command: "sleep 60", timeoutMs: 60_000 });
    const forgotten: string[] = [];
    await pool.erase("gone", async () => void forgotten.push("gone"));
    expect((await execution.result).killed).toBe(true);
    expect(forgotten).toEqual(["gone"]);
    const kept = expect.stringMatching(/^kept-/);
    expect(await contents()).toEqual([kept, kept]);
  });

  test("nothing goes when the session cannot be forgotten", async () => {
    await using driver = noneDriver();
    await using pool = createSandboxPool(dataDir, async () => driver);
    await pool.open("s", wish);
    const refusing = pool.erase("s", () => Promise.reject(new Error("it runs")));
    await expect(refusing).rejects.toThrow("it runs");
    const kept = expect.stringMatching(/^s-/);
    expect(await contents()).toEqual([kept, kept]);
  });

  test("an erasure that a crash cut is completed, where the session is gone", async () => {
    await using driver = noneDriver();
    {
      await using pool = createSandboxPool(dataDir, async () => driver);
      for (const id of ["gone", "still there"]) await pool.open(id, wish);
    }
    // As a crash leaves it: what was to go is noted.
    for (const name of await readdir(join(dataDir, "sandboxes"))) {
      const id = name.startsWith("gone") ? "gone" : "still there";
      await writeFile(join(dataDir, "sandboxes", `${name}.erasing`), id);
    }
    await using pool = createSandboxPool(dataDir, async () => driver);
    await pool.removeLeftovers(async (id) => id === "still there");
    const kept = expect.stringMatching(/^still-there-/);
    expect(await contents()).toEqual([kept, kept]);
  });

  test("workspaces that dead processes left half made go, those of living ones stay", async () => {
    const dead = Number(execFileSync("bash", ["-c", "echo $$"], { encoding: "utf8" }));
    const names = [
      `s-a.draft-${dead}-d_1`,
      `s-b.draft-${dead}-d_just_now`,
      `s-c.draft-${process.pid}-d_2`,
      "s-d.draft_earlier_release",
      "s-e",
    ];
    const workspaces = join(dataDir, "workspaces");
    for (const name of names) await mkdir(join(workspaces, name, "sub"), { recursive: true });
    for (const name of names) if (!name.includes("just_now")) await makeOld(join(workspaces, name));
    await using pool = createSandboxPool(dataDir, async () => noneDriver());
    await pool.removeLeftovers(async () => true);
    expect((await readdir(workspaces)).sort()).toEqual([names[1], names[2], names[4]]);
  });
});
