import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Script } from "../../src/testing/testing.ts";
import { serveProvider } from "../provider-server.ts";
import { holdfast, holdfastOnTerminal, startHoldfast, startOnTerminal } from "./holdfast-process.ts";

/** The command line as people and scripts use it: real processes, whatever sandbox the machine has, a scripted model. */

const script: Script = {
  turns: [
    {
      when: { after: "user", user: "sleep" },
      times: "any",
      text: "I wait.",
      calls: [{ tool: "shell", input: { command: "echo x >> count; echo begun; sleep 3; echo slept" } }],
    },
    {
      when: { after: "user", user: "note" },
      times: "any",
      text: "I write it down.",
      calls: [
        { tool: "write", input: { path: "note.txt", content: "remember\n" } },
        {
          tool: "shell",
          input: {
            command: "until test -e note.txt; do sleep 0.01; done; printf '\\033[31mred\\033[0m\\n'; ls",
          },
        },
      ],
    },
    { times: "any", text: "That is all." },
  ],
};

/** The first line that the command printed, not the command. */
const begun = /│ begun\n/;

let home: string;
let agent: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "holdfast-cli-"));
  agent = join(home, "clerk");
  expect(await holdfast(["create", "clerk"], { cwd: home })).toMatchObject({ exitCode: 0 });
  await writeFile(join(agent, "script.json"), JSON.stringify(script));
  await changeHarness({ model: { id: "scripted", script: "./script.json" } });
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function changeHarness(fields: object): Promise<void> {
  const file = join(agent, "harness.json");
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, "utf8")), ...fields }));
}

const here = (...words: readonly string[]) => holdfast(words, { cwd: agent });

/** The command lines on this machine that hold the text. */
function processesNaming(text: string): readonly string[] {
  const { stdout } = spawnSync("ps", ["-eo", "args"], { encoding: "utf8" });
  return stdout.split("\n").filter((line) => line.includes(text));
}

async function listed(): Promise<readonly { readonly id: string; readonly [field: string]: unknown }[]> {
  return JSON.parse((await here("sessions", "list", "--json")).stdout).sessions;
}

