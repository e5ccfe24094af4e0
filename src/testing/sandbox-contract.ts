import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as tick } from "node:timers/promises";
import { promisify } from "node:util";
import { systemClock } from "../lib/clock.ts";
import { type ErrorCode, isAppError } from "../lib/errors.ts";
import type {
  ExecResult,
  ExecSpec,
  Execution,
  Sandbox,
  SandboxCapabilities,
  SandboxDriver,
  SandboxSpec,
} from "../sandboxes/sandbox.ts";

/**
 * What every sandbox driver must do, as plain cases for any test runner:
 *
 * ```ts
 * for (const c of sandboxContract) test.skipIf(c.skip?.(capabilities))(c.name, () => c.run(subject));
 * ```
 *
 * Commands use only what bash has built in and `cat`, `seq`, `sleep`, unless the case is skipped without real programs.
 */
export interface SandboxCase {
  readonly name: string;
  /** Why this case says nothing about a driver with these capabilities; undefined when it must pass. */
  readonly skip?: (capabilities: SandboxCapabilities) => string | undefined;
  readonly run: (subject: SandboxSubject) => Promise<void>;
}

export interface SandboxSubject {
  readonly driver: SandboxDriver;
  /** An existing directory on the host. Each case makes its own directories in it; the caller removes it afterwards. */
  readonly directory: string;
}

export const sandboxContract: readonly SandboxCase[] = [
  ...commandCases(),
  ...limitCases(),
  ...operationCases(),
  ...fileCases(),
  ...confinementCases(),
  ...lifeCases(),
];

