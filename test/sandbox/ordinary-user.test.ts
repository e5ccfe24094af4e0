import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, test } from "vitest";

const NOBODY = 65_534;
const isRoot = process.geteuid?.() === 0;
const script = fileURLToPath(new URL("ordinary-user-process.ts", import.meta.url));

/** As root nothing is tried that an ordinary user could not do either; so this takes root's rights away. */
describe.skipIf(!isRoot)("the process sandbox without root", () => {
  test("works, and says which limits are weaker", async () => {
    const home = await mkdtemp(join(tmpdir(), "holdfast-nobody-"));
    try {
      await chown(home, NOBODY, NOBODY);
      const user = ["--reuid", `${NOBODY}`, "--regid", `${NOBODY}`, "--clear-groups"];
      const { stdout } = await promisify(execFile)("setpriv", [...user, process.execPath, script, home]);
      const report = JSON.parse(stdout);
      if (!report.available) return console.warn(`not tested as an ordinary user: ${report.problem.reason}`);
      assert.deepEqual(report.limits, {
        memory: "perProcess",
        processes: "hard",
        fileSize: "perProcess",
        cpu: "none",
      });
      assert.deepEqual(report.seen, { hello: "hello\n", file: "content", user: "1000\n", writes: "" });
      assert.ok(report.bombTimedOut, "a fork bomb was not ended");
      assert.ok(report.largest < 300_000_000, `${report.largest} bytes in one process`);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });
});
