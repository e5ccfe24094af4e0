import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Entry } from "../../src/index.ts";
import type { Script } from "../../src/testing/testing.ts";
import { holdfast, type OnTerminal, startOnTerminal } from "./holdfast-process.ts";

/** A person at a terminal, who types while a run goes on. */

const script: Script = {
  turns: [
    {
      when: { after: "user", user: "work" },
      times: "any",
      calls: [
        // Goes on until what was typed is in the log, which the script cannot see: the test lets it go.
        { tool: "shell", input: { command: "echo begun; until test -e go; do sleep 0.05; done" } },
        { tool: "write", input: { path: "written.txt", content: "no" } },
      ],
    },
    { times: "any", text: "Answer to: {{user}}" },
  ],
};

let agent: string;
beforeEach(async () => {
  const home = await mkdtemp(join(tmpdir(), "holdfast-typing-"));
  agent = join(home, "clerk");
  expect(await holdfast(["create", "clerk"], { cwd: home })).toMatchObject({ exitCode: 0 });
  const file = join(agent, "harness.json");
  const harness = JSON.parse(await readFile(file, "utf8"));
  await writeFile(join(agent, "script.json"), JSON.stringify(script));
  const more = { model: { id: "scripted", script: "./script.json" }, limits: { parallelCalls: 1 } };
  await writeFile(file, JSON.stringify({ ...harness, ...more }));
});
afterEach(() => rm(join(agent, ".."), { recursive: true, force: true }));

async function begin(): Promise<OnTerminal> {
  const run = startOnTerminal(["run", "work", "--session", "s", "--actor", "ada"], { cwd: agent });
  await run.until(/│ begun/);
  return run;
}

async function entries(): Promise<readonly Entry[]> {
  const { stdout } = await holdfast(["sessions", "show", "s", "--json"], { cwd: agent });
  return JSON.parse(stdout).entries;
}

test("a line steers the run, is shown while it is typed, and again where it stands in the log", async () => {
  const run = await begin();
  run.type("rather thas");
  await run.until(/›[^\n]*rather thas/);
  run.type("\u007f\u007fis");
  await run.until(/›[^\n]*rather this/);
  run.type("\r");
  await run.until(/›[^\n]*rather this[^\n]*\r?\n/);
  expect(await holdfast(["exec", "s", "--", "touch", "go"], { cwd: agent })).toMatchObject({ exitCode: 0 });
  const { exitCode, stdout } = await run.ended;
  expect(exitCode, stdout).toBe(0);
  expect(stdout).toContain("Answer to: rather this");

  const log = await entries();
  expect(log.flatMap((entry) => (entry.type === "userMessage" ? [entry] : []))).toMatchObject([
    { actor: "ada", blocks: [{ text: "work" }] },
    { actor: "ada", blocks: [{ text: "rather this" }] },
  ]);
  expect(log.flatMap((entry) => (entry.type === "toolFinished" ? [entry.outcome] : []))).toEqual([
    "ok",
    "cancelled",
  ]);
  expect(log.filter(({ type }) => type === "runStarted")).toHaveLength(1);
});

test("Ctrl-C stops the run as before", async () => {
  const run = await begin();
  run.type("half a li");
  await run.until(/half a li/);
  run.type("\u0003");
  expect(await run.ended).toMatchObject({ exitCode: 130 });
  const log = await entries();
  expect(log.at(-1)).toMatchObject({ type: "runFinished", reason: "stopped" });
  expect(log.filter(({ type }) => type === "userMessage")).toHaveLength(1);
});
