import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { holdfast, startHoldfast } from "./holdfast-process.ts";

/** Modes, rules and explanations as people and scripts meet them. */

const harness = {
  name: "builder",
  systemPrompt: "You build.",
  model: { id: "scripted", script: "./script.json" },
  sandbox: { isolation: "virtual" },
  permissions: { mode: "acceptEdits", deny: ["shell(rm *)"], allow: ["shell(echo *)"] },
};

/** A command that is allowed, one that is forbidden, and one that nothing speaks of. */
const script = {
  turns: [
    {
      when: { step: 1 },
      times: "any",
      calls: [
        { tool: "shell", input: { command: "echo hello" } },
        { tool: "write", input: { path: "note.txt", content: "remember\n" } },
      ],
    },
    {
      when: { step: 2, user: "delete" },
      times: "any",
      calls: [{ tool: "shell", input: { command: "ls; rm note.txt" } }],
    },
    { times: "any", text: "That is all." },
  ],
};

let agent: string;
beforeEach(async () => {
  agent = await mkdtemp(join(tmpdir(), "holdfast-builder-"));
  await writeHarness({});
  await writeFile(join(agent, "script.json"), JSON.stringify(script));
});
afterEach(() => rm(agent, { recursive: true, force: true }));

const writeHarness = (more: object) =>
  writeFile(join(agent, "harness.json"), JSON.stringify({ ...harness, ...more }));
const here = (...words: readonly string[]) => holdfast(words, { cwd: agent });
const json = async (...words: readonly string[]) => JSON.parse((await here(...words, "--json")).stdout);

test("a refused call says by which rule, and can be explained; so can one that was not made", async () => {
  const done = await here("run", "Please delete it.", "--session", "s1");
  expect(done).toMatchObject({ exitCode: 0 });
  expect(done.stdout).toContain('not started: not allowed by the rule "deny: shell(rm *) (harness.json)"');
  const log: { readonly type: string; readonly callId?: string; readonly outcome?: string }[] = (
    await json("sessions", "show", "s1")
  ).entries;
  const denied = log.find(({ outcome }) => outcome === "denied")?.callId ?? "none";

  const why = await here("permissions", "explain", "s1", denied);
  expect(why).toMatchObject({ exitCode: 0 });
  expect(why.stdout).toMatch(
    /^shell {2}ls; rm note\.txt\n {2}mode +acceptEdits\n {2}risk +hard to take back/,
  );
  expect(why.stdout).toContain('denied by the rule "deny: shell(rm *) (harness.json)"');
  expect(why.stdout).toMatch(/✓ ls {2}mode acceptEdits\n/);
  expect(why.stdout).toMatch(/What happened\n.* denied: not started/);
  expect(why.stdout).not.toContain("Since then");

  await writeHarness({ permissions: { mode: "acceptEdits", ask: ["shell(rm *)"] } });
  expect((await here("permissions", "explain", "s1", denied)).stdout).toContain(
    "it was denied then; today's mode and rules ask a person",
  );
  expect(await json("permissions", "explain", "s1", denied)).toMatchObject({
    decision: { type: "ask" },
    past: { callId: denied, tool: "shell" },
    changed: expect.stringContaining("denied then"),
  });

  const input = '{"command":"echo a > b"}';
  const hypothetical = await here("permissions", "explain", "--tool", "shell", "--input", input);
  expect(hypothetical.stdout).toMatch(/✓ > b {2}mode acceptEdits/);
  const planned = await json(
    "permissions",
    "explain",
    "s1",
    "--tool",
    "write",
    "--input",
    '{"path":"a","content":""}',
    "--mode",
    "plan",
  );
  expect(planned).toMatchObject({
    mode: "plan",
    decision: { type: "deny", permission: { by: "mode plan" } },
  });

  expect(await here("permissions", "explain", "s1", "nothing")).toMatchObject({
    exitCode: 4,
    stderr: expect.stringContaining(denied),
  });
  expect(await here("permissions", "explain")).toMatchObject({ exitCode: 2 });
  expect(await here("permissions", "explain", "--tool", "shell", "--input", "{")).toMatchObject({
    exitCode: 2,
  });
});

test("a mode for a run, and one from outside; rules that are added and taken back", async () => {
  const plan = await here("run", "Please.", "--session", "s1", "--mode", "plan");
  expect(plan.stdout).toContain("▸ mode plan from here on");
  expect(plan.stdout).toContain("not started: not allowed by the mode plan");
  expect(await here("run", "Please.", "--mode", "none")).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("Known: default, acceptEdits"),
  });
  expect(await here("permissions", "mode", "s1", "dontAsk")).toMatchObject({ exitCode: 0 });
  expect(await here("permissions", "mode", "s1", "bypass")).toMatchObject({
    exitCode: 5,
    stderr: expect.stringContaining("--allow-bypass"),
  });

  await here("permissions", "deny", "s1", "write", "--as", "ada");
  await here("permissions", "allow", "s1", "shell(make *)", "--agent-wide");
  expect(await here("permissions", "ask", "s1", "shell(")).toMatchObject({ exitCode: 2 });
  // What is said holds at once, whether or not anybody works on the session.
  const rules = await here("permissions", "rules", "s1");
  expect(rules.stdout).toMatch(/^mode dontAsk\nLIST +RULE +FROM\n/);
  expect(rules.stdout).toMatch(/allow +shell\(make \*\) +all sessions of builder\n/);
  expect(rules.stdout).toMatch(/deny +write +this session\n/);
  expect(rules.stdout).toMatch(/deny +shell\(rm \*\) +harness\.json\n/);
  const again = await here("run", "Please.", "--session", "s1");
  expect(again.stdout).toContain('not allowed by the rule "deny: write (this session)"');

  expect(await here("permissions", "remove", "s1", "shell(make *)")).toMatchObject({ exitCode: 0 });
  expect((await here("permissions", "rules", "s1")).stdout).not.toContain("make");
  expect(await here("permissions", "remove", "s1", "shell(make *)")).toMatchObject({ exitCode: 4 });
  expect(await here("permissions", "remove", "s1", "write")).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("stays as long as it does"),
  });
});

