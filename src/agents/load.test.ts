import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { isAppError } from "../lib/errors.ts";
import { defineTool } from "../tools/define.ts";
import { loadAgent, loadAgentOrThrow } from "./load.ts";

const shell = defineTool({ name: "shell", description: "", input: z.object({}), run: () => "" });
const options = {
  builtinTools: [shell],
  models: { hasKey: (name: string) => name === "anthropic", defaultModel: null },
};

/** A tool without imports, since the folder of the test has no packages. */
function toolSource(name: string, fields = ""): string {
  return `{ name: ${JSON.stringify(name)}, description: "d", inputSchema: {}, effect: "once",
    parse: (input: unknown) => ({ ok: true as const, input }), run: async () => ({ content: "done" }), ${fields} }`;
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-load-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

function writeHarness(fields: object): void {
  write({ "harness.json": JSON.stringify({ name: "clerk", systemPrompt: "Be brief.", ...fields }) });
}

async function problemsOf(fields: object) {
  writeHarness(fields);
  const result = await loadAgent(folder, options);
  return result.ok ? [] : result.problems.map(({ field, message, hint }) => ({ field, message, hint }));
}

test("the tool that asks people is there where harness.json says so, and once", async () => {
  writeHarness({ systemPrompt: "x" });
  expect([...(await loadAgentOrThrow(folder, options)).agent.tools.keys()]).not.toContain("ask_user");
  writeHarness({ systemPrompt: "x", tools: [{ type: "ask" }] });
  expect([...(await loadAgentOrThrow(folder, options)).agent.tools.keys()]).toContain("ask_user");
  writeHarness({ systemPrompt: "x", tools: [{ type: "ask" }, { type: "ask" }] });
  await expect(loadAgentOrThrow(folder, options)).rejects.toThrow(/tools\[1\]\.type.*ask_user/s);
});

test("loads an agent with all that it refers to", async () => {
  write({
    "prompt.md": "You are a clerk.\n",
    "data/a.csv": "1",
    "tools/refund.ts": `export const refund = ${toolSource("refund")};`,
  });
  writeHarness({
    systemPrompt: "./prompt.md",
    workspace: "./data",
    model: { id: "anthropic/x", reasoning: "low" },
    tools: [
      { type: "function", module: "./tools/refund.ts", effect: "keyed", timeout: "30s", parallel: true },
    ],
    permissions: { deny: ["sh*"] },
    sandbox: { memory: "512MiB" },
  });
  const { agent, file, model } = await loadAgentOrThrow(folder, options);
  expect(file).toBe(join(folder, "harness.json"));
  expect(model).toEqual({ type: "provider", id: "anthropic/x", baseUrl: null });
  expect(agent).toMatchObject({
    name: "clerk",
    systemPrompt: "You are a clerk.\n",
    model: { id: "anthropic/x", reasoning: "low" },
    limits: { turns: 50, durationMs: 1_800_000, parallelCalls: 10 },
    sandbox: { isolation: "auto", limits: { memoryBytes: 512 * 2 ** 20 } },
    workspaceTemplate: join(folder, "data"),
  });
  expect([...agent.tools.keys()]).toEqual(["shell", "refund"]);
  expect(agent.tools.get("refund")).toMatchObject({ effect: "keyed", timeoutMs: 30_000, parallel: true });
  expect(
    agent.policy({ name: "shell", input: {}, effect: "once" }, { mode: "default", rules: [] }).type,
  ).toBe("deny");
});

test("a scripted agent has a model of its own name", async () => {
  write({ "script.yaml": "turns: [{ text: Done. }]" });
  writeHarness({ model: { id: "scripted", script: "./script.yaml" } });
  const { agent, model } = await loadAgentOrThrow(folder, options);
  expect(agent.model.id).toBe("scripted/clerk");
  expect(model).toEqual({
    type: "scripted",
    script: join(folder, "script.yaml"),
    notice: null,
    insteadOf: null,
  });
});

test("tells what is missing among the files, together with mistakes in the fields", async () => {
  const problems = await problemsOf({
    systemPrompt: "./nowhere.md",
    workspace: "./nowhere",
    model: { script: "./nowhere.yaml", reasoning: "much" },
    tools: [{ type: "function", module: "./nowhere.ts" }],
    limits: { turns: "ten" },
  });
  expect(problems.map(({ field, message }) => `${field}: ${message}`)).toEqual([
    'systemPrompt: there is no file "./nowhere.md"',
    'workspace: there is no folder "./nowhere"',
    'model.script: there is no file "./nowhere.yaml"',
    'model.reasoning: expected one of "none", "low", "medium", "high", got the text "much"',
    'tools[0].module: there is no file "./nowhere.ts"',
    'limits.turns: expected a number, got the text "ten"',
  ]);
});

test.each([
  { source: "export const x = 1;", field: "module", message: '"./t.ts" exports no tool' },
  { source: "export const x = ;", field: "module", message: /^"\.\/t\.ts" cannot be loaded: / },
  { source: 'throw new Error("boom");', field: "module", message: '"./t.ts" cannot be loaded: boom' },
  {
    source: `export const a = ${toolSource("a")}; export const b = ${toolSource("b")};`,
    field: "module",
    message: '"./t.ts" exports more than one tool',
    hint: 'Say which one with "export": a, b.',
  },
  {
    source: `export const a = ${toolSource("a")};`,
    reference: { export: "b" },
    field: "export",
    message: '"./t.ts" exports no tool "b"',
    hint: "It exports: a.",
  },
  {
    source: `export const a = ${toolSource("shell")};`,
    field: "module",
    message: 'the name "shell" of its tool is taken by a tool that every agent has',
  },
  {
    source: `export const a = ${toolSource("a b")};`,
    field: "module",
    message: '"a b" cannot be the name of a tool',
  },
  {
    source: `export const a = ${toolSource("a", 'effect: "twice"')};`,
    field: "module",
    message: 'the tool "a" has the unknown effect "twice"',
  },
  {
    source: `export const a = ${toolSource("a")};`,
    reference: { effect: "reconcile" },
    field: "effect",
    message: 'the tool "a" cannot be asked what became of a call',
  },
])("explains a module: $message", async ({ source, reference, field, message, hint }) => {
  write({ "t.ts": source });
  const problems = await problemsOf({ tools: [{ type: "function", module: "./t.ts", ...reference }] });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatchObject({
    field: `tools[0].${field}`,
    message: typeof message === "string" ? message : expect.stringMatching(message),
    ...(hint === undefined ? {} : { hint }),
  });
});

test("two modules may not have tools of one name", async () => {
  write({ "t.ts": `export const a = ${toolSource("a")};`, "u.ts": `export const b = ${toolSource("a")};` });
  const module = (file: string) => ({ type: "function", module: file });
  expect(await problemsOf({ tools: [module("./t.ts"), module("./u.ts")] })).toMatchObject([
    {
      field: "tools[1].module",
      message: 'the name "a" of its tool is taken by the tool of tools[0]',
    },
  ]);
});

test("a script is read, so that its mistakes are told before it is played", async () => {
  write({ "script.yaml": "turns: 3" });
  const problems = await problemsOf({ model: { id: "scripted", script: "./script.yaml" } });
  expect(problems).toMatchObject([
    {
      field: "model.script",
      message: expect.stringMatching(/^this script cannot be played: .*script\.yaml/),
    },
  ]);
});

test("a rule for a tool that does not exist is a slip", async () => {
  expect(await problemsOf({ permissions: { deny: ["shel"] } })).toEqual([
    {
      field: "permissions.deny[0]",
      message: 'no tool of this agent is named "shel"',
      hint: 'Did you mean "shell"?',
    },
  ]);
});

test("so is a rule for an argument that does not exist, which would forbid everything", async () => {
  const schema = 'inputSchema: { properties: { to: { type: "string" }, amount: { type: "number" } } }';
  write({ "t.ts": `export default ${toolSource("pay", schema)};` });
  const permissions = { deny: ["pay(amuont<=50)"], users: { alice: { allow: ["pay(to<5)"] } } };
  const tools = [{ type: "function", module: "./t.ts" }];
  expect(await problemsOf({ tools, permissions })).toEqual([
    {
      field: "permissions.deny[0]",
      message: '"pay" has no argument "amuont"',
      hint: 'Did you mean "amount"?',
    },
    {
      field: "permissions.users.alice.allow[0]",
      message: '"<" is for numbers, and the type of "to" is string',
      hint: "= and != are for every type.",
    },
  ]);
});

test("so is a hook for a tool that does not exist", async () => {
  const hooks = [{ on: "beforeTool", command: "true", tools: ["find_tools", "sh*", "shel"] }];
  expect(await problemsOf({ hooks })).toEqual([
    {
      field: "hooks[0].tools[2]",
      message: 'no tool of this agent is named "shel"',
      hint: 'Did you mean "shell"?',
    },
  ]);
});

test("a hook's command that cannot be run today is a warning", async () => {
  write({ "plain.sh": "#!/bin/sh\n", "fit.sh": "#!/bin/sh\n" });
  chmodSync(join(folder, "fit.sh"), 0o755);
  const commands = ["./fit.sh --strict", "./plain.sh", "./nowhere.sh", "sh ./plain.sh", "cd ./x && ./y"];
  writeHarness({ hooks: commands.map((command) => ({ on: "runEnd", command })) });
  const { warnings } = await loadAgentOrThrow(folder, options);
  expect(warnings).toEqual([
    `hooks[1].command: "./plain.sh" is not executable: chmod +x ${join(folder, "plain.sh")}`,
    `hooks[2].command: there is no file "./nowhere.sh" (looked for ${join(folder, "nowhere.sh")})`,
  ]);
});

test("a mistake in a module is told once, however many tools name it", async () => {
  write({ "t.ts": 'throw new Error("boom");' });
  const tools = ["a", "b", "c"].map((name) => ({ type: "function", module: "./t.ts", export: name }));
  const other = { type: "function", module: "./nowhere.ts" };
  expect(await problemsOf({ tools: [...tools, other] })).toMatchObject([
    { field: "tools[0].module", message: '"./t.ts" cannot be loaded: boom (and 2 more tools name it)' },
    { field: "tools[3].module", message: 'there is no file "./nowhere.ts"' },
  ]);
});

test.each([
  [{ id: "anthropc/x" }, "model"],
  [{ id: "anthropic/x", fallback: ["openai/x", { id: "anthropc/y" }] }, "model.fallback[1]"],
])("the provider of each model is one that is known: %j", async (model, field) => {
  expect(await problemsOf({ model })).toEqual([
    { field, message: 'no model provider is named "anthropc"', hint: 'Did you mean "anthropic"?' },
  ]);
});

test("so is the provider of the classifier's model", async () => {
  expect(await problemsOf({ permissions: { classifier: { model: "anthropc/x" } } })).toEqual([
    {
      field: "permissions.classifier.model",
      message: 'no model provider is named "anthropc"',
      hint: 'Did you mean "anthropic"?',
    },
  ]);
});

test("a reminder after the end of the question is a warning", async () => {
  writeHarness({ approvals: { expiresAfter: "2h", remindAfter: ["1h", "1d"] } });
  const { warnings } = await loadAgentOrThrow(folder, options);
  expect(warnings).toEqual([
    "approvals.remindAfter[1]: nobody is reminded after 1d, since the question ends after 2h",
  ]);
});

test("a fallback may be on the server of the model", async () => {
  const own = { id: "mine/x", baseUrl: "http://127.0.0.1:1/v1" };
  expect(await problemsOf({ model: { ...own, fallback: ["mine/y"] } })).toEqual([]);
  expect(await problemsOf({ model: { ...own, fallback: ["other/y"] } })).toHaveLength(1);
});

test("a fallback may say what it costs", async () => {
  const prices = { input: 2, output: 6 };
  writeHarness({ model: { id: "anthropic/x", fallback: ["openai/x", { id: "openai/y", prices }] } });
  const { agent } = await loadAgentOrThrow(folder, options);
  expect(agent.model.fallback).toEqual(["openai/x", "openai/y"]);
  expect(agent.model.fallbackFacts).toEqual([{ id: "openai/x" }, { id: "openai/y", prices }]);
});

test("the name of a file is not taken for a prompt", async () => {
  expect(await problemsOf({ systemPrompt: "prompt.md" })).toMatchObject([
    { hint: 'For a file: "./prompt.md".' },
  ]);
});

test("a folder without harness.json", async () => {
  const error = await loadAgentOrThrow(folder, options).catch((error: unknown) => error);
  expect(isAppError(error, "invalid_config") && error.message).toBe(
    `${join(folder, "harness.json")}\n  there is no such file\n  An agent is a folder with a harness.json. \`holdfast create <folder>\` makes one; or name one that exists.`,
  );
});
