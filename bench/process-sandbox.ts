import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processDriver } from "../src/sandboxes/process/process.ts";
import type { Sandbox } from "../src/sandboxes/sandbox.ts";

/** What the process sandbox costs: `node bench/process-sandbox.ts`. Times in milliseconds. */
const home = await mkdtemp(join(tmpdir(), "holdfast-bench-sandbox-"));
const driver = processDriver({ registryDir: join(home, "registry") });
const { available, problem } = await driver.probe();
if (!available) throw new Error(problem?.reason);

const times: Record<string, number[]> = {};
const limits = { memoryBytes: 512 * 2 ** 20, processes: 64, fileSizeBytes: 2 ** 26, cpus: 2 };
for (let i = 0; i < 30; i++) {
  const spec = { sessionId: `bench-${i}`, workspace: join(home, `w${i}`), stateDir: home, limits };
  await mkdir(spec.workspace);
  const start = performance.now();
  await using sandbox = await driver.open(spec);
  record("open a new sandbox", start);
  await command(sandbox, "first", "true");
  record("open and first command", start);
  for (let k = 0; k < 20; k++) {
    await timed("next command (bash -c true)", () => command(sandbox, `next-${k}`, "true"));
    await timed("stat", () => sandbox.stat("."));
    await timed("write 1 KB", () => sandbox.writeFile("file", new Uint8Array(1024)));
    await timed("read 1 KB", () => sandbox.readFile("file"));
  }
  await timed("100 MB of output", () => command(sandbox, "flood", "head -c 100000000 /dev/zero"));
  await timed("destroy", () => sandbox.destroy());
}
await rm(home, { recursive: true });

for (const [name, values] of Object.entries(times)) {
  values.sort((a, b) => a - b);
  const at = (part: number) => (values[Math.floor((values.length - 1) * part)] ?? 0).toFixed(2);
  console.log(`${name.padEnd(32)} min ${at(0)}  median ${at(0.5)}  p95 ${at(0.95)}`);
}

async function command(sandbox: Sandbox, operationId: string, script: string): Promise<void> {
  const execution = await sandbox.exec({ operationId, command: script, timeoutMs: 60_000 });
  for await (const _ of execution.output);
  await execution.result;
}

async function timed(name: string, work: () => Promise<unknown>): Promise<void> {
  const start = performance.now();
  await work();
  record(name, start);
}

function record(name: string, start: number): void {
  times[name] ??= [];
  times[name].push(performance.now() - start);
}
