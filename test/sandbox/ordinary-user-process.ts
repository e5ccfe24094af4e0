import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { processDriver } from "../../src/sandboxes/process/process.ts";
import { run } from "./process-sandbox.ts";

/** Uses a sandbox as whoever runs this, and prints what it saw. Run by `ordinary-user.test.ts`. */
const [home = ""] = process.argv.slice(2);
const driver = processDriver({ registryDir: join(home, "registry") });
const { available, problem, capabilities } = await driver.probe();
if (!available) {
  console.log(JSON.stringify({ available, problem }));
  process.exit();
}
const spec = {
  sessionId: "ordinary",
  workspace: join(home, "workspace"),
  stateDir: home,
  limits: { memoryBytes: 200_000_000, processes: 40, fileSizeBytes: 1_000_000, cpus: 1 },
};
await mkdir(spec.workspace);
await using sandbox = await driver.open(spec);
await sandbox.writeFile("file", Buffer.from("content"));
const bomb = await run(sandbox, ":(){ :|:& };: ; sleep 30", { timeoutMs: 700 });
const memory = await run(sandbox, "x=$(head -c 300000000 /dev/zero | tr '\\0' x); echo $" + "{#x}");
const seen = {
  hello: (await run(sandbox, "echo hello")).stdout,
  file: (await run(sandbox, "cat file")).stdout,
  user: (await run(sandbox, "id -u")).stdout,
  writes: (await run(sandbox, "for d in / /usr /etc /run; do (echo > $d/x) 2>/dev/null && echo $d; done"))
    .stdout,
};
await sandbox.destroy();
console.log(
  JSON.stringify({
    available,
    limits: capabilities.limits,
    seen,
    bombTimedOut: bomb.result.timedOut,
    largest: Number(memory.stdout),
  }),
);
