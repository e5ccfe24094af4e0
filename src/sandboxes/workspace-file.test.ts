import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readWorkspaceFile } from "./workspace-file.ts";

describe("a file of a workspace whose sandbox is not running", () => {
  let home: string;
  let workspace: string;
  let template: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "holdfast-file-"));
    workspace = join(home, "workspace");
    template = join(home, "template");
    await mkdir(template);
    await writeFile(join(template, "AGENTS.md"), "from the template");
    await writeFile(join(home, "secret"), "secret");
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  const read = (path = "AGENTS.md", maxBytes = 1_000) =>
    readWorkspaceFile([workspace, template], path, maxBytes);

  test("is the template's while there is no workspace", async () => {
    expect(await read()).toBe("from the template");
    expect(await readWorkspaceFile([workspace, null], "AGENTS.md", 10)).toBeNull();
  });

  test("is the workspace's as soon as there is one, also when it was deleted there", async () => {
    await mkdir(workspace);
    expect(await read()).toBeNull();
    await writeFile(join(workspace, "AGENTS.md"), "from the workspace");
    expect(await read()).toBe("from the workspace");
  });

  test("is read as far as wanted", async () => {
    expect(await read("AGENTS.md", 4)).toBe("from");
  });

  test("may be a link within the workspace, and none out of it", async () => {
    await mkdir(workspace);
    await writeFile(join(workspace, "real.md"), "linked");
    await symlink("real.md", join(workspace, "AGENTS.md"));
    await symlink("../secret", join(workspace, "CLAUDE.md"));
    expect(await read()).toBe("linked");
    await expect(read("CLAUDE.md")).rejects.toMatchObject({ code: "forbidden" });
    await symlink(join(home, "secret"), join(workspace, "absolute.md"));
    await expect(read("absolute.md")).rejects.toMatchObject({ code: "forbidden" });
  });

  test("is no directory", async () => {
    await mkdir(join(workspace, "AGENTS.md"), { recursive: true });
    await expect(read()).rejects.toMatchObject({ code: "invalid_input" });
  });
});
