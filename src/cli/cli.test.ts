import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { commands, runCli } from "./cli.ts";
import type { RunnableCommand } from "./command.ts";

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "holdfast-cli-"));
});
afterEach(() => rmSync(cwd, { recursive: true }));

async function run(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  let stdout = "";
  let stderr = "";
  const exitCode = await runCli(words, {
    cwd,
    env,
    stdin: Readable.from([]),
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    interruption: () => new AbortController().signal,
  });
  return { exitCode, stdout, stderr };
}

function runnable(): readonly { path: string; command: RunnableCommand }[] {
  return commands.flatMap((command) =>
    "commands" in command
      ? command.commands.map((inner) => ({ path: `${command.name} ${inner.name}`, command: inner }))
      : [{ path: command.name, command }],
  );
}

describe("help", () => {
  test("without a word, and with --help, it lists every command", async () => {
    const { exitCode, stdout, stderr } = await run([]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    for (const { name, summary } of commands) {
      expect(stdout).toContain(name);
      expect(stdout.replace(/\s+/g, " ")).toContain(summary);
    }
    expect(await run(["--help"])).toEqual({ exitCode, stdout, stderr });
  });

  test("each command has an example that begins with its name", async () => {
    for (const { path, command } of runnable()) {
      const { exitCode, stdout } = await run([...path.split(" "), "--help"]);
      expect(exitCode).toBe(0);
      expect(command.examples.length, path).toBeGreaterThan(0);
      for (const example of command.examples) {
        expect(example.command, path).toContain(`holdfast ${path}`);
        expect(stdout).toContain(example.command);
      }
    }
  });

  test("--version is that of the package", async () => {
    expect((await run(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
  });
});

describe("wrong use ends with 2 and names the help to look at", () => {
  test.each([
    [["creat"], /^error: unknown command 'creat'\n\(Did you mean create\?\)\nSee: holdfast --help\n$/],
    [["create"], /^error: missing required argument 'folder'\nSee: holdfast create --help\n$/],
    [["create", "a", "b"], /^error: too many arguments .*\nSee: holdfast create --help\n$/],
    [
      ["doctor", "--jsn"],
      /^error: unknown option '--jsn'\n\(Did you mean --json\?\)\nSee: holdfast doctor --help\n$/,
    ],
  ])("%j", async (words, message) => {
    const { exitCode, stdout, stderr } = await run(words);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toMatch(message);
  });

  test.each([
    [["doctor", "--repair"], "which session is to be repaired?\nName it: holdfast doctor <session> --repair"],
    [["costs", "--since", "7"], '--since "7" is not a duration\nWrite it with its unit, like "7d".'],
    [
      ["sessions", "delete", "--older-than", "30"],
      '--older-than "30" is not a duration\nWrite it with its unit, like "30d".',
    ],
    [
      ["sessions", "delete", "s", "--older-than", "30d"],
      "sessions are named, and --older-than describes others\nLeave one of the two out.",
    ],
    [
      ["start", "--drain-timeout", "5"],
      '--drain-timeout "5" is not a duration\nWrite it with its unit, like "5s".',
    ],
  ])("%j, with what to write instead", async (words, message) => {
    expect(await run(words)).toEqual({ exitCode: 2, stdout: "", stderr: `error: ${message}\n` });
  });

  test("as JSON for programs", async () => {
    const { stderr } = await run(["create", "--json"]);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: "invalid_input" } });
  });
});

describe("create", () => {
  test("writes an agent that is valid, and says what to do next", async () => {
    const { exitCode, stdout } = await run(["create", "My Agent"], { OPENAI_API_KEY: "k" });
    expect(exitCode).toBe(0);
    expect(stdout).toContain("Created the agent my-agent");
    expect(stdout).toContain(`Next:\n  cd 'My Agent' && holdfast run`);
    for (const file of [
      "harness.json",
      "system-prompt.md",
      "workspace/notes.md",
      ".gitignore",
      "harness.schema.json",
    ]) {
      expect(existsSync(join(cwd, "My Agent", file)), file).toBe(true);
    }
    expect(existsSync(join(cwd, "My Agent", "skills"))).toBe(false);
    expect(stdout).toContain("It may edit its files and run commands in its sandbox without asking");
    expect((await run(["validate", "My Agent"])).stdout).toContain("mode acceptEdits, 1 allow rule\n");
  });

  test("writes the schema beside the harness where no installed package has it", async () => {
    await run(["create", "a"]);
    const harness = JSON.parse(readFileSync(join(cwd, "a/harness.json"), "utf8"));
    expect(harness.$schema).toBe("./harness.schema.json");
    const schema = JSON.parse(readFileSync(join(cwd, "a", harness.$schema), "utf8"));
    expect(schema.properties).toHaveProperty("systemPrompt");
  });

  test("says which key to set where there is none", async () => {
    expect((await run(["create", "a"])).stdout).toContain(
      "Set ANTHROPIC_API_KEY, OPENAI_API_KEY or OLLAMA_HOST",
    );
  });

  test("names the schema of the nearest installed package", async () => {
    mkdirSync(join(cwd, "node_modules/holdfast/schema"), { recursive: true });
    writeFileSync(join(cwd, "node_modules/holdfast/schema/harness.json"), "{}");
    await run(["create", "agents/clerk"]);
    const harness = JSON.parse(readFileSync(join(cwd, "agents/clerk/harness.json"), "utf8"));
    expect(harness).toMatchObject({
      $schema: "../../node_modules/holdfast/schema/harness.json",
      name: "clerk",
    });
    expect(existsSync(join(cwd, "agents/clerk/harness.schema.json"))).toBe(false);
  });

  test("overwrites nothing", async () => {
    mkdirSync(join(cwd, "a"));
    writeFileSync(join(cwd, "a", "system-prompt.md"), "mine");
    const { exitCode, stdout, stderr } = await run(["create", "a", "--json"]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 6, stdout: "" });
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: "conflict", details: { files: ["system-prompt.md"] } },
    });
    expect(readFileSync(join(cwd, "a", "system-prompt.md"), "utf8")).toBe("mine");
    expect(existsSync(join(cwd, "a", "harness.json"))).toBe(false);
  });

  test.each([
    [["create", "???"], 2],
    [["create", "a", "--name", "A B"], 2],
  ])("%j is refused", async (words, expected) => {
    expect((await run(words)).exitCode).toBe(expected);
    expect(existsSync(join(cwd, "a"))).toBe(false);
  });

  test("a folder that cannot be made is no defect", async () => {
    writeFileSync(join(cwd, "afile"), "");
    const { exitCode, stderr } = await run(["create", "afile/sub"]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 6,
      stderr: `error: cannot make the folder ${join(cwd, "afile/sub")}: a part of the path is a file, not a folder\nName a folder in another place.\n`,
    });
  });

  test("answers programs with JSON", async () => {
    expect(JSON.parse((await run(["create", "a", "--json"])).stdout)).toMatchObject({
      agent: "a",
      folder: join(cwd, "a"),
      files: ["harness.json", "system-prompt.md", "workspace/notes.md", ".gitignore", "harness.schema.json"],
    });
  });
});

