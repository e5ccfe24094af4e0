import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openSqliteStore } from "../../src/index.ts";
import { processDriver } from "../../src/sandboxes/process/process.ts";

const probe = await processDriver().probe();

it.skipIf(!probe.available)(
  `a command that is under way when the node is killed is not started again, and its output arrives${
    probe.problem === null ? "" : ` (skipped: ${probe.problem.reason})`
  }`,
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-crash-"));
    try {
      const killed = start(directory);
      await killed.saw("going");
      killed.kill();
      expect(await killed.ended).toBe("SIGKILL");

      const next = start(directory);
      expect(await next.ended, next.output()).toBe(0);

      await using store = await openSqliteStore({ path: join(directory, "holdfast.db") });
      const log = await store.path("session");
      expect(log.filter(({ type }) => type === "toolStarted")).toHaveLength(1);
      expect(log.map(({ type }) => type)).toContain("runResumed");
      const finished = log.find((entry) => entry.type === "toolFinished");
      expect(finished).toMatchObject({ outcome: "ok" });
      // The command itself counted how often it had begun.
      expect(JSON.stringify(finished?.blocks)).toMatch(/done\\n1\b/);
    } finally {
      await processDriver().destroy("session");
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

function start(directory: string) {
  const child = spawn(process.execPath, [join(import.meta.dirname, "sandbox-node.ts"), directory], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const waiting: { readonly word: string; readonly resolve: () => void }[] = [];
  const collect = (chunk: Buffer) => {
    output += chunk;
    for (const { word, resolve } of waiting) if (output.includes(word)) resolve();
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const ended = new Promise((resolve) => child.on("close", (code, signal) => resolve(code ?? signal)));
  return {
    ended,
    output: () => output,
    kill: () => child.kill("SIGKILL"),
    saw: (word: string) =>
      Promise.race([
        new Promise<void>((resolve) => {
          waiting.push({ word, resolve });
          if (output.includes(word)) resolve();
        }),
        ended.then(() => Promise.reject(new Error(`it ended before "${word}":\n${output}`))),
      ]),
  };
}
