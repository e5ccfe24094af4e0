import { strict as assert } from "node:assert";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Execution } from "../../sandboxes/sandbox.ts";
import {
  bytes,
  execSpec,
  fails,
  inSandbox,
  needsRealPrograms,
  run,
  type SandboxCase,
  text,
  within,
} from "./sandbox.ts";

export function commandCases(): readonly SandboxCase[] {
  return [
    inSandbox("a command's output and exit code arrive, by stream", async (sandbox) => {
      const done = await run(sandbox, "echo out; echo err >&2; exit 3");
      assert.equal(done.stdout, "out\n");
      assert.equal(done.stderr, "err\n");
      assert.equal(done.result.exitCode, 3);
      assert.equal(done.result.signal, null);
      assert.equal(done.result.timedOut, false);
      assert.equal(done.result.killed, false);
      assert.ok(done.result.durationMs >= 0);
      assert.equal(done.result.droppedBytes, 0);
    }),
    inSandbox("output is UTF-8", async (sandbox) => {
      assert.equal((await run(sandbox, "echo 'ä 日本 🎉'")).stdout, "ä 日本 🎉\n");
    }),
    inSandbox(
      "output is bytes, not text",
      async (sandbox) => {
        const done = await run(sandbox, "printf '\\377\\000\\001\\303\\244'");
        assert.deepEqual([...done.stdoutBytes], [0xff, 0x00, 0x01, 0xc3, 0xa4]);
      },
      needsRealPrograms,
    ),
    inSandbox("a command that cannot be found ends with 127", async (sandbox) => {
      const done = await run(sandbox, "no-such-command-anywhere");
      assert.equal(done.result.exitCode, 127);
      assert.match(done.stderr, /no-such-command-anywhere/);
    }),
    inSandbox("a script with a syntax error ends with a non-zero status", async (sandbox) => {
      const done = await run(sandbox, "if then");
      assert.notEqual(done.result.exitCode, 0);
      assert.notEqual(done.stderr, "");
    }),
    inSandbox(
      "the signal that ended a command is named",
      async (sandbox) => {
        const done = await run(sandbox, "kill -9 $$");
        assert.equal(done.result.exitCode, null);
        assert.equal(done.result.signal, "SIGKILL");
        assert.equal(done.result.killed, false);
      },
      needsRealPrograms,
    ),
    inSandbox("standard input is what was given, and ends", async (sandbox) => {
      const done = await run(sandbox, "cat", { stdin: bytes("zeile ä\nlast") });
      assert.equal(done.stdout, "zeile ä\nlast");
    }),
    inSandbox("standard input of a megabyte arrives whole", async (sandbox) => {
      const stdin = new Uint8Array(1_000_000).fill(0x78);
      const done = await run(sandbox, "wc -c", { stdin });
      assert.equal(done.stdout.trim(), "1000000");
    }),
    inSandbox("a command that does not read its input is not disturbed by it", async (sandbox) => {
      const done = await run(sandbox, "echo ok", { stdin: new Uint8Array(1_000_000) });
      assert.equal(done.stdout, "ok\n");
      assert.equal(done.result.exitCode, 0);
    }),
    inSandbox("without input a reader gets its end at once", async (sandbox) => {
      const done = await run(sandbox, "cat; echo end");
      assert.equal(done.stdout, "end\n");
    }),
    inSandbox("commands start in the workspace, or in cwd", async (sandbox) => {
      assert.equal((await run(sandbox, "pwd")).stdout.trim(), sandbox.root);
      await sandbox.writeFile("deep/er/file", bytes("x"));
      assert.equal((await run(sandbox, "pwd", { cwd: "deep/er" })).stdout.trim(), `${sandbox.root}/deep/er`);
      const absolute = await run(sandbox, "pwd", { cwd: `${sandbox.root}/deep` });
      assert.equal(absolute.stdout.trim(), `${sandbox.root}/deep`);
    }),
    inSandbox("a cwd that is not there is an error that names it", async (sandbox) => {
      await fails(["invalid_input"], run(sandbox, "pwd", { cwd: "nowhere" }), /nowhere/);
    }),
    inSandbox("variables are passed as they are", async (sandbox) => {
      const value = "a b\n'\"$HOME ä";
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell variable
      const done = await run(sandbox, 'printf %s "${GIVEN}"', { env: { GIVEN: value } });
      assert.equal(done.stdout, value);
    }),
    inSandbox(
      "a command sees the files of the workspace, and leaves its own there",
      async (sandbox, spec) => {
        await sandbox.writeFile("in.txt", bytes("hello"));
        await run(sandbox, "cat in.txt > out.txt");
        assert.equal(await text(sandbox, "out.txt"), "hello");
        assert.equal(await readFile(join(spec.workspace, "out.txt"), "utf8"), "hello");
      },
    ),
    inSandbox("variables and directory of one command do not reach the next", async (sandbox) => {
      await run(sandbox, "export LEFT=over; mkdir -p sub; cd sub");
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell variable
      const done = await run(sandbox, 'echo "[${LEFT}]"; pwd');
      assert.equal(done.stdout, `[]\n${sandbox.root}\n`);
    }),
    inSandbox("commands run at the same time", async (sandbox) => {
      // The first ends only when the second has run.
      const waiting = run(sandbox, "while [ ! -e flag ]; do sleep 0.05; done; echo seen");
      const [first, second] = await Promise.all([waiting, run(sandbox, "echo > flag; echo set")]);
      assert.equal(first.stdout, "seen\n");
      assert.equal(second.stdout, "set\n");
    }),
    inSandbox(
      "output arrives while the command runs",
      async (sandbox) => {
        await using execution = await sandbox.exec(execSpec("echo first; sleep 20"));
        const first = await within(5000, firstChunk(execution));
        assert.equal(first, "first\n");
        await execution.kill();
      },
      needsRealPrograms,
    ),
  ];
}

async function firstChunk(execution: Execution): Promise<string> {
  for await (const chunk of execution.output) return Buffer.from(chunk.bytes).toString();
  throw new assert.AssertionError({ message: "the command ended without output" });
}