function commandCases(): readonly SandboxCase[] {
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

function limitCases(): readonly SandboxCase[] {
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
        const done = await within(10_000, run(sandbox, "echo before; sleep 60", { timeoutMs: 500 }));
        assert.equal(done.stdout, "before\n");
        assert.equal(done.result.timedOut, true);
      },
      needsRealPrograms,
    ),
    inSandbox("kill ends a command", async (sandbox) => {
      await using execution = await sandbox.exec(execSpec("sleep 60"));
      await within(5000, execution.kill());
      const done = await within(1000, collect(execution));
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
        await within(10_000, run(sandbox, `${daemon("alive")}; sleep 60`, { timeoutMs: 500 }));
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

function operationCases(): readonly SandboxCase[] {
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

function fileCases(): readonly SandboxCase[] {
  return [
    inSandbox("a file that was written is read back, byte for byte", async (sandbox) => {
      const content = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256);
      await sandbox.writeFile("binary.dat", content);
      const read = present(await sandbox.readFile("binary.dat"));
      assert.equal(read.size, content.length);
      assert.deepEqual(Buffer.from(read.bytes), Buffer.from(content));
    }),
    inSandbox("an empty file is a file", async (sandbox) => {
      await sandbox.writeFile("empty", new Uint8Array());
      const read = present(await sandbox.readFile("empty"));
      assert.equal(read.size, 0);
      assert.equal(read.bytes.length, 0);
    }),
    inSandbox("a range of a file is read, cut at its end", async (sandbox) => {
      await sandbox.writeFile("ten", bytes("0123456789"));
      const range = async (offset: number, length: number) => {
        const read = present(await sandbox.readFile("ten", { offset, length }));
        assert.equal(read.size, 10);
        return Buffer.from(read.bytes).toString();
      };
      assert.equal(await range(0, 4), "0123");
      assert.equal(await range(3, 4), "3456");
      assert.equal(await range(8, 100), "89");
      assert.equal(await range(10, 5), "");
      assert.equal(await range(50, 5), "");
    }),
    inSandbox("writing replaces a file and makes parent directories", async (sandbox) => {
      await sandbox.writeFile("a/b/c.txt", bytes("a longer first text"));
      await sandbox.writeFile("a/b/c.txt", bytes("second"));
      assert.equal(await text(sandbox, "a/b/c.txt"), "second");
      assert.deepEqual(
        (await sandbox.listDirectory("a/b"))?.map((entry) => entry.name),
        ["c.txt"],
        "something else was left behind",
      );
    }),
    inSandbox("appending adds to the end, and starts a file", async (sandbox) => {
      await sandbox.writeFile("logs/x.log", bytes("one\n"), { append: true });
      await sandbox.writeFile("logs/x.log", bytes("two\n"), { append: true });
      assert.equal(await text(sandbox, "logs/x.log"), "one\ntwo\n");
    }),
    inSandbox("a reader during a rewrite sees the old or the new content", async (sandbox) => {
      const contents = ["a", "b"].map((letter) => bytes(letter.repeat(200_000)));
      await sandbox.writeFile("big", contents[0] ?? bytes(""));
      let writing = true;
      const writer = (async () => {
        for (let i = 0; i < 20; i++) await sandbox.writeFile("big", contents[i % 2] ?? bytes(""));
        writing = false;
      })();
      while (writing) {
        const read = present(await sandbox.readFile("big")).bytes;
        assert.equal(read.length, 200_000);
        assert.equal(read[0], read[199_999]);
      }
      await writer;
    }),
    inSandbox(
      "a rewritten file keeps its permission to be executed",
      async (sandbox) => {
        await run(sandbox, "printf 'echo old' > tool; chmod 755 tool");
        await sandbox.writeFile("tool", bytes("#!/bin/bash\necho new\n"));
        assert.equal((await run(sandbox, "./tool")).stdout, "new\n");
      },
      needsRealPrograms,
    ),
    inSandbox("absolute paths below the root name the same files", async (sandbox) => {
      await sandbox.writeFile(`${sandbox.root}/x/y`, bytes("here"));
      assert.equal(await text(sandbox, "x/y"), "here");
      assert.equal(await text(sandbox, `${sandbox.root}/x/../x/./y`), "here");
    }),
    inSandbox("names may hold blanks, quotes, newlines and any letter", async (sandbox) => {
      const name = "dir with 'quotes'/line\nbreak-ä-日本-$(x)";
      await sandbox.writeFile(name, bytes("odd"));
      assert.equal(await text(sandbox, name), "odd");
      const listed = present(await sandbox.listDirectory("dir with 'quotes'"));
      assert.deepEqual(
        listed.map((entry) => entry.name),
        ["line\nbreak-ä-日本-$(x)"],
      );
    }),
    inSandbox("stat tells files from directories", async (sandbox) => {
      const before = systemClock.now();
      await sandbox.writeFile("d/f", bytes("12345"));
      const file = present(await sandbox.stat("d/f"));
      assert.equal(file.type, "file");
      assert.equal(file.size, 5);
      assert.ok(Number.isInteger(file.modifiedAt) && Math.abs(file.modifiedAt - before) < 60_000);
      assert.equal((await sandbox.stat("d"))?.type, "directory");
      assert.equal((await sandbox.stat("."))?.type, "directory");
      assert.equal(await sandbox.stat("d/nothing"), undefined);
      assert.equal(await sandbox.stat("d/f/below-a-file"), undefined);
    }),
    inSandbox("listing shows the entries of one directory by name", async (sandbox, spec) => {
      await sandbox.writeFile("dir/b.txt", bytes("123"));
      await sandbox.writeFile("dir/a/nested.txt", bytes("x"));
      await symlink("b.txt", join(spec.workspace, "dir", "c"));
      const entries = present(await sandbox.listDirectory("dir"));
      assert.deepEqual(
        entries.map((entry) => [entry.name, entry.type]),
        [
          ["a", "directory"],
          ["b.txt", "file"],
          ["c", "symlink"],
        ],
      );
      assert.equal(entries[1]?.size, 3);
      assert.deepEqual(await sandbox.listDirectory("nothing"), undefined);
    }),
    inSandbox("what does not exist is undefined, not an error", async (sandbox) => {
      assert.equal(await sandbox.readFile("nothing"), undefined);
      assert.equal(await sandbox.readFile("no/such/dir/file"), undefined);
      assert.equal(await sandbox.deleteFile("nothing"), false);
      assert.equal(await sandbox.deleteFile("no/such/dir", { recursive: true }), false);
    }),
    inSandbox("files and directories are deleted", async (sandbox) => {
      await sandbox.writeFile("d/e/f", bytes("x"));
      assert.equal(await sandbox.deleteFile("d/e/f"), true);
      assert.equal(await sandbox.readFile("d/e/f"), undefined);
      await sandbox.writeFile("d/e/g", bytes("x"));
      await fails(["invalid_input"], sandbox.deleteFile("d"));
      assert.equal(await sandbox.deleteFile("d", { recursive: true }), true);
      assert.equal(await sandbox.stat("d"), undefined);
    }),
    inSandbox("the workspace itself cannot be deleted or written", async (sandbox) => {
      await sandbox.writeFile("keep", bytes("x"));
      await fails(["invalid_input", "forbidden"], sandbox.deleteFile(".", { recursive: true }));
      await fails(["invalid_input", "forbidden"], sandbox.deleteFile(sandbox.root, { recursive: true }));
      await fails(["invalid_input", "forbidden"], sandbox.writeFile(".", bytes("x")));
      assert.equal(await text(sandbox, "keep"), "x");
    }),
    inSandbox("directories are not files, and files are not directories", async (sandbox) => {
      await sandbox.writeFile("d/f", bytes("x"));
      await fails(["invalid_input"], sandbox.readFile("d"), /d/);
      await fails(["invalid_input"], sandbox.writeFile("d", bytes("y")));
      await fails(["invalid_input"], sandbox.writeFile("d/f/g", bytes("y")));
      await fails(["invalid_input"], sandbox.listDirectory("d/f"));
      await fails(["invalid_input"], sandbox.readFile("bad\0name"));
    }),
    inSandbox("a FIFO is refused at once", async (sandbox, spec) => {
      await promisify(execFile)("mkfifo", ["-m", "666", join(spec.workspace, "pipe")]);
      await within(2000, fails(["invalid_input"], sandbox.readFile("pipe"), /pipe/));
      await within(2000, fails(["invalid_input"], sandbox.writeFile("pipe", bytes("x"), { append: true })));
      assert.equal((await within(2000, sandbox.stat("pipe")))?.type, "other");
    }),
  ];
}

function confinementCases(): readonly SandboxCase[] {
  return [
    withOutside("file operations do not leave the workspace by ..", async (sandbox, outside) => {
      for (const path of [
        `../${outside.name}/secret`,
        `${sandbox.root}/../${outside.name}/secret`,
        "..",
        "/",
      ]) {
        await refusesAll(sandbox, path);
      }
      await outside.isUntouched();
    }),
    withOutside(
      "file operations do not leave the workspace by an absolute path",
      async (sandbox, outside) => {
        for (const path of [outside.secret, "/etc/passwd", `${sandbox.root}-other/x`]) {
          await refusesAll(sandbox, path);
        }
        await outside.isUntouched();
      },
    ),
    withOutside(
      "file operations do not leave the workspace by a symbolic link",
      async (sandbox, outside, spec) => {
        await symlink(outside.secret, join(spec.workspace, "file-link"));
        await symlink(outside.directory, join(spec.workspace, "dir-link"));
        await symlink(`../${outside.name}/secret`, join(spec.workspace, "relative-link"));
        await symlink("dir-link", join(spec.workspace, "link-to-link"));
        for (const path of ["file-link", "dir-link/secret", "relative-link", "link-to-link/secret"]) {
          await fails(refused, sandbox.readFile(path));
          await fails(refused, sandbox.stat(path));
          await fails(refused, sandbox.writeFile(path, bytes("overwritten")));
          await fails(refused, sandbox.writeFile(path, bytes("overwritten"), { append: true }));
        }
        await fails(refused, sandbox.listDirectory("dir-link"));
        await fails(refused, sandbox.writeFile("dir-link/new", bytes("new")));
        await fails(refused, sandbox.deleteFile("dir-link/secret"));
        await outside.isUntouched();
      },
    ),
    withOutside("a link is deleted itself, not what it points to", async (sandbox, outside, spec) => {
      // Made from inside: what the host makes in an open sandbox may belong to somebody else.
      await sandbox.writeFile("tree/file", bytes("x"));
      await symlink(outside.directory, join(spec.workspace, "tree", "dir-link"));
      await symlink(outside.secret, join(spec.workspace, "file-link"));
      assert.equal(await sandbox.deleteFile("file-link"), true);
      assert.equal(await sandbox.deleteFile("tree", { recursive: true }), true);
      await outside.isUntouched();
    }),
    inSandbox("links that stay in the workspace are followed", async (sandbox, spec) => {
      await sandbox.writeFile("real/file", bytes("content"));
      await symlink("real", join(spec.workspace, "link"));
      await symlink("../real/file", join(spec.workspace, "real", "again"));
      assert.equal(await text(sandbox, "link/file"), "content");
      assert.equal(await text(sandbox, "real/again"), "content");
      await sandbox.writeFile("link/file", bytes("changed"));
      assert.equal(await text(sandbox, "real/file"), "changed");
      assert.equal((await sandbox.stat("link"))?.type, "directory");
    }),
    inSandbox("a link that points nowhere or at itself does no harm", async (sandbox, spec) => {
      await symlink("loop", join(spec.workspace, "loop"));
      await symlink("nowhere", join(spec.workspace, "dangling"));
      await fails(["invalid_input", "forbidden"], sandbox.readFile("loop"));
      assert.equal(await sandbox.readFile("dangling"), undefined);
    }),
    withOutside("a link swapped during the call does not help", async (sandbox, outside, spec) => {
      const slot = join(spec.workspace, "slot");
      const spare = join(spec.workspace, "spare");
      await mkdir(slot);
      await writeFile(join(slot, "secret"), "inside");
      await symlink(outside.directory, spare);
      const swapping = new AbortController();
      const swapper = swapForever(slot, spare, swapping.signal);
      try {
        for (let i = 0; i < 150; i++) {
          const [read] = await Promise.allSettled([
            sandbox.readFile("slot/secret"),
            sandbox.writeFile("slot/secret", bytes("inside")),
            sandbox.writeFile("slot/planted", bytes("inside"), { append: true }),
            sandbox.deleteFile("slot/planted"),
          ]);
          if (read.status === "rejected") assert.ok(isAppError(read.reason), String(read.reason));
          else if (read.value) assert.notEqual(Buffer.from(read.value.bytes).toString(), "outside");
        }
      } finally {
        swapping.abort();
        await swapper;
      }
      await outside.isUntouched();
    }),
  ];
}

function lifeCases(): readonly SandboxCase[] {
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
        await sandbox[Symbol.asyncDispose]();
      },
    },
  ];
}

