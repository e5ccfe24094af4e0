import { strict as assert } from "node:assert";
import { systemClock } from "../../lib/clock.ts";
import type { Sandbox } from "../../sandboxes/sandbox.ts";
import {
  collect,
  execSpec,
  inSandbox,
  needsRealPrograms,
  run,
  type SandboxCase,
  text,
  within,
} from "./sandbox.ts";

export function limitCases(): readonly SandboxCase[] {
  return [
    inSandbox("a command that takes too long is ended", async (sandbox) => {
      const done = await within(10_000, run(sandbox, "sleep 60", { timeoutMs: 300 }));
      assert.equal(done.result.timedOut, true);
      assert.equal(done.result.exitCode, null);
      assert.ok(done.result.durationMs >= 250 && done.result.durationMs < 8000);
    }),
    inSandbox("a busy loop is ended, and the sandbox goes on", async (sandbox) => {
      const done = await within(10_000, run(sandbox, "while true; do :; done", { timeoutMs: 400 }));
      assert.ok(done.result.timedOut || done.result.exitCode !== 0, "it ended well");
      assert.equal((await run(sandbox, "echo alive")).stdout, "alive\n");
    }),
    inSandbox(
      "output until the time-out is kept",
      async (sandbox) => {
        const done = await within(10_000, run(sandbox, "echo before; sleep 60", { timeoutMs: 1500 }));
        assert.equal(done.stdout, "before\n");
        assert.equal(done.result.timedOut, true);
      },
      needsRealPrograms,
    ),
    inSandbox("kill ends a command", async (sandbox) => {
      await using execution = await sandbox.exec(execSpec("sleep 60"));
      await within(5000, execution.kill());
      const done = await within(5000, collect(execution));
      assert.equal(done.result.killed, true);
      assert.equal(done.result.timedOut, false);
      assert.equal(done.result.exitCode, null);
    }),
    inSandbox("kill after the end changes nothing", async (sandbox) => {
      await using execution = await sandbox.exec(execSpec("exit 4"));
      const done = await collect(execution);
      await execution.kill();
      await execution.kill();
      assert.equal(done.result.exitCode, 4);
      assert.equal((await execution.result).killed, false);
    }),
    inSandbox("killing one command leaves the others alone", async (sandbox) => {
      await using victim = await sandbox.exec(execSpec("sleep 60"));
      const other = run(sandbox, "sleep 0.5; echo survived");
      await victim.kill();
      assert.equal((await within(10_000, other)).stdout, "survived\n");
    }),
    inSandbox(
      "kill ends daemons that the command has started",
      async (sandbox) => {
        await using execution = await sandbox.exec(execSpec(`${daemon("alive")}; sleep 60`));
        await until(() => exists(sandbox, "alive"));
        await within(5000, execution.kill());
        await stopsGrowing(sandbox, "alive");
      },
      needsRealPrograms,
    ),
    inSandbox(
      "a time-out ends daemons that the command has started",
      async (sandbox) => {
        await within(10_000, run(sandbox, `${daemon("alive")}; sleep 60`, { timeoutMs: 1500 }));
        await stopsGrowing(sandbox, "alive");
      },
      needsRealPrograms,
    ),
    inSandbox(
      "a background child does not hold up the end of its command",
      async (sandbox) => {
        const done = await within(5000, run(sandbox, "sleep 30 & echo started"));
        assert.equal(done.stdout, "started\n");
        assert.equal(done.result.exitCode, 0);
      },
      needsRealPrograms,
    ),
    inSandbox(
      "a slow reader slows the command down instead of filling memory",
      async (sandbox) => {
        await using execution = await sandbox.exec(execSpec("cat /dev/zero"));
        const reader = execution.output[Symbol.asyncIterator]();
        await reader.next();
        const before = heldBytes();
        await systemClock.sleep(700);
        const grown = heldBytes() - before;
        await execution.kill();
        assert.ok(grown < 24_000_000, `${grown} bytes were held for a reader that stood still`);
      },
      needsRealPrograms,
    ),
    inSandbox(
      "a reader that keeps up gets every byte of a large output",
      async (sandbox) => {
        await using execution = await sandbox.exec(
          execSpec("head -c 30000000 /dev/zero", { timeoutMs: 30_000 }),
        );
        let total = 0;
        for await (const chunk of execution.output) total += chunk.bytes.length;
        assert.equal(total, 30_000_000);
        assert.equal((await execution.result).exitCode, 0);
      },
      needsRealPrograms,
    ),
    inSandbox(
      "a command whose output nobody reads goes on when its execution is disposed of",
      async (sandbox) => {
        const execution = await sandbox.exec(
          execSpec("seq 1 400000; echo done > done.txt", { timeoutMs: 30_000 }),
        );
        await execution[Symbol.asyncDispose]();
        assert.equal((await within(30_000, execution.result)).exitCode, 0);
        assert.equal(await text(sandbox, "done.txt"), "done\n");
      },
    ),
  ];
}

/** A process that has left its session and its parent, and shows by a growing file that it lives. */
function daemon(file: string): string {
  return `(setsid bash -c 'while :; do echo x >> ${file}; sleep 0.05; done' > /dev/null 2>&1 < /dev/null &)`;
}

async function stopsGrowing(sandbox: Sandbox, path: string): Promise<void> {
  const size = (await sandbox.stat(path))?.size;
  await systemClock.sleep(400);
  assert.equal((await sandbox.stat(path))?.size, size, "something that the command started is still alive");
}

const exists = async (sandbox: Sandbox, path: string): Promise<boolean> =>
  (await sandbox.stat(path)) !== undefined;

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = systemClock.monotonic() + 5000;
  while (!(await condition())) {
    assert.ok(systemClock.monotonic() < deadline, "it did not happen within 5 s");
    await systemClock.sleep(20);
  }
}

/** Bytes outside of the garbage-collected heap, where buffers live. */
const heldBytes = (): number => process.memoryUsage().arrayBuffers;
