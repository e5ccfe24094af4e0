import { strict as assert } from "node:assert";
import { fork } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, describe, test } from "vitest";
import { isAppError } from "../../src/lib/errors.ts";
import { newId } from "../../src/lib/ids.ts";
import { processDriver } from "../../src/sandboxes/process/process.ts";
import type { SandboxSpec } from "../../src/sandboxes/sandbox.ts";
import { collect, execSpec, processHost, run } from "./process-sandbox.ts";

const host = processHost();
const probe = await host.driver.probe();
if (!probe.available) console.warn(`restarts not tested: ${probe.problem?.reason} (${probe.problem?.fix})`);
afterAll(() => host.remove());

const runtime = fileURLToPath(new URL("runtime-process.ts", import.meta.url));

/** A runtime of its own that starts a command and is then killed without a warning. */
async function startAndDie(
  spec: SandboxSpec,
  operationId: string,
  command: string,
  timeoutMs = 20_000,
): Promise<void> {
  const child = fork(
    runtime,
    [host.registryDir, JSON.stringify(spec), operationId, command, String(timeoutMs)],
    { silent: true },
  );
  const [message] = await once(child, "message");
  assert.equal(message, "started");
  child.kill("SIGKILL");
  await once(child, "exit");
}

describe.skipIf(!probe.available)("a sandbox without its runtime", () => {
  test("a command goes on and is found running by the next runtime, which does not run it twice", async () => {
    const spec = await host.newSpec();
    const operationId = newId("op");
    const command = "echo started; echo ran >> count; sleep 1.5; echo done";
    await startAndDie(spec, operationId, command);

    await using sandbox = await processDriver({ registryDir: host.registryDir }).open(spec);
    const found = await sandbox.attach(operationId);
    assert.ok(found);
    const { stdout, result } = await collect(found);
    assert.equal(stdout, "started\ndone\n");
    assert.equal(result.exitCode, 0);
    const again = await collect(await sandbox.exec({ operationId, command, timeoutMs: 1000 }));
    assert.equal(again.stdout, "started\ndone\n");
    assert.equal(await readFile(join(spec.workspace, "count"), "utf8"), "ran\n");
    await sandbox.destroy();
  });

  test("what runs in it is ended by another process, and whoever has it open goes on in a new one", async () => {
    const spec = await host.newSpec();
    await using sandbox = await processDriver({ registryDir: host.registryDir }).open(spec);
    const execution = await sandbox.exec(execSpec("sleep 60; echo never"));
    const ended = assert.rejects(execution.result, (error) => isAppError(error, "unavailable"));
    const other = processDriver({ registryDir: host.registryDir });
    assert.ok(other.end);
    await other.end(spec.sessionId, spec.stateDir);
    await ended;
    const { stdout } = await run(sandbox, "echo again");
    assert.equal(stdout, "again\n");
    await other.end(spec.sessionId, spec.stateDir);
    await other.end(spec.sessionId, spec.stateDir);
    await sandbox.destroy();
  });

  test("of very many commands the oldest are forgotten that somebody was told of, and never another", async () => {
    const spec = await host.newSpec();
    const left = newId("op");
    const few = processDriver({ registryDir: host.registryDir, keptOperations: 8 });
    // Its first sandbox: what limits it is decided here.
    await (await few.open(spec))[Symbol.asyncDispose]();
    await startAndDie(spec, left, "sleep 0.5; echo left >> count");
    const count = join(spec.workspace, "count");
    while ((await readFile(count, "utf8").catch(() => "")) !== "left\n") await pause(20);

    const ids: string[] = [];
    for (const life of ["first", "second"]) {
      await using sandbox = await few.open(spec);
      for (let i = 0; i < 20; i++) {
        const operation = execSpec(`echo ${life} >> count`);
        ids.push(operation.operationId);
        assert.equal((await collect(await sandbox.exec(operation))).result.exitCode, 0);
      }
      // The next one has to know it from the journal.
      await sandbox.destroy();
    }
    await using sandbox = await few.open(spec);
    const known = await Promise.all(ids.map((id) => sandbox.attach(id)));
    const kept = known.filter((execution) => execution !== undefined).length;
    assert.ok(kept >= 5 && kept <= 8, `${kept} are remembered`);
    assert.deepEqual(
      known.map((execution) => execution !== undefined),
      ids.map((_, i) => i >= ids.length - kept),
    );
    const again = await collect(await sandbox.exec(execSpec("echo never >> count", { operationId: left })));
    assert.equal(again.result.exitCode, 0);
    const lines = (await readFile(count, "utf8")).trim().split("\n");
    assert.deepEqual([lines.length, lines.filter((line) => line === "left").length], [41, 1]);
    assert.equal(lines.includes("never"), false);
    await sandbox.destroy();
  });

  test("what a command left while nobody was there is collected", async () => {
    const spec = await host.newSpec();
    const operationId = newId("op");
    await startAndDie(spec, operationId, "sleep 0.3; echo out; echo err >&2; exit 7");
    await pause(800);
    await using sandbox = await processDriver({ registryDir: host.registryDir }).open(spec);
    const found = await sandbox.attach(operationId);
    assert.ok(found);
    const { stdout, stderr, result } = await collect(found);
    assert.deepEqual([stdout, stderr, result.exitCode], ["out\n", "err\n", 7]);
    await sandbox.destroy();
  });

  test("a time-out holds although nobody is there", async () => {
    const spec = await host.newSpec();
    const operationId = newId("op");
    await startAndDie(spec, operationId, "sleep 60", 400);
    await pause(900);
    await using sandbox = await processDriver({ registryDir: host.registryDir }).open(spec);
    const found = await sandbox.attach(operationId);
    assert.ok(found);
    const { timedOut, durationMs } = await found.result;
    assert.equal(timedOut, true);
    assert.ok(durationMs < 900, `${durationMs}`);
    await sandbox.destroy();
  });

  test("several runtimes may be connected, and see the same operation", async () => {
    const spec = await host.newSpec();
    await using first = await host.driver.open(spec);
    await using second = await processDriver({ registryDir: host.registryDir }).open(spec);
    const operation = execSpec("echo a; sleep 0.3; echo b");
    const started = await first.exec(operation);
    const seen = await second.attach(operation.operationId);
    assert.ok(seen);
    const both = await Promise.all([collect(started), collect(seen)]);
    assert.deepEqual(
      both.map(({ stdout }) => stdout),
      ["a\nb\n", "a\nb\n"],
    );
    await first[Symbol.asyncDispose]();
    assert.equal((await run(second, "echo still")).stdout, "still\n");
    await second.destroy();
  });

  test("opened by two at once, there is one sandbox", async () => {
    const spec = await host.newSpec();
    const drivers = Array.from({ length: 4 }, () => processDriver({ registryDir: host.registryDir }));
    const sandboxes = await Promise.all(drivers.map((driver) => driver.open(spec)));
    for (const [i, sandbox] of sandboxes.entries()) await run(sandbox, `echo ${i} > /tmp/${i}`);
    const [one] = sandboxes;
    assert.ok(one);
    assert.equal((await run(one, "echo /tmp/*")).stdout, "/tmp/0 /tmp/1 /tmp/2 /tmp/3\n");
    await one.destroy();
  });

  test("a result outlives its sandbox, and a command that died with it is known to have started", async () => {
    const spec = await host.newSpec();
    const finished = execSpec("echo kept; exit 3");
    const running = execSpec("sleep 60");
    await using before = await host.driver.open(spec);
    await collect(await before.exec(finished));
    const execution = await before.exec(running);
    await killLauncher(spec);
    await assert.rejects(execution.result, (error) => isAppError(error, "unavailable"));

    await using after = await host.driver.open(spec);
    const kept = await after.attach(finished.operationId);
    assert.ok(kept);
    const { stdout, result } = await collect(kept);
    assert.deepEqual([stdout, result.exitCode], ["kept\n", 3]);
    const lost = await after.attach(running.operationId);
    assert.ok(lost);
    await assert.rejects(lost.result, (error) => isAppError(error, "unavailable"));
    const again = await after.exec(running);
    await assert.rejects(again.result, (error) => isAppError(error, "unavailable"));
    assert.equal(await after.attach("never"), undefined);
    await after.destroy();
  });

  test("a sandbox that ended is started anew by the next call, for all that ask at once", async () => {
    const spec = await host.newSpec();
    await using sandbox = await host.driver.open(spec);
    await sandbox.writeFile("kept", Buffer.from("content"));
    await killLauncher(spec);
    await pause(100);
    const [read, one, two] = await Promise.all([
      sandbox.readFile("kept"),
      run(sandbox, "echo > /tmp/a; sleep 0.1; ls /tmp"),
      run(sandbox, "echo > /tmp/b; sleep 0.1; ls /tmp"),
    ]);
    assert.equal(Buffer.from(read?.bytes ?? []).toString(), "content");
    assert.deepEqual([one.stdout, two.stdout], ["a\nb\n", "a\nb\n"]);
    await host.driver.destroy(spec.sessionId);
    await assert.rejects(run(sandbox, "true"), (error) => isAppError(error, "unavailable"));
  });

  test("a journal that was cut by a crash is still read", async () => {
    const spec = await host.newSpec();
    const operation = execSpec("echo x");
    await using before = await host.driver.open(spec);
    await collect(await before.exec(operation));
    await before.destroy();
    const [directory] = await readdir(spec.stateDir);
    assert.ok(directory);
    const path = join(spec.stateDir, directory, "journal");
    await writeFile(path, Buffer.concat([await readFile(path), Buffer.from([0x20, 0, 0, 0, 1, 4, 0])]));
    await using after = await host.driver.open(spec);
    assert.ok(await after.attach(operation.operationId));
    const next = execSpec("echo y");
    await collect(await after.exec(next));
    await after.destroy();
    await using last = await host.driver.open(spec);
    const kept = await last.attach(next.operationId);
    assert.ok(kept);
    assert.equal((await collect(kept)).stdout, "y\n");
    await last.destroy();
  });

  test("a journal that became large forgets output, never an operation", async () => {
    const spec = await host.newSpec();
    await using before = await host.driver.open(spec);
    const operations = Array.from({ length: 20 }, () => execSpec("head -c 1100000 /dev/zero; exit 9"));
    for (const operation of operations) await collect(await before.exec(operation));
    assert.ok((await stateSize(spec, "journal")) > 16 * 2 ** 20);
    await before.destroy();

    await using after = await host.driver.open(spec);
    assert.ok((await stateSize(spec, "journal")) < 10_000);
    for (const operation of operations) {
      const found = await after.attach(operation.operationId);
      assert.ok(found);
      const { stdout, result } = await collect(found);
      assert.deepEqual([stdout, result.exitCode, result.droppedBytes], ["", 9, 1_100_000]);
    }
    await after.destroy();
  });

  test("a sandbox that nobody needs ends by itself and leaves nothing", async () => {
    const spec = await host.newSpec();
    const driver = processDriver({ registryDir: host.registryDir, idleMs: 1000 });
    const sandbox = await driver.open(spec);
    const operation = execSpec("sleep 1.5");
    await sandbox.exec(operation);
    await sandbox[Symbol.asyncDispose]();
    await pause(1300);
    assert.ok((await stateFiles(spec)).includes("agent.sock"), "it ended while a command ran");
    await pause(2000);
    assert.deepEqual(await stateFiles(spec), ["cgroups", "journal", "lock", "log"]);
    assert.deepEqual(await sessionProcesses(spec), []);
    await driver.destroy(spec.sessionId);
    assert.deepEqual(await stateFiles(spec), ["journal"]);
  });
});

async function stateFiles(spec: SandboxSpec): Promise<readonly string[]> {
  const [directory] = await readdir(spec.stateDir);
  assert.ok(directory);
  return (await readdir(join(spec.stateDir, directory))).sort();
}

async function stateSize(spec: SandboxSpec, name: string): Promise<number> {
  const [directory] = await readdir(spec.stateDir);
  assert.ok(directory);
  return (await stat(join(spec.stateDir, directory, name))).size;
}

async function killLauncher(spec: SandboxSpec): Promise<void> {
  const [directory] = await readdir(spec.stateDir);
  assert.ok(directory);
  const pid = Number((await readFile(join(spec.stateDir, directory, "launcher.pid"), "utf8")).split(" ")[0]);
  assert.ok(pid > 1);
  process.kill(pid, "SIGKILL");
}

/** Processes of the host whose command line names the session's directory. */
async function sessionProcesses(spec: SandboxSpec): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.includes(spec.workspace)) found.push(line);
  }
  return found;
}