// ---- cases are made of these ----

type Skip = (capabilities: SandboxCapabilities) => string | undefined;

function needsRealPrograms(capabilities: SandboxCapabilities): string | undefined {
  return capabilities.realPrograms ? undefined : "it runs no real programs";
}

/** A case that gets a new sandbox, which is destroyed afterwards. */
function inSandbox(
  name: string,
  check: (sandbox: Sandbox, spec: SandboxSpec, subject: SandboxSubject) => Promise<void>,
  skip?: Skip,
): SandboxCase {
  return {
    name,
    ...(skip === undefined ? {} : { skip }),
    async run(subject) {
      const spec = await newSpec(subject);
      await using sandbox = await subject.driver.open(spec);
      try {
        await check(sandbox, spec, subject);
      } finally {
        await sandbox.destroy();
      }
    },
  };
}

interface Outside {
  /** A directory on the host, beside the workspace. */
  readonly directory: string;
  readonly name: string;
  /** A file in it that says "outside". */
  readonly secret: string;
  isUntouched(): Promise<void>;
}

/** A case with a directory beside the workspace that nobody may see or change. */
function withOutside(
  name: string,
  check: (sandbox: Sandbox, outside: Outside, spec: SandboxSpec) => Promise<void>,
): SandboxCase {
  return inSandbox(name, async (sandbox, spec) => {
    const name = "outside";
    const directory = join(spec.workspace, "..", name);
    const secret = join(directory, "secret");
    // Open to everybody, so that only the sandbox can be what protects it.
    await mkdir(directory, { mode: 0o777 });
    await writeFile(secret, "outside", { mode: 0o666 });
    await check(
      sandbox,
      {
        directory,
        name,
        secret,
        async isUntouched() {
          assert.deepEqual(await readdir(directory), ["secret"]);
          assert.equal(await readFile(secret, "utf8"), "outside");
        },
      },
      spec,
    );
  });
}

