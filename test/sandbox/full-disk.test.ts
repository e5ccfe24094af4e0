import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createSandboxPool } from "../../src/sandboxes/pool.ts";
import { detectCgroups } from "../../src/sandboxes/process/cgroups.ts";
import { processDriver } from "../../src/sandboxes/process/process.ts";
import { shortName } from "../../src/sandboxes/process/registry.ts";

const home = mkdtempSync(join(tmpdir(), "holdfast-full-"));
const driver = processDriver({ registryDir: join(home, "registry") });
const { available } = await driver.probe();

test("a full disk is named as the cause, and leaves no groups behind", async ({ skip, onTestFinished }) => {
  const disk = join(home, "disk");
  mkdirSync(disk);
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]).status === 0;
  skip(!available || !mounted, "nothing can be mounted here, or there is no process sandbox");
  onTestFinished(() => void spawnSync("umount", [disk]));

  await using pool = createSandboxPool(disk, async () => driver);
  const limits = { memoryBytes: 2 ** 28, processes: 32, fileSizeBytes: 2 ** 20, cpus: 1 };
  const open = () =>
    pool.open("session", { sandbox: { isolation: "process", limits }, workspaceTemplate: null });
  fill(join(disk, "ballast"));
  await expect(open()).rejects.toMatchObject({ code: "no_space" });
  await driver.destroy("session");

  const [stateDir = ""] = readdirSync(join(disk, "sandboxes"));
  const name = `holdfast-${shortName(join(disk, "sandboxes", stateDir, shortName("session")))}`;
  const { parents } = await detectCgroups();
  expect(parents.filter(({ directory }) => readdirSync(directory).includes(name))).toEqual([]);

  rmSync(join(disk, "ballast"));
  await (await open()).destroy();
});

function fill(file: string): void {
  try {
    for (;;) writeFileSync(file, Buffer.alloc(4096), { flag: "a" });
  } catch {
    // As much as there is room for.
  }
}
