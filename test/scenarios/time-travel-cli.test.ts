import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Script } from "../../src/testing/testing.ts";
import { holdfast, startHoldfast } from "./holdfast-process.ts";

/** `holdfast sessions tree`, `fork`, `rewind` and `compare`: real processes, on files here and on a server. */

const script: Script = {
  turns: [
    {
      times: "any",
      when: { user: { matches: "^note" }, step: 1 },
      calls: [{ tool: "write", input: { path: "notes.txt", content: "{{user /note (.*)/}}\n" } }],
    },
    { times: "any", when: { step: 2 }, text: "Noted." },
    { times: "any", text: "You said {{user}}." },
  ],
};

let home: string;
let agent: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "holdfast-cli-"));
  agent = join(home, "clerk");
  expect(await holdfast(["create", "clerk"], { cwd: home })).toMatchObject({ exitCode: 0 });
  await writeFile(join(agent, "script.json"), JSON.stringify(script));
  const file = join(agent, "harness.json");
  const model = { id: "scripted", script: "./script.json" };
  const permissions = { allow: ["*"] };
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, "utf8")), model, permissions }));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const here = (...words: readonly string[]) => holdfast(words, { cwd: agent });

test("a session is forked, moved back and compared where its files are", async () => {
  for (const prompt of ["note one", "note two"]) {
    expect(await here("run", prompt, "--session", "s")).toMatchObject({ exitCode: 0 });
  }
  const forked = await here("sessions", "fork", "s", "--at", "~1", "--id", "f");
  expect(forked.stdout).toMatch(
    /^Forked s at #\d+ into f\.\nIts files are as they were there \(snapshot [0-9a-f]{12}\)\.\nGo on with: holdfast run --session f\n$/,
  );
  const moved = await here("sessions", "rewind", "s", "--to", "~1");
  expect(moved.stdout).toMatch(/^s stands behind #\d+ again\.\nIts files are as they were there/);
  expect(await here("run", "hello", "--session", "s")).toMatchObject({ exitCode: 0 });

  const { stdout: tree } = await here("sessions", "tree", "s");
  expect(tree).toMatch(/^#1 to #\d+ {2}2 messages, 4 turns, .*\n {2}\* #1 {5}start {4}created\n/);
  expect(tree).toMatch(/ {2}\* #\d+ +message {2}note one\n/);
  expect(tree).toMatch(/ {4}#\d+ +message {2}note two\n/);
  expect(tree).toMatch(
    /<- it stands here\n {2}\* #\d+ +start {4}moved back\n {2}\* #\d+ +message {2}hello\n/,
  );
  expect(tree).toMatch(/\nforks\n {2}f {2}at #\d+ {2}idle, 0 turns/);

  const compared = await here("sessions", "compare", "s", "f");
  expect(compared.stdout).toMatch(/^They part behind #\d+\.\n\ns\n {2}idle, last run: endTurn\n/);
  expect(compared.stdout).toContain("  › hello\n");
  expect(compared.stdout).toMatch(/\nfiles\n {2}the same\n$/);
  await here("run", "note three", "--session", "f");
  const { stdout: diff } = await here("sessions", "compare", "s", "f", "--diff");
  expect(diff).toMatch(/\n {2}~ notes\.txt\n\n--- a\/notes\.txt\n.*\n@@ -1,1 \+1,1 @@\n-one\n\+three\n$/);

  expect(await here("sessions", "rewind", "s")).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("--to '~1'"),
  });
  expect(await here("sessions", "fork", "s", "--at", "#99")).toMatchObject({ exitCode: 4 });
  const help = await here("sessions", "fork", "--help");
  expect(help.stdout).toContain("holdfast sessions fork s_01jz... --at '~1'");
});

test("the same of a server's sessions, for programs", async () => {
  const server = await startHoldfast(["start", agent, "--port", "0"], { cwd: home });
  try {
    const [url] = await server.until(/http:\/\/127\.0\.0\.1:\d+/);
    const there = async (...words: readonly string[]) => {
      const { stdout, stderr, exitCode } = await holdfast([...words, "--url", url, "--json"], { cwd: home });
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
      return JSON.parse(stdout);
    };
    for (const prompt of ["one", "two"]) {
      const invoked = await holdfast(["invoke", prompt, "--session", "s", "--url", url], { cwd: home });
      expect(invoked).toMatchObject({ exitCode: 0 });
    }
    const fork = await there("sessions", "fork", "s", "--at", "~1", "--title", "Again");
    expect(fork).toMatchObject({ created: true, session: { title: "Again" }, files: { from: "template" } });
    const moved = await there("sessions", "rewind", "s", "--to", "~1");
    expect(moved).toMatchObject({ session: { id: "s", status: "idle" }, to: fork.at });
    const tree = await there("sessions", "tree", "s", "--limit", "3");
    expect(tree).toMatchObject({ sessionId: "s", forks: [{ sessionId: fork.session.id }] });
    const compared = await there("sessions", "compare", "s", fork.session.id);
    expect(compared).toMatchObject({ common: fork.at, one: { messages: [] }, files: { changes: [] } });
  } finally {
    server.signal("SIGTERM");
    await server.ended;
  }
});
