import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** The real program in a process of its own, with pipes instead of a terminal. */
const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

function holdfast(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const options = { env: { PATH: process.env.PATH, ...env }, cwd: tmpdir() };
  return new Promise<{ exitCode: unknown; stdout: string; stderr: string }>((settle) => {
    execFile(process.execPath, [main, ...words], options, (error, stdout, stderr) =>
      settle({ exitCode: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

test("prints its help, without colours in a pipe and without warnings", async () => {
  const { exitCode, stdout, stderr } = await holdfast(["--help"]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(stdout).toContain("Usage: holdfast");
  expect(stdout).not.toContain("\u001b");
});

test("prints colours where they are wanted", async () => {
  expect((await holdfast(["--help"], { FORCE_COLOR: "1" })).stdout).toContain("\u001b[1mUsage:");
});

test("wrong use ends the process with its exit code", async () => {
  expect(await holdfast(["validat"])).toEqual({
    exitCode: 2,
    stdout: "",
    stderr: "error: unknown command 'validat'\n(Did you mean validate?)\nSee: holdfast --help\n",
  });
});

test("a mistake in an agent ends the process with its exit code", async () => {
  const { exitCode, stdout } = await holdfast(["validate", "no-such-agent", "--json"]);
  expect(exitCode).toBe(3);
  expect(JSON.parse(stdout)).toMatchObject({ ok: false });
});

test("a tool in a package of CommonJS modules is explained", async () => {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-main-"));
  const tools = [{ type: "function", module: "./t.ts" }];
  await writeFile(join(folder, "harness.json"), JSON.stringify({ name: "a", systemPrompt: "b", tools }));
  await writeFile(join(folder, "package.json"), '{ "type": "commonjs" }');
  await writeFile(join(folder, "t.ts"), "export const t = 1;");
  const { exitCode, stdout } = await holdfast(["validate", folder]);
  await rm(folder, { recursive: true });
  expect(exitCode).toBe(3);
  expect(stdout).toContain(`"./t.ts" cannot be loaded: Unexpected token 'export'`);
  expect(stdout).toContain('Write "type": "module" into the nearest package.json');
});

test("the doctor comes to an end and tells no secret", async () => {
  const env = { ANTHROPIC_API_KEY: "sk-very-secret", HOLDFAST_TOKEN: "0123456789abcdef-secret" };
  const { exitCode, stdout, stderr } = await holdfast(["doctor", "--json"], env);
  expect([0, 7]).toContain(exitCode);
  const { checks } = JSON.parse(stdout) as { readonly checks: readonly { readonly name: string }[] };
  expect(checks.map(({ name }) => name)).toEqual([
    "node",
    "sandbox process",
    "sandbox virtual",
    "sandbox none",
    "store",
    "model keys",
    "ripgrep",
  ]);
  expect(stdout + stderr).not.toContain("secret");
});
