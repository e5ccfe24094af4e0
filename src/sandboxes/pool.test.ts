import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
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