let sessions = 0;

async function newSpec(subject: SandboxSubject): Promise<SandboxSpec> {
  const home = await mkdtemp(join(subject.directory, "session-"));
  const workspace = join(home, "workspace");
  const stateDir = join(home, "state");
  await mkdir(workspace);
  await mkdir(stateDir);
  sessions += 1;
  return {
    sessionId: `ses_contract_${process.pid}_${sessions}`,
    workspace,
    stateDir,
    limits: { memoryBytes: 512 * 2 ** 20, processes: 128, fileSizeBytes: 256 * 2 ** 20, cpus: 1 },
  };
}

let operations = 0;

function execSpec(command: string, options: Partial<ExecSpec> = {}): ExecSpec {
  operations += 1;
  return { operationId: `op_contract_${process.pid}_${operations}`, command, timeoutMs: 20_000, ...options };
}

interface Done {
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Uint8Array;
  readonly result: ExecResult;
}

async function run(sandbox: Sandbox, command: string, options: Partial<ExecSpec> = {}): Promise<Done> {
  return collect(await sandbox.exec(execSpec(command, options)));
}

async function collect(execution: Execution): Promise<Done> {
  const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const chunk of execution.output) chunks[chunk.stream].push(chunk.bytes);
  const result = await execution.result;
  await execution[Symbol.asyncDispose]();
  const stdoutBytes = Buffer.concat(chunks.stdout);
  return {
    stdout: stdoutBytes.toString(),
    stderr: Buffer.concat(chunks.stderr).toString(),
    stdoutBytes,
    result,
  };
}

