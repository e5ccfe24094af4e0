import { join, resolve } from "node:path";
import { AppError } from "../lib/errors.ts";
import { isDirectory, isFile, readTextIfAny } from "../lib/files.ts";
import type { Tool } from "../tools/tool.ts";
import { type BuildOptions, type BuiltAgent, buildAgent } from "./build.ts";
import { formatProblems, type Problem } from "./problem.ts";
import { readHarness } from "./read.ts";
import { resolveReferences } from "./resolve.ts";

export interface LoadOptions extends BuildOptions {
  /** The tools that every agent has, first in the model's list. */
  readonly builtinTools: readonly Tool[];
}

export interface LoadedAgent extends BuiltAgent {
  /** The harness.json, absolute. */
  readonly file: string;
  /** What does not keep the agent from running, and most likely is not what was meant. */
  readonly warnings: readonly string[];
}

export type LoadResult =
  | { readonly ok: true; readonly loaded: LoadedAgent }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Reads an agent: a harness.json or the folder that holds one, and every file that it names. Finds all problems at once.
 * That no model key is set is not among them, since it is no mistake of the files: see `LoadedAgent.model`.
 */
export async function loadAgent(path: string, options: LoadOptions): Promise<LoadResult> {
  const file = (await isDirectory(path)) ? join(path, "harness.json") : path;
  const text = await readTextIfAny(file);
  if (text === undefined) return { ok: false, problems: [await whyNotReadable(file)] };

  const source = readHarness(text, file);
  const found = await resolveReferences(source, options.builtinTools);
  const problems = [...source.problems, ...found.problems];
  if (source.harness === undefined || problems.length > 0) {
    return { ok: false, problems: inFileOrder(problems) };
  }
  const { warnings } = found;
  const built = buildAgent(source.harness, found, options);
  return { ok: true, loaded: { ...built, file: resolve(file), warnings } };
}

/** As `loadAgent`. @throws AppError `invalid_config` that tells every problem; `details.problems` has them as data. */
export async function loadAgentOrThrow(path: string, options: LoadOptions): Promise<LoadedAgent> {
  const result = await loadAgent(path, options);
  if (result.ok) return result.loaded;
  throw new AppError("invalid_config", formatProblems(result.problems), {
    details: { problems: result.problems },
  });
}

async function whyNotReadable(file: string): Promise<Problem> {
  if (await isFile(file)) return { file, field: null, message: "this file cannot be read" };
  const hint =
    "An agent is a folder with a harness.json. `holdfast create <folder>` makes one; or name one that exists.";
  return { file, field: null, message: "there is no such file", hint };
}

function inFileOrder(problems: readonly Problem[]): readonly Problem[] {
  return problems.toSorted(
    ({ position: a }, { position: b }) =>
      (a?.line ?? 0) - (b?.line ?? 0) || (a?.column ?? 0) - (b?.column ?? 0),
  );
}
