import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

/**
 * The package as it is published, in a project that has only what the package declares: what `npm pack` puts into it, from
 * the build that `npm test` has made.
 */
const run = promisify(execFile);
const repository = join(import.meta.dirname, "..", "..");
const manifest = JSON.parse(await readFile(join(repository, "package.json"), "utf8"));
let project = "";

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "holdfast-package-"));
  const modules = join(project, "node_modules");
  await mkdir(modules);
  const packed = await run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", project], {
    cwd: repository,
  });
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
  await run("tar", ["xzf", filename], { cwd: project });
  await run("mv", [join(project, "package"), join(modules, "holdfast")]);
  for (const name of Object.keys(manifest.dependencies)) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(repository, "node_modules", name), join(modules, name));
  }
  await writeFile(
    join(project, "package.json"),
    JSON.stringify({ name: "user", type: "module", private: true }),
  );
}, 60_000);

afterAll(() => rm(project, { recursive: true, force: true }));

function node(...args: readonly string[]) {
  return run(process.execPath, args, { cwd: project, env: { PATH: process.env.PATH, HOME: project } });
}

const holdfast = (...args: readonly string[]) => node("node_modules/holdfast/dist/cli/main.js", ...args);

test("has a command line that makes an agent and runs it", async () => {
  expect((await holdfast("--version")).stdout.trim()).toBe(manifest.version);
  await holdfast("create", "helper");
  await writeFile(
    join(project, "helper", "script.yaml"),
    'turns:\n  - calls: [{ tool: shell, input: { command: "echo hello > note; cat note" } }]\n  - text: "It says: {{result.shell}}"\n',
  );
  const file = join(project, "helper", "harness.json");
  const harness = JSON.parse(await readFile(file, "utf8"));
  const scripted = {
    ...harness,
    model: { id: "scripted", script: "./script.yaml" },
    sandbox: { isolation: "virtual" },
  };
  await writeFile(file, JSON.stringify(scripted));
  await holdfast("validate", "helper");
  const { stdout } = await holdfast("run", "--agent", "helper", "Write a note.");
  expect(stdout).toContain("It says: hello");
}, 60_000);

test("is a library with types, and a second entry for tests", async () => {
  await writeFile(
    join(project, "program.ts"),
    `import { defineTool, openRuntime } from "holdfast";
import { createScriptedModel } from "holdfast/testing";
import { z } from "zod";
const look = defineTool({ name: "look", description: "Looks.", input: z.object({}), effect: "readonly", run: () => "a cat" });
const model = createScriptedModel({ turns: [{ calls: [{ tool: "look" }] }, { text: "I see {{result.look}}." }] });
await using runtime = await openRuntime({
  agents: [{ name: "seer", systemPrompt: "You see.", model: "scripted", tools: [look] }],
  models: () => model,
});
const session = await runtime.session();
const { text, reason } = await (await session.send("What do you see?")).result();
console.log(text, reason satisfies string);
`,
  );
  expect((await node("--disable-warning=ExperimentalWarning", "program.ts")).stdout).toBe(
    "I see a cat. endTurn\n",
  );
  const tsc = join(repository, "node_modules", ".bin", "tsc");
  const options = [
    "--noEmit",
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2024",
    "--lib",
    "es2024,esnext",
  ];
  await run(
    process.execPath,
    [
      tsc,
      ...options,
      "--typeRoots",
      join(repository, "node_modules/@types"),
      "--types",
      "node",
      "program.ts",
    ],
    {
      cwd: project,
    },
  ).catch((error: { stdout?: string }) => expect.fail(error.stdout ?? String(error)));
}, 60_000);
