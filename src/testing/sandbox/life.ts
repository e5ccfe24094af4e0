import { strict as assert } from "node:assert";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isAppError } from "../../lib/errors.ts";
import { bytes, execSpec, fails, newSpec, refused, run, type SandboxCase, within } from "./sandbox.ts";

export function lifeCases(): readonly SandboxCase[] {
  return [
    {
      name: "probe says yes, with the capabilities of its sandboxes",
      async run(subject) {
        const probe = await subject.driver.probe();
        assert.equal(probe.available, true, probe.problem?.reason);
        assert.equal(probe.problem, null);
        assert.equal(probe.kind, subject.driver.kind);
        await using sandbox = await subject.driver.open(await newSpec(subject));
        assert.deepEqual(sandbox.capabilities, probe.capabilities);
        assert.equal(sandbox.kind, probe.kind);
        await sandbox.destroy();
      },
    },
    {
      name: "two sandboxes do not see each other's files",
      async run(subject) {
        const [mine, theirs] = [await newSpec(subject), await newSpec(subject)];
        await using a = await subject.driver.open(mine);
        await using b = await subject.driver.open(theirs);
        await a.writeFile("private", bytes("mine"));
        assert.equal(await b.readFile("private"), undefined);
        await fails(refused, b.readFile(join(mine.workspace, "private")));
        await a.destroy();
        assert.equal((await run(b, "echo still here")).stdout, "still here\n");
        await b.destroy();
      },
    },
    {
      name: "a command does not see the files of another sandbox",
      skip: (capabilities) =>
        capabilities.isolation === "none" ? "commands are not isolated from the host" : undefined,
      async run(subject) {
        const [mine, theirs] = [await newSpec(subject), await newSpec(subject)];
        await writeFile(join(mine.workspace, "private"), "mine");
        await writeFile(join(subject.directory, "host-file"), "host", { mode: 0o666 });
        await using sandbox = await subject.driver.open(theirs);
        try {
          const script = [join(mine.workspace, "private"), join(subject.directory, "host-file")]
            .map((path) => `cat '${path}'; echo x > '${path}'`)
            .join("; ");
          assert.equal((await run(sandbox, script)).stdout, "");
          assert.equal(await readFile(join(subject.directory, "host-file"), "utf8"), "host");
        } finally {
          await sandbox.destroy();
        }
      },
    },
    {
      name: "destroy ends what runs and leaves the workspace",
      async run(subject) {
        const spec = await newSpec(subject);
        const sandbox = await subject.driver.open(spec);
        await sandbox.writeFile("kept", bytes("content"));
        const execution = await sandbox.exec(execSpec("sleep 60"));
        const settled = execution.result.then(
          (result) => result.killed,
          (error) => isAppError(error, "unavailable"),
        );
        await within(5000, sandbox.destroy());
        assert.equal(await within(2000, settled), true);
        assert.deepEqual(await readdir(spec.workspace), ["kept"]);
        await sandbox.destroy();
        await sandbox[Symbol.asyncDispose]();
      },
    },
    {
      name: "a sandbox that was destroyed refuses work",
      async run(subject) {
        const sandbox = await subject.driver.open(await newSpec(subject));
        await sandbox.destroy();
        await fails(["unavailable"], sandbox.exec(execSpec("echo x")));
      },
    },
    {
      name: "a sandbox that is opened again finds the files",
      async run(subject) {
        const spec = await newSpec(subject);
        const first = await subject.driver.open(spec);
        await run(first, "echo kept > file");
        await first.destroy();
        await using second = await subject.driver.open(spec);
        assert.equal((await run(second, "cat file")).stdout, "kept\n");
        await second.destroy();
      },
    },
    {
      name: "the driver destroys a session's sandbox by its id, and does not mind one that is not there",
      async run(subject) {
        const spec = await newSpec(subject);
        const sandbox = await subject.driver.open(spec);
        const execution = await sandbox.exec(execSpec("sleep 60"));
        const settled = execution.result.catch(() => undefined);
        await subject.driver.destroy(spec.sessionId);
        await within(5000, settled);
        await subject.driver.destroy(spec.sessionId);
        await subject.driver.destroy("ses_never_opened");
        await subject.driver.destroy("ses_never_opened", spec.stateDir);
        await sandbox[Symbol.asyncDispose]();
      },
    },
  ];
}