describe("run", () => {
  test("does a job, shows it in whole lines, and says what it took", async () => {
    expect(await here("validate")).toMatchObject({ exitCode: 0 });
    const { exitCode, stdout, stderr } = await here("run", "take a note", "--session", "first");
    expect(exitCode).toBe(0);
    expect(stderr).toContain("note: there was no session first; it is new\n");
    expect(stdout).not.toMatch(/[\u001b\r]/);
    expect(stdout).toMatch(
      /^I write it down\.\n✓ write {2}note\.txt \(9 bytes\) · done in .*\n▸ shell {2}until /,
    );
    expect(stdout).toContain("  │ red\n  │ note.txt\n");
    expect(stdout).toMatch(/✓ done\n {2}time .* model .*, tools .*, runtime .*\n/);
    expect(stdout).toContain('next     holdfast run --session first "..."');
    const files = /files +(\S+)/.exec(stdout)?.[1] ?? "";
    expect(await readFile(join(agent, files, "note.txt"), "utf8")).toBe("remember\n");
  });

  test("prints events and nothing else for programs", async () => {
    const { exitCode, stdout } = await here("run", "take a note", "--json");
    expect(exitCode).toBe(0);
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(new Set(events.map(({ type }) => type))).toContain("textDelta");
    expect(events.at(-1)).toMatchObject({ type: "entry", entry: { type: "runFinished", reason: "endTurn" } });
  });

  test("takes its prompt from a pipe, files along, and goes on with a session", async () => {
    await writeFile(join(home, "data.csv"), "a,b\n");
    const first = await holdfast(["run", "--file", "../data.csv"], { cwd: agent, stdin: "take a note" });
    expect(first).toMatchObject({ exitCode: 0 });
    expect(first.stdout).toContain("  │ data.csv\n  │ note.txt\n");
    expect(await here("run", "--continue", "and more")).toMatchObject({ exitCode: 0 });
    const again = await here("run", "and more", "--session", "s", "--data-dir", "../data of mine");
    expect(again.stdout).toContain(`next     holdfast run --data-dir '../data of mine' --session s "..."`);
    const sessions = await listed();
    expect(sessions).toMatchObject([{ agent: "clerk", status: "idle", title: "take a note", turns: 3 }]);
    const shown = await here("sessions", "show", sessions[0]?.id ?? "");
    expect(shown.stdout).toMatch(
      /› take a note[\s\S]*› and more[\s\S]*work +2 runs, 3 model calls, 2 tool calls/,
    );
  });

  test("context shows what the model would be sent next, and the request itself", async () => {
    await here("run", "take a note", "--session", "s");
    const { exitCode, stdout } = await here("context", "s");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^scripted\/clerk, \S+ tokens; its window is not known\n/);
    expect(stdout).toMatch(
      /System prompt\n {2}identity +\d+ +Holdfast\n[\s\S]* {2}agent +\d+ +systemPrompt\n/,
    );
    expect(stdout).toMatch(/Tools, 7 in full\n {2}shell +\d+\n[\s\S]*Messages\n {2}4 messages +\d+\n$/);
    const request = JSON.parse((await here("context", "s", "--request")).stdout);
    expect(request.messages[0]).toMatchObject({ role: "user", blocks: [{ text: "take a note" }] });
    expect(JSON.parse((await here("context", "s", "--json")).stdout)).toMatchObject({
      sessionId: "s",
      opens: null,
      messages: { count: 4 },
    });
  });

  test("who follows up waits for the run that goes on, and sees their own", async () => {
    const first = startHoldfast(["run", "sleep", "--session", "s"], { cwd: agent });
    await first.until(begun);
    const second = await here("run", "and you?", "--session", "s", "--delivery", "followUp");
    expect(await first.ended).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("slept") });
    expect(second.stderr).toContain("note: waiting until the run that goes on has ended\n");
    expect(second.stdout).toMatch(/^That is all\.\n\n✓ done\n/);
    expect(second.stdout).toContain("1 model call, 0 tool calls");
  });

  test("a message that is refused leaves no session behind, and no word of a new one", async () => {
    await changeHarness({ limits: { runs: 1 } });
    const first = startHoldfast(["run", "sleep", "--session", "s"], { cwd: agent });
    await first.until(begun);
    const refused = await here("run", "hello", "--session", "new");
    expect(refused).toMatchObject({ exitCode: 7, stdout: "" });
    expect(refused.stderr).toBe(
      'error: The agent "clerk" has 1 run at once already, which is its limit (limits.runs).\nNothing was stored. Try again when one of them has ended.\n',
    );
    expect((await listed()).map(({ id }) => id)).toEqual(["s"]);
    await first.ended;
  });

  test("Ctrl-C stops the run and tells how its calls ended", async () => {
    const run = startHoldfast(["run", "sleep", "--session", "s"], { cwd: agent });
    await run.until(begun);
    run.signal("SIGINT");
    const { exitCode, stdout, stderr } = await run.ended;
    expect(exitCode).toBe(130);
    expect(stderr).toContain("stopping the run");
    expect(stdout).toMatch(/⊘ stopped after [\s\S]*\n⊘ stopped\n/);
    expect(stdout).not.toContain("│ slept");
    expect(await listed()).toMatchObject([{ id: "s", status: "idle", lastRunEnd: "stopped" }]);
  });

  test("when nobody reads any more it ends, not as if it were done, and leaves the run to be taken up", async () => {
    const run = startHoldfast(["run", "sleep", "--session", "s"], { cwd: agent });
    await run.until(begun);
    run.stopReading();
    const { exitCode, stderr } = await run.ended;
    expect(exitCode).toBe(141);
    expect(stderr).toContain("note: nobody reads the output any more; the session s is left as it is\n");
    expect((await here("sessions", "list")).stdout).toMatch(/^s +clerk +unfinished /m);
    expect(await here("run", "--session", "s")).toMatchObject({ exitCode: 0 });
    expect((await here("sessions", "list")).stdout).toMatch(/^s +clerk +idle /m);
  });

  test("a second Ctrl-C leaves at once", async () => {
    const run = startHoldfast(["run", "sleep"], { cwd: agent });
    await run.until(begun);
    run.signal("SIGINT");
    run.signal("SIGINT");
    expect(await run.ended).toMatchObject({ exitCode: 130 });
  });

  test("what was killed is taken up, and nothing is done twice", async () => {
    const run = startHoldfast(["run", "sleep", "--session", "s"], { cwd: agent });
    await run.until(begun);
    run.signal("SIGKILL");
    await run.ended;
    expect(await listed()).toMatchObject([{ id: "s", status: "running" }]);
    const { exitCode, stdout } = await here("run", "--session", "s");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /^⟳ resumed after an interruption[\s\S]*▸ shell {2}echo x >> count[\s\S]*That is all\.\n/,
    );
    const files = /files +(\S+)/.exec(stdout)?.[1] ?? "";
    expect(await readFile(join(agent, files, "count"), "utf8")).toBe("x\n");
  });

  test.skipIf(spawnSync("script", ["--version"]).error !== undefined)(
    "shows colours and what goes on to a person",
    async () => {
      const { exitCode, stdout } = await holdfastOnTerminal(["run", "sleep"], { cwd: agent });
      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/\r\u001b\[2K\u001b\[36m[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]\u001b\[39m \u001b\[2mrunning shell · 2 s/);
      // The line that is rewritten is gone before anything else is printed.
      const screen = stdout.replaceAll(/[^\n]*\r\u001b\[2K/g, "");
      expect(screen).not.toMatch(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/);
      expect(screen).toContain("\u001b[32m✓ done in ");
    },
  );
});

describe("start", () => {
  test("serves until it is told to end, and every command works on it", { timeout: 120_000 }, async () => {
    const server = startHoldfast(["start", "clerk", "--port", "0", "--verbose"], { cwd: home });
    const [, url = ""] = await server.until(/serves at (\S+)/);
    const remote = (...words: readonly string[]) => holdfast([...words, "--url", url], { cwd: home });

    const first = await remote("invoke", "clerk", "take a note", "--session", "one");
    expect(first).toMatchObject({ exitCode: 0 });
    expect(first.stdout).toMatch(/^I write it down\.\n✓ write {2}note\.txt[\s\S]*✓ done\n/);
    expect((await remote("invoke", "again", "--session", "one")).stdout).toContain("That is all.");

    expect((await remote("sessions", "list")).stdout).toMatch(
      /SESSION +AGENT[\s\S]*one +clerk +idle +endTurn +3 /,
    );
    expect((await remote("sessions", "show", "one")).stdout).toContain("› take a note");
    const named = { cwd: home, env: { HOLDFAST_URL: url } };
    expect(await holdfast(["sessions", "list"], named)).toMatchObject({
      stdout: expect.stringContaining("one "),
      stderr: `note: asking the server at ${url} (HOLDFAST_URL)\n`,
    });
    const here = await holdfast(["sessions", "list", "--data-dir", "nowhere"], named);
    expect(here).toMatchObject({ exitCode: 4, stderr: expect.stringContaining("no sessions in") });
    expect((await remote("context", "one")).stdout).toMatch(/System prompt\n[\s\S]*Messages\n/);
    expect((await remote("sessions", "tail", "one", "--until-idle")).stdout).toMatch(/✓ done[\s\S]*✓ done/);
    const unknown = await remote("sessions", "show", "onne");
    expect(unknown).toMatchObject({ exitCode: 4 });
    expect(unknown.stderr).toContain('Did you mean "one"?');

    const cat = ["exec", "one", "--url", url, "--", "cat; cat note.txt; exit 7"];
    expect(await holdfast(cat, { cwd: home, stdin: "piped\n" })).toMatchObject({
      exitCode: 7,
      stdout: "piped\nremember\n",
    });

    const busy = startHoldfast(["invoke", "sleep", "--session", "two", "--url", url], { cwd: home });
    await busy.until(begun);
    expect(await remote("sessions", "stop", "two")).toMatchObject({ exitCode: 0, stdout: "Stopped two.\n" });
    expect(await busy.ended).toMatchObject({ exitCode: 10 });

    const left = startHoldfast(["invoke", "sleep", "--session", "three", "--url", url], { cwd: home });
    await left.until(begun);
    left.signal("SIGINT");
    expect(await left.ended).toMatchObject({ exitCode: 130 });

    const taken = await holdfast(["start", "clerk", "--port", new URL(url).port], { cwd: home });
    expect(taken).toMatchObject({ exitCode: 7, stdout: "" });
    expect(taken.stderr).toMatch(/port \d+ on 127\.0\.0\.1 is in use/);

    server.signal("SIGTERM");
    const { exitCode, stdout } = await server.ended;
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/POST \/v1\/sessions 201 /);
    expect(await remote("invoke", "hello")).toMatchObject({ exitCode: 7 });
  });

  test("takes up what a server left behind, and says so", async () => {
    const run = startHoldfast(["run", "sleep", "--session", "s"], { cwd: agent });
    await run.until(begun);
    run.signal("SIGKILL");
    await run.ended;
    const server = startHoldfast(["start", "--port", "0"], { cwd: agent });
    await server.until(/1 session with unfinished work/);
    const tail = await here("sessions", "tail", "s", "--until-idle");
    expect(tail.stdout).toContain("That is all.");
    server.signal("SIGINT");
    expect(await server.ended).toMatchObject({ exitCode: 0 });
  });

  test("refuses to be reached by others without tokens", async () => {
    const { exitCode, stderr } = await here("start", "--host", "0.0.0.0", "--port", "0");
    expect(exitCode).toBe(3);
    expect(stderr).toContain("will not listen on 0.0.0.0 without authentication");
    expect(stderr).toContain("export HOLDFAST_TOKENS=$(openssl rand -hex 32)");
  });

  test("wants a token, and says where commands take it from", async () => {
    const env = { HOLDFAST_TOKENS: "0123456789abcdef-right" };
    const server = startHoldfast(["start", "--port", "0"], { cwd: agent, env });
    const [, url = ""] = await server.until(/serves at (\S+)/);
    const invoke = (token: string) =>
      holdfast(["invoke", "hi", "--url", url], { cwd: home, env: { HOLDFAST_TOKEN: token } });
    const missing = await invoke("");
    expect(missing).toMatchObject({ exitCode: 5 });
    expect(missing.stderr).toMatch(/wants a token\n.*HOLDFAST_TOKEN/);
    const wrong = await invoke("0123456789abcdef-wrong");
    expect(wrong).toMatchObject({ exitCode: 5 });
    expect(wrong.stderr).toMatch(/not known to this server\n.*HOLDFAST_TOKEN/);
    expect(await invoke("0123456789abcdef-right")).toMatchObject({ exitCode: 0 });
    server.signal("SIGTERM");
    expect(await server.ended).toMatchObject({ exitCode: 0 });
  });
});

describe("sessions and exec without a server", () => {
  test("a command has the session's files, its own exit code, and ends with Ctrl-C", async () => {
    await here("run", "take a note", "--session", "s");
    expect(await here("exec", "s", "--", "cat", "note.txt")).toMatchObject({
      exitCode: 0,
      stdout: "remember\n",
    });
    expect(await here("exec", "s", "--", "echo oops >&2; exit 3")).toMatchObject({
      exitCode: 3,
      stderr: "oops\n",
    });
    expect(await here("exec", "s", "--timeout", "200ms", "--", "sleep", "20")).toMatchObject({
      exitCode: 124,
    });
    const exec = startHoldfast(["exec", "s", "--", "echo begun; sleep 20; echo never"], { cwd: agent });
    await exec.until(/^begun\n/);
    exec.signal("SIGINT");
    expect(await exec.ended).toMatchObject({ exitCode: 130, stdout: "begun\n" });
  });

  test("a run that was left behind can be stopped", async () => {
    const run = startHoldfast(["run", "sleep", "--session", "s"], { cwd: agent });
    await run.until(begun);
    run.signal("SIGKILL");
    await run.ended;
    expect(await here("sessions", "stop", "s")).toMatchObject({ exitCode: 0, stdout: "Stopped s.\n" });
    expect(await listed()).toMatchObject([{ id: "s", status: "idle", lastRunEnd: "stopped" }]);
    expect((await here("sessions", "stop", "s")).stdout).toBe("Nothing was running in s.\n");
  });

  test("sessions are deleted by name, or by age after a question", async () => {
    for (const id of ["one", "two", "three"]) await here("run", "take a note", "--session", id);
    const asking = startOnTerminal(["sessions", "delete", "one"], { cwd: agent });
    await asking.until(/Delete one, with all files\? \[y\/N\]/);
    asking.type("n\r");
    expect((await asking.ended).stdout).toContain("Nothing was deleted.");
    const unknown = await here("sessions", "delete", "one", "tow");
    expect(unknown).toMatchObject({ exitCode: 4, stdout: "" });
    expect(unknown.stderr).toContain('Did you mean "two"?');
    expect(await here("sessions", "delete", "one")).toMatchObject({ exitCode: 0, stdout: "Deleted one.\n" });
    expect((await listed()).map(({ id }) => id)).toEqual(["three", "two"]);
    expect(await readdir(join(agent, ".holdfast", "workspaces"))).toHaveLength(2);

    expect(await here("sessions", "delete", "--older-than", "1h", "--yes")).toMatchObject({
      exitCode: 0,
      stdout: "Nothing was deleted.\n",
    });
    const asked = await here("sessions", "delete", "--older-than", "1ms");
    expect(asked.exitCode).toBe(2);
    expect(asked.stderr).toMatch(/2 sessions not changed for 1ms would be deleted\n.*--yes/);
    const { stdout } = await here("sessions", "delete", "--older-than", "1ms", "--yes", "--json");
    expect(JSON.parse(stdout)).toEqual({ deleted: ["three", "two"] });
    expect(await listed()).toEqual([]);
    expect(await readdir(join(agent, ".holdfast", "workspaces"))).toEqual([]);
  });

  test("a run leaves no process behind, not even its sandbox", async () => {
    await here("run", "take a note", "--session", "s");
    const sandboxes = join(agent, ".holdfast", "sandboxes");
    expect(await readdir(sandboxes)).toHaveLength(1);
    await expect.poll(() => processesNaming(sandboxes), { timeout: 30_000 }).toEqual([]);
    expect(await here("exec", "s", "--", "cat", "note.txt")).toMatchObject({ stdout: "remember\n" });
  });

  test("looking does not make a data directory", async () => {
    const { exitCode, stderr } = await here("sessions", "list");
    expect(exitCode).toBe(4);
    expect(stderr).toContain("there are no sessions in");
    expect(await holdfast(["sessions", "list"], { cwd: agent })).toMatchObject({ exitCode: 4 });
  });
});

describe("what is wrong is said, with what to do", () => {
  test.each([
    [["run", "hi", "--agent", "nowhere"], 3, /nowhere[\s\S]*there is no such file/],
    [["run", "hi", "--model", "gpt"], 2, /"gpt" is not a model's id/],
    [["run", "hi", "--model", "nope/x"], 2, /--model nope\/x: there is no provider "nope"\nKnown: anthropic/],
    [["run", "hi", "--model", "openai/gpt-5.2"], 3, /no key for the model[\s\S]*OPENAI_API_KEY/],
    [["run", "hi", "--file", "nothing"], 4, /there is no file/],
    [["run"], 2, /the prompt is empty/],
    [["run", "--continue"], 4, /no session to continue/],
    [["run", "--session", "nope"], 4, /there is no session "nope"/],
    [["invoke", "hi", "--url", "http://127.0.0.1:9"], 7, /cannot reach a server[\s\S]*holdfast start/],
    [["run", "hi", "--data-dir", "harness.json"], 6, /harness\.json: something else[\s\S]*--data-dir/],
    [["start", "--port", "0", "--data-dir", "harness.json/x"], 6, /is a file, not a folder[\s\S]*--data-dir/],
    [["start", "--port", "x"], 2, /--port "x" is not a number from 0 to 65535/],
    [["sessions", "delete"], 2, /which sessions are to be deleted/],
    [["sessions", "delete", "s", "--older-than", "1d"], 2, /sessions are named, and --older-than/],
    [["sessions", "delete", "--older-than", "soon"], 2, /--older-than "soon" is not a duration/],
    [["exec", "s"], 2, /missing required argument 'command'/],
  ])("%j", async (words, expected, message) => {
    const { exitCode, stdout, stderr } = await here(...words);
    expect({ exitCode, stdout }).toEqual({ exitCode: expected, stdout: "" });
    expect(stderr).toMatch(message);
  });

  test("a mistake in harness.json, before anything is made", async () => {
    await changeHarness({ limit: {} });
    const { exitCode, stderr } = await here("run", "hi");
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/harness\.json:\d+:\d+ limit\n {2}unknown field\n {2}Did you mean "limits"\?/);
    expect(await here("sessions", "list")).toMatchObject({ exitCode: 4 });
  });

  test("a key that the provider does not accept", async () => {
    await using provider = await serveProvider({
      status: 401,
      body: '{"error":{"message":"Incorrect API key provided","type":"invalid_request_error"}}',
    });
    await changeHarness({ model: { id: "openai/gpt-5.2", baseUrl: `${provider.url}/v1` } });
    const run = await holdfast(["run", "hi"], { cwd: agent, env: { OPENAI_API_KEY: "wrong" } });
    expect(run.exitCode).toBe(1);
    expect(run.stdout).toMatch(/✗ openai\/gpt-5\.2: key not accepted \(HTTP 401\)/);
    expect(run.stdout).toMatch(/✗ failed: .*Incorrect API key provided\n {2}Check the provider's API key/);
  });
});
