import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { sandboxContract } from "../../testing/sandbox-contract.ts";
import { noneDriver } from "./none.ts";

const driver = noneDriver();
const { capabilities } = await driver.probe();
let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "holdfast-none-"));
});
afterAll(async () => {
  await driver[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

for (const { name, skip, run } of sandboxContract) {
  const reason = skip?.(capabilities);
  test.concurrent(name, async (context) => {
    if (reason !== undefined) context.skip(reason);
    await run({ driver, directory });
  });
}

test("without bash it says what is missing and how to get it", async () => {
  const probe = await noneDriver({ path: "/nowhere" }).probe();
  expect(probe.available).toBe(false);
  expect(probe.problem?.reason).toContain("bash");
  expect(probe.problem?.fix).toBe("apt-get install bash");
});

test("what a command left in the background ends with its sandbox", async () => {
  const home = await mkdtemp(join(directory, "background-"));
  const limits = { memoryBytes: 1, processes: 1, fileSizeBytes: 1, cpus: 1 };
  const spec = { sessionId: "ses_background", workspace: home, stateDir: home, limits };
  const sandbox = await driver.open(spec);
  const command = "(setsid sleep 60 > /dev/null & echo $!); sleep 61 > /dev/null & echo $!";
  const execution = await sandbox.exec({ operationId: "op_background", command, timeoutMs: 10_000 });
  let output = "";
  for await (const { bytes } of execution.output) output += Buffer.from(bytes).toString();
  const pids = output.trim().split("\n").map(Number);
  expect(pids.map(isAlive)).toEqual([true, true]);
  await sandbox.destroy();
  await vi.waitUntil(() => !pids.some(isAlive), { timeout: 10_000 });
});

/** A zombie does not count: in a container there may be nobody who collects it. */
function isAlive(pid: number): boolean {
  const state = execFileSync("ps", ["-o", "stat=", "-p", `${pid},1`], { encoding: "utf8" });
  return (
    state
      .trim()
      .split("\n")
      .filter((line) => !line.startsWith("Z")).length > 1
  );
}

test("commands do not get the environment of the runtime", async () => {
  const home = await mkdtemp(join(directory, "environment-"));
  const limits = { memoryBytes: 1, processes: 1, fileSizeBytes: 1, cpus: 1 };
  const sandbox = await driver.open({ sessionId: "ses_env", workspace: home, stateDir: home, limits });
  const execution = await sandbox.exec({ operationId: "op_env", command: "env", timeoutMs: 10_000 });
  let output = "";
  for await (const { bytes } of execution.output) output += Buffer.from(bytes).toString();
  const names = output
    .trim()
    .split("\n")
    .map((line) => line.split("=")[0]);
  expect(names.sort()).toEqual(["HOLDFAST_OPERATION", "HOME", "LANG", "PATH", "PWD", "SHLVL", "TERM", "_"]);
});
