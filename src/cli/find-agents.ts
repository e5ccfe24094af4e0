import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type LoadedAgent, type LoadOptions, loadAgent } from "../agents/load.ts";
import { formatProblems, type Problem } from "../agents/problem.ts";
import type { Config } from "../config.ts";
import { AppError } from "../lib/errors.ts";
import { isFile } from "../lib/files.ts";
import { builtinTools } from "../tools/builtin/builtin.ts";
import { shortPath } from "./short-path.ts";

/** The harness.json in a folder, or else those in its folders and in the folders of `agents/`, by name. */
export async function findHarnessFiles(folder: string): Promise<readonly string[]> {
  const own = join(folder, "harness.json");
  if (await isFile(own)) return [own];
  const found: string[] = [];
  for (const parent of [folder, join(folder, "agents")]) {
    const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
    const names = entries
      .filter((entry) => !entry.isFile() && !entry.name.startsWith("."))
      .map(({ name }) => name);
    for (const name of names.sort()) {
      const file = join(parent, name, "harness.json");
      if (name !== "node_modules" && (await isFile(file))) found.push(file);
    }
  }
  return found;
}

/** The agents at these paths, or, without any, those that are found here. @throws AppError `invalid_config` that tells all mistakes of all. */
export async function loadAgents(
  paths: readonly string[],
  cwd: string,
  config: WithModels,
): Promise<readonly LoadedAgent[]> {
  const files = paths.length > 0 ? paths.map((path) => resolve(cwd, path)) : await findHarnessFiles(cwd);
  if (files.length === 0) {
    throw new AppError("invalid_config", `there is no agent in ${cwd}`, {
      hint: "An agent is a folder with a harness.json: make one with `holdfast create my-agent`, or name one.",
    });
  }
  const results = await Promise.all(files.map((file) => loadAgent(file, loadOptions(config))));
  const problems = results.flatMap((result) => (result.ok ? [] : result.problems));
  if (problems.length > 0) throw mistakes(problems, cwd);
  return results.flatMap((result) => (result.ok ? [result.loaded] : []));
}

/** The one at this path. @throws AppError `invalid_config` */
export async function loadOneAgent(path: string, cwd: string, config: WithModels): Promise<LoadedAgent> {
  const result = await loadAgent(resolve(cwd, path), loadOptions(config));
  if (result.ok) return result.loaded;
  throw mistakes(result.problems, cwd);
}

type WithModels = Pick<Config, "models">;

function loadOptions({ models }: WithModels): LoadOptions {
  return { builtinTools: builtinTools(), models };
}

function mistakes(problems: readonly Problem[], cwd: string): AppError {
  const shown = problems.map((problem) => ({ ...problem, file: shortPath(problem.file, cwd) }));
  return new AppError("invalid_config", formatProblems(shown), { details: { problems } });
}
