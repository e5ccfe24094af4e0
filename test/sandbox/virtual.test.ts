import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Sandbox } from "../../src/sandboxes/sandbox.ts";
import { virtualDriver } from "../../src/sandboxes/virtual/virtual.ts";
import { sandboxContract } from "../../src/testing/sandbox-contract.ts";

const driver = virtualDriver();
const { capabilities } = await driver.probe();
let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "holdfast-virtual-"));
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

let sessions = 0;

async function openSandbox(
  memoryBytes = 2 ** 28,
): Promise<{ readonly sandbox: Sandbox; readonly workspace: string }> {
  sessions += 1;
  const workspace = join(directory, `own-${sessions}`, "workspace");
  const stateDir = join(directory, `own-${sessions}`, "state");
  await mkdir(workspace, { recursive: true });
  await mkdir(stateDir);
  const limits = { memoryBytes, processes: 1, fileSizeBytes: 2 ** 28, cpus: 1 };
  return {
    sandbox: await driver.open({ sessionId: `ses_v${sessions}`, workspace, stateDir, limits }),
    workspace,
  };
}

let operations = 0;

async function run(sandbox: Sandbox, command: string) {
  operations += 1;
  const execution = await sandbox.exec({ operationId: `op_v${operations}`, command, timeoutMs: 10_000 });
  let output = "";
  for await (const { bytes } of execution.output) output += Buffer.from(bytes).toString();
  return { output, result: await execution.result };
}

test("commands see nothing of the host but the workspace", async () => {
  const { sandbox, workspace } = await openSandbox();
  await writeFile(join(workspace, "..", "secret"), "outside");
  await symlink(join(workspace, "..", "secret"), join(workspace, "link"));
  const { output } = await run(
    sandbox,
    "cat /etc/passwd; cat ../secret; cat link; cat /proc/self/environ; ls /; env",
  );
  expect(output).not.toContain("root:");
  expect(output).not.toContain("outside");
  expect(output).not.toContain("VITEST");
});

test("writing through a link that leads outside is an error of the command", async () => {
  const { sandbox, workspace } = await openSandbox();
  const secret = join(workspace, "..", "secret");
  await writeFile(secret, "outside");
  await symlink(secret, join(workspace, "link"));
  const { output, result } = await run(sandbox, "echo overwritten > link");
  expect(output).toMatch(/^bash: /);
  expect(result.exitCode).not.toBe(0);
  expect((await run(sandbox, "echo still here")).output).toBe("still here\n");
  expect(await readFile(secret, "utf8")).toBe("outside");
});

test("/tmp lasts from one command to the next and is not in the workspace", async () => {
  const { sandbox } = await openSandbox();
  await run(sandbox, "echo kept > /tmp/file");
  expect((await run(sandbox, "cat /tmp/file; ls")).output).toBe("kept\n");
});

test("the usual tools are there", async () => {
  const { sandbox } = await openSandbox();
  const script = `
    printf 'name,amount\\nb,2\\na,30\\n' > data.csv
    tail -n +2 data.csv | sort | awk -F, '{ sum += $2 } END { print sum }'
    echo '{"a":[1,2,3]}' | jq '.a | add'
    sed -n 's/a,/A: /p' data.csv
    rg -c a data.csv
    for i in 1 2 3; do echo $((i * i)); done | paste -s -d + -
  `;
  expect((await run(sandbox, script)).output).toBe("32\n6\nA: 30\n2\n1+4+9\n");
});

test("other languages and the network are not", async () => {
  const { sandbox } = await openSandbox();
  for (const command of [
    "curl http://127.0.0.1",
    "python3 -c 1",
    "js-exec -c 1",
    "node -e 1",
    "sqlite3 :memory: 'select 1'",
  ]) {
    expect((await run(sandbox, command)).result.exitCode, command).toBe(127);
  }
});

test("a command that fills memory is ended, and says why", async () => {
  const { sandbox } = await openSandbox(64 * 2 ** 20);
  const { output, result } = await run(
    sandbox,
    'x=0123456789abcdef; a=(); while :; do x="$x$x"; a+=("$x"); done',
  );
  expect(result.exitCode === 0).toBe(false);
  expect(output).toMatch(/memory|limit/);
  expect((await run(sandbox, "echo alive")).output).toBe("alive\n");
}, 20_000);

test("nothing is left when the runtime is killed in the middle of an endless loop", async () => {
  const home = join(directory, "killed");
  await mkdir(join(home, "workspace"), { recursive: true });
  await mkdir(join(home, "state"));
  const program = `
    import { virtualDriver } from ${JSON.stringify(new URL("../../src/sandboxes/virtual/virtual.ts", import.meta.url).href)};
    const limits = { memoryBytes: 2 ** 28, processes: 1, fileSizeBytes: 2 ** 28, cpus: 1 };
    const sandbox = await virtualDriver().open({
      sessionId: "ses_killed", workspace: ${JSON.stringify(join(home, "workspace"))}, stateDir: ${JSON.stringify(join(home, "state"))}, limits,
    });
    await sandbox.exec({ operationId: "op_1", command: "touch started; awk 'BEGIN { while (1) x++ }'", timeoutMs: 60000 });
    setInterval(() => undefined, 1000);
  `;
  const runtime = spawn(process.execPath, ["--input-type=module-typescript", "-e", program], {
    stdio: "ignore",
  });
  await vi.waitUntil(() => existsSync(join(home, "workspace", "started")), { timeout: 10_000 });
  const worker = Number(execFileSync("pgrep", ["-P", String(runtime.pid)], { encoding: "utf8" }));
  expect(worker).toBeGreaterThan(1);
  runtime.kill("SIGKILL");
  await vi.waitUntil(() => !existsSync(`/proc/${worker}`), { timeout: 5_000 });
});

test("of a flood of output the beginning and the end arrive", async () => {
  const { sandbox, workspace } = await openSandbox(2 ** 30);
  await writeFile(join(workspace, "big"), "0".repeat(10_000_000));
  const { output, result } = await run(sandbox, "echo first; cat big big; echo; echo last");
  expect(result.exitCode).toBe(0);
  expect(output).toMatch(/^first\n0+\n\[\.\.\. \d+ bytes left out here \.\.\.\]\n0+\nlast\n$/);
  expect(output.length).toBeLessThan(18_000_000);
});

test("a program that disposes of the driver lives until its workers have gone", async () => {
  const home = await mkdtemp(join(directory, "program-"));
  const program = join(import.meta.dirname, "virtual-program.ts");
  expect(execFileSync(process.execPath, [program, home], { encoding: "utf8" })).toBe("disposed\n");
});