test("sessions are found by how their last run ended", async () => {
  await here("run", "Please.", "--session", "s1");
  expect(await json("sessions", "list", "--ended", "endTurn")).toMatchObject({ sessions: [{ id: "s1" }] });
  expect(await json("sessions", "list", "--ended", "abandoned")).toEqual({ sessions: [], next: null });
  expect(await here("sessions", "list", "--ended", "well")).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("abandoned"),
  });
});

describe("bypass", () => {
  const unrestricted = { permissions: { mode: "bypass", deny: ["shell(rm *)"] } };

  test("has to be allowed where the process starts, and denies what is forbidden even so", async () => {
    await writeHarness(unrestricted);
    const refused = await here("run", "Please.");
    expect(refused).toMatchObject({ exitCode: 3, stdout: "" });
    expect(refused.stderr).toContain("Start it with --allow-bypass");
    const done = await here("run", "Please delete it.", "--allow-bypass");
    expect(done).toMatchObject({ exitCode: 0 });
    expect(done.stdout).toContain('not allowed by the rule "deny: shell(rm *)');
  });

  test("is not for commands on this machine itself, nor for callers elsewhere", async () => {
    await writeHarness({ ...unrestricted, sandbox: { isolation: "none" } });
    expect(await here("run", "Please.", "--allow-bypass")).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining("its commands run on this machine itself"),
    });
    await writeHarness({});
    const env = { HOLDFAST_TOKENS: "0123456789abcdef0123456789abcdef" };
    const words = ["start", "--port", "0", "--host", "0.0.0.0", "--allow-bypass"];
    expect(await holdfast(words, { cwd: agent, env })).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining("--allow-bypass is not for a server that others reach"),
    });
    const behind = { HOLDFAST_PUBLIC_URL: "https://agents.example.test" };
    expect(
      await holdfast(["start", "--port", "0", "--allow-bypass"], { cwd: agent, env: behind }),
    ).toMatchObject({
      exitCode: 3,
    });
  });

  test("a session is switched to it by name", async () => {
    await writeHarness({ permissions: {} });
    expect((await here("run", "Please.", "--session", "s1")).exitCode).toBe(11);
    const done = await here("run", "--session", "s1", "--mode", "bypass", "--allow-bypass");
    expect(done).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining("▸ mode bypass from here on"),
    });
  });
});

test("the same over HTTP", async () => {
  const server = startHoldfast(["start", "--port", "0"], { cwd: agent });
  try {
    const [url = ""] = await server.until(/http:\/\/127\.0\.0\.1:\d+/);
    const at = (...words: readonly string[]) => here(...words, "--url", url);
    const planned = await at("invoke", "Please.", "--session", "s1", "--mode", "plan");
    expect(planned).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining("not allowed by the mode plan"),
    });
    expect(await at("permissions", "mode", "s1", "acceptEdits", "--as", "ada")).toMatchObject({
      exitCode: 0,
    });
    expect(await at("permissions", "allow", "s1", "shell(make *)", "--agent-wide")).toMatchObject({
      exitCode: 0,
    });
    expect(await at("permissions", "deny", "s1", "write")).toMatchObject({ exitCode: 0 });
    const again = await at("invoke", "Please.", "--session", "s1");
    expect((await at("sessions", "show", "s1")).stdout).toContain("▸ mode acceptEdits from here on, by ada");
    expect(again.stdout).toContain('not allowed by the rule "deny: write (this session)"');
    expect((await at("permissions", "rules", "s1")).stdout).toMatch(/deny +write +this session/);
    const denied = (
      await at("permissions", "explain", "s1", "--tool", "write", "--input", '{"path":"a","content":""}')
    ).stdout;
    expect(denied).toContain('denied by the rule "deny: write (this session)"');
    const elsewhere = await mkdtemp(join(tmpdir(), "holdfast-elsewhere-"));
    const words = ["permissions", "explain", "s1", "--tool", "write", "--url", url];
    expect(await holdfast(words, { cwd: elsewhere })).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining("Name its folder with --agent"),
    });
    await rm(elsewhere, { recursive: true });
  } finally {
    server.signal("SIGTERM");
    await server.ended;
  }
  expect(await readFile(join(agent, "harness.json"), "utf8")).toContain("acceptEdits");
});
