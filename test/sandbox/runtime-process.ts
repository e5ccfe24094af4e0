import { processDriver } from "../../src/sandboxes/process/process.ts";

/** Stands for a runtime that is killed: starts one command, says so, and waits. Run by `restart.test.ts`. */
const [registryDir = "", spec = "", operationId = "", command = "", timeoutMs = ""] = process.argv.slice(2);
const sandbox = await processDriver({ registryDir }).open(JSON.parse(spec));
await sandbox.exec({ operationId, command, timeoutMs: Number(timeoutMs) });
process.send?.("started");
setInterval(() => {}, 1000);