describe("validate", () => {
  function writeHarness(text: string): void {
    writeFileSync(join(cwd, "harness.json"), text);
  }

  test("tells that an agent is fit to run, and what this machine lacks for it", async () => {
    writeHarness('{ "name": "a", "systemPrompt": "b" }');
    const { exitCode, stdout } = await run(["validate"]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /^harness\.json: ok \(a, anthropic\/\S+, \d+ tools\)\n {2}Permissions: mode default, no rules\n {2}On this machine: no model key found\./,
    );
    expect((await run(["validate"], { ANTHROPIC_API_KEY: "k" })).stdout).not.toContain("On this machine");
  });

  test("explains each mistake, with paths from where one stands", async () => {
    writeHarness('{\n  "name": "a",\n  "systemPrompt": "./b.md",\n  "limits": { "turn": 3 }\n}');
    const { exitCode, stdout, stderr } = await run(["validate", "."]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 3, stderr: "" });
    expect(stdout).toBe(
      [
        "harness.json:3:3 systemPrompt",
        '  there is no file "./b.md"',
        `  Looked for ${join(cwd, "b.md")}.`,
        "",
        "harness.json:4:15 limits.turn",
        "  unknown field",
        '  Did you mean "turns"?',
        "",
        "2 mistakes\n",
      ].join("\n"),
    );
  });

  test("answers programs with JSON, for several agents at once", async () => {
    await run(["create", "good"]);
    writeHarness("{");
    const { exitCode, stdout } = await run(["validate", "good", ".", "nowhere", "--json"]);
    expect(exitCode).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      agents: [{ name: "good", file: join(cwd, "good/harness.json"), model: { type: "missing" } }],
      problems: [
        { file: join(cwd, "harness.json"), position: { line: 1, column: 2 } },
        { file: join(cwd, "nowhere"), message: "there is no such file" },
      ],
    });
  });

  test("shows control characters of the file as signs", async () => {
    writeHarness('{ "name": "a\u001b]0;owned\u0007", "systemPrompt": "b" }');
    const { stdout } = await run(["validate"]);
    expect(stdout).toContain('"a␛]0;owned␇"');
    expect(stdout).not.toMatch(/[^\P{Cc}\n]/u);
  });

  test("warns of budgets that a model will not be held to, and of hooks that cannot be run", async () => {
    writeFileSync(join(cwd, "script.yaml"), "turns: [{ text: Done. }]");
    const model = { id: "google/unheard-of", script: "./script.yaml", fallback: ["openai/unheard-of"] };
    const hooks = [{ on: "runEnd", command: "./check.sh" }];
    writeHarness(JSON.stringify({ name: "a", systemPrompt: "b", model, hooks, limits: { costUsd: 1 } }));
    const { exitCode, stdout } = await run(["validate"]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("price of google/unheard-of is not known");
    expect(stdout).toContain("price of openai/unheard-of is not known");
    expect(stdout).toContain('hooks[0].command: there is no file "./check.sh"');
  });

  test("a wrong setting of the environment is no mistake of the agent, and ends with 3, too", async () => {
    writeHarness('{ "name": "a", "systemPrompt": "b" }');
    const { exitCode, stderr } = await run(["validate"], { HOLDFAST_PORT: "x" });
    expect(exitCode).toBe(3);
    expect(stderr).toContain('HOLDFAST_PORT "x" is not a number');
  });
});
