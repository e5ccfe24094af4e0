import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { readdir, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { systemClock } from "../../lib/clock.ts";
import {
  bytes,
  fails,
  inSandbox,
  needsRealPrograms,
  present,
  run,
  type SandboxCase,
  text,
  within,
} from "./sandbox.ts";

export function fileCases(): readonly SandboxCase[] {
  return [
    inSandbox("a file that was written is read back, byte for byte", async (sandbox) => {
      const content = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256);
      await sandbox.writeFile("binary.dat", content);
      const read = present(await sandbox.readFile("binary.dat"));
      assert.equal(read.size, content.length);
      assert.deepEqual(Buffer.from(read.bytes), Buffer.from(content));
    }),
    inSandbox("a new file is seen when it is whole, and nothing else is ever", async (sandbox, spec) => {
      const seen = new Set<string>();
      const sizes = new Set<number>();
      let writing = true;
      const watching = (async () => {
        while (writing) {
          for (const name of await readdir(spec.workspace)) {
            seen.add(name);
            sizes.add((await stat(join(spec.workspace, name))).size);
          }
        }
      })();
      const content = new Uint8Array(3_000_000);
      const names = Array.from({ length: 12 }, (_, i) => `file${i}`);
      for (const name of names) await sandbox.writeFile(name, content);
      writing = false;
      await watching;
      assert.deepEqual(
        [...seen].filter((name) => !names.includes(name)),
        [],
      );
      assert.deepEqual([...sizes], [content.length]);
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
