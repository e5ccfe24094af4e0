import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { mkdir, readdir, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { processDriver } from "../../src/sandboxes/process/process.ts";
import { sandboxContract } from "../../src/testing/sandbox-contract.ts";

const directory = mkdtempSync(join(tmpdir(), "holdfast-process-"));
afterAll(() => rm(directory, { recursive: true, force: true }));

const driver = processDriver({ registryDir: join(directory, "registry") });
const probe = await driver.probe();
if (!probe.available)
  console.warn(`process sandbox not tested: ${probe.problem?.reason} (${probe.problem?.fix})`);

describe.skipIf(!probe.available)("process sandbox", () => {
  for (const { name, skip, run } of sandboxContract) {
    const reason = skip?.(probe.capabilities);
    test.skipIf(reason !== undefined)(reason === undefined ? name : `${name} (${reason})`, () =>
      run({ driver, directory }),
    );
  }

  test("what a runtime leaves that is killed while it probes goes with the next probe", async () => {
    const registryDir = join(directory, "registry");
    const dead = execFileSync("bash", ["-c", "echo $$"], { encoding: "utf8" }).trim();
    const name = `probe.draft-${dead}-d_1`;
    const home = join(registryDir, name);
    const workspace = join(home, "workspace");
    await mkdir(workspace, { recursive: true });
    const limits = { memoryBytes: 2 ** 28, processes: 32, fileSizeBytes: 2 ** 20, cpus: 1 };
    const sandbox = await driver.open({ sessionId: name, workspace, stateDir: home, limits });
    await sandbox[Symbol.asyncDispose]();
    const before = await readdir(join(registryDir, "sessions"));

    expect((await driver.probe()).available).toBe(true);
    expect(await readdir(registryDir)).toContain(name);
    const old = Date.now() / 1000 - 7200;
    await utimes(home, old, old);
    expect((await driver.probe()).available).toBe(true);
    expect(await readdir(registryDir)).not.toContain(name);
    expect(await readdir(join(registryDir, "sessions"))).toHaveLength(before.length - 1);
  });
});
