import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { getCommandNames } from "just-bash";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CommandEnded, RunCommand, WorkerSetup } from "../../src/sandboxes/virtual/protocol.ts";

// In a directory without node_modules above it, so that whatever the bundle lacks is missing.
const directory = mkdtempSync(join(tmpdir(), "holdfast-bundle-"));
const bundle = join(directory, "bundle");

beforeAll(() => {
  const script = fileURLToPath(new URL("../../scripts/bundle-virtual.ts", import.meta.url));
  execFileSync(process.execPath, [script, bundle], { stdio: "pipe" });
  mkdirSync(join(directory, "workspace"));
  mkdirSync(join(directory, "tmp"));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function run(command: string): Promise<{ readonly exitCode: number; readonly output: string }> {
  const setup: WorkerSetup = {
    workspace: join(directory, "workspace"),
    temporary: join(directory, "tmp"),
    maxFileBytes: 1_000_000,
    memoryMegabytes: 256,
  };
  const worker = fork(join(bundle, "worker.js"), [JSON.stringify(setup)], {
    serialization: "advanced",
    env: {},
  });
  try {
    const request: RunCommand = { command, cwd: "/workspace", env: {}, stdin: undefined };
    worker.send(request);
    const [{ exitCode, stdout, stderr }] = (await once(worker, "message")) as [CommandEnded];
    return { exitCode, output: Buffer.concat([stdout, stderr]).toString() };
  } finally {
    worker.kill("SIGKILL");
  }
}

test("the bundle is small", () => {
  const files = readdirSync(bundle, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const bytes = files.reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0);
  expect(bytes).toBeLessThan(2_500_000);
});

test("the bundle runs commands without the package", async () => {
  const { output } = await run(
    "echo '{\"a\": 1}' > f.json; jq .a f.json; seq 3 | awk '{ s += $1 } END { print s }'",
  );
  expect(output).toBe("1\n6\n");
});

test("every command that it offers can be loaded", async () => {
  const leftOut = ["sqlite3", "html-to-markdown"];
  const names = getCommandNames().filter((name) => !leftOut.includes(name));
  expect(names.length).toBeGreaterThan(60);
  const script = names
    .map((name) => `echo "== ${name}"; timeout 5 ${name} --help < /dev/null 2>&1`)
    .join("\n");
  const { output } = await run(script);
  expect(output.match(/^== /gm)?.length).toBe(names.length);
  expect(output).not.toMatch(/not part of|cannot find|not found|failed to load/i);
});
