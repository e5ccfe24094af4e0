import { strict as assert } from "node:assert";
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as tick } from "node:timers/promises";
import { isAppError } from "../../lib/errors.ts";
import type { Sandbox, SandboxSpec } from "../../sandboxes/sandbox.ts";
import { bytes, fails, inSandbox, refused, type SandboxCase, text } from "./sandbox.ts";

export function confinementCases(): readonly SandboxCase[] {
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

async function refusesAll(sandbox: Sandbox, path: string): Promise<void> {
  await fails(refused, sandbox.readFile(path));
  await fails(refused, sandbox.stat(path));
  await fails(refused, sandbox.listDirectory(path));
  await fails(refused, sandbox.writeFile(path, bytes("overwritten")));
  await fails(refused, sandbox.writeFile(path, bytes("overwritten"), { append: true }));
  await fails(refused, sandbox.deleteFile(path, { recursive: true }));
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