async function firstChunk(execution: Execution): Promise<string> {
  for await (const chunk of execution.output) return Buffer.from(chunk.bytes).toString();
  throw new assert.AssertionError({ message: "the command ended without output" });
}

const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

async function text(sandbox: Sandbox, path: string): Promise<string> {
  const read = await sandbox.readFile(path);
  assert.ok(read !== undefined, `${path} does not exist`);
  return Buffer.from(read.bytes).toString();
}

const exists = async (sandbox: Sandbox, path: string): Promise<boolean> =>
  (await sandbox.stat(path)) !== undefined;

function present<T>(value: T | undefined): T {
  assert.ok(value !== undefined, "it was not found");
  return value;
}

const refused: readonly ErrorCode[] = ["forbidden"];

async function refusesAll(sandbox: Sandbox, path: string): Promise<void> {
  await fails(refused, sandbox.readFile(path));
  await fails(refused, sandbox.stat(path));
  await fails(refused, sandbox.listDirectory(path));
  await fails(refused, sandbox.writeFile(path, bytes("overwritten")));
  await fails(refused, sandbox.writeFile(path, bytes("overwritten"), { append: true }));
  await fails(refused, sandbox.deleteFile(path, { recursive: true }));
}

async function fails(codes: readonly ErrorCode[], work: Promise<unknown>, message?: RegExp): Promise<void> {
  const outcome = await work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!("error" in outcome)) assert.fail(`expected ${codes.join(" or ")}, but it worked`);
  assert.ok(isAppError(outcome.error), `not an AppError: ${outcome.error}`);
  assert.ok(codes.includes(outcome.error.code), `${outcome.error.code}: ${outcome.error.message}`);
  if (message) assert.match(outcome.error.message, message);
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

async function swapForever(a: string, b: string, signal: AbortSignal): Promise<void> {
  const third = `${b}-swap`;
  while (!signal.aborted) {
    await rename(a, third);
    // A write that comes between the two makes its parent directory; away with it.
    while (!(await renamed(b, a))) await rm(a, { recursive: true, force: true }).catch(() => undefined);
    await rename(third, b);
    await tick();
  }
}

const renamed = (from: string, to: string): Promise<boolean> =>
  rename(from, to).then(
    () => true,
    () => false,
  );

/** Bytes outside of the garbage-collected heap, where buffers live. */
const heldBytes = (): number => process.memoryUsage().arrayBuffers;

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = systemClock.monotonic() + 5000;
  while (!(await condition())) {
    assert.ok(systemClock.monotonic() < deadline, "it did not happen within 5 s");
    await systemClock.sleep(20);
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = systemClock.sleep(ms, stop.signal).then(
    () => assert.fail(`not done within ${ms} ms`),
    () => undefined as never,
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    stop.abort();
  }
}
