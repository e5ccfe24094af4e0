import { strict as assert } from "node:assert";
import { systemClock } from "../../lib/clock.ts";
import { isAppError } from "../../lib/errors.ts";
import { collect, execSpec, inSandbox, newSpec, present, type SandboxCase, text, within } from "./sandbox.ts";

export function operationCases(): readonly SandboxCase[] {
  return [
    inSandbox("the same operation is not run twice", async (sandbox) => {
      const spec = execSpec("echo ran >> count.txt; echo out");
      const first = await collect(await sandbox.exec(spec));
      const second = await collect(await sandbox.exec(spec));
      assert.equal(await text(sandbox, "count.txt"), "ran\n");
      assert.equal(second.stdout, first.stdout);
      assert.deepEqual(second.result, first.result);
    }),
    inSandbox("the same operation, asked for twice at once, is not run twice", async (sandbox) => {
      const spec = execSpec("echo ran >> count.txt; sleep 0.3; echo out");
      const both = await Promise.all([
        sandbox.exec(spec).then(collect),
        sandbox.exec({ ...spec, command: "echo other >> count.txt" }).then(collect),
      ]);
      assert.equal(await text(sandbox, "count.txt"), "ran\n");
      assert.deepEqual(
        both.map((done) => done.stdout),
        ["out\n", "out\n"],
      );
    }),
    inSandbox("attach finds a finished operation with its output", async (sandbox) => {
      const spec = execSpec("echo out; echo err >&2; exit 5");
      await collect(await sandbox.exec(spec));
      const found = await collect(present(await sandbox.attach(spec.operationId)));
      assert.equal(found.stdout, "out\n");
      assert.equal(found.stderr, "err\n");
      assert.equal(found.result.exitCode, 5);
    }),
    inSandbox("attach finds a running operation with its output from the start", async (sandbox) => {
      const spec = execSpec("echo first; sleep 0.5; echo second");
      await using execution = await sandbox.exec(spec);
      await systemClock.sleep(100);
      const found = present(await sandbox.attach(spec.operationId));
      assert.equal(found.operationId, spec.operationId);
      const [attached, original] = await Promise.all([collect(found), collect(execution)]);
      assert.equal(attached.stdout, "first\nsecond\n");
      assert.equal(original.stdout, "first\nsecond\n");
    }),
    inSandbox("attach to an operation that never started finds nothing", async (sandbox) => {
      assert.equal(await sandbox.attach("op_never"), undefined);
    }),
    inSandbox("operation ids are data: dots and slashes in them do no harm", async (sandbox) => {
      const operationId = `../../x y/${"ä".repeat(10)}`;
      const done = await collect(await sandbox.exec({ ...execSpec("echo fine"), operationId }));
      assert.equal(done.stdout, "fine\n");
      assert.equal((await collect(present(await sandbox.attach(operationId)))).stdout, "fine\n");
    }),
    {
      name: "an operation that was under way when its sandbox ended does not count as never started",
      skip: (capabilities) =>
        capabilities.survivesRestart ? undefined : "it promises nothing about earlier sandboxes",
      async run(subject) {
        const spec = await newSpec(subject);
        const operation = execSpec("sleep 60");
        const sandbox = await subject.driver.open(spec);
        const execution = await sandbox.exec(operation);
        execution.result.catch(() => undefined);
        await sandbox.destroy();
        await using again = await subject.driver.open(spec);
        try {
          const found = present(await again.attach(operation.operationId));
          await assert.rejects(within(5000, found.result), (error) => isAppError(error, "unavailable"));
        } finally {
          await again.destroy();
        }
      },
    },
  ];
}
