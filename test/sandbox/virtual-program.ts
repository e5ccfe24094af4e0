import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { virtualDriver } from "../../src/sandboxes/virtual/virtual.ts";

/** Disposes of the driver when a command has just ended, and says so at its end. Run by `virtual.test.ts`. */
const [home = ""] = process.argv.slice(2);
const driver = virtualDriver();
const workspace = join(home, "workspace");
await mkdir(workspace);
const limits = { memoryBytes: 2 ** 28, processes: 1, fileSizeBytes: 2 ** 20, cpus: 1 };
const sandbox = await driver.open({ sessionId: "program", workspace, stateDir: home, limits });
const first = await sandbox.exec({ operationId: "first", command: "true", timeoutMs: 10_000 });
await first.result;
await sandbox.exec({ operationId: "second", command: "true", timeoutMs: 10_000 });
// The answer of the second command arrives meanwhile, and is read only when its worker is being ended.
await new Promise((resolve) => setImmediate(resolve));
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
await driver[Symbol.asyncDispose]();
console.log("disposed");
