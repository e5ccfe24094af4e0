import { join, resolve } from "node:path";
import { AppError } from "../lib/errors.ts";
import { isDirectory, isFile, readTextIfAny } from "../lib/files.ts";
import { parseDuration, parseSize } from "../lib/units.ts";
import { policyFromRules } from "../permissions/rules.ts";
import type { Tool } from "../tools/tool.ts";
import type { Agent, AgentModel } from "./agent.ts";
import { chooseModel, type ModelAccess, type ModelChoice } from "./choose-model.ts";
import type { Harness } from "./harness.ts";
import { formatProblems, type Problem } from "./problem.ts";
import { readHarness } from "./read.ts";
import { type Resolved, resolveReferences } from "./resolve.ts";

export interface LoadOptions {
  /** The tools that every agent has, first in the model's list. */
  readonly builtinTools: readonly Tool[];
  readonly models: ModelAccess;
}

export interface LoadedAgent {
  readonly agent: Agent;
  /** The harness.json, absolute. */
  readonly file: string;
  /** Which model answers, and why. `agent.model.id` is its id; a scripted one is "scripted/<name of the agent>". */
  readonly model: ModelChoice;
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
  return { ok: true, loaded: toLoadedAgent(source.harness, found, { file, models: options.models }) };
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

function toLoadedAgent(
  harness: Harness,
  found: Resolved,
  { file, models }: { readonly file: string; readonly models: ModelAccess },
): LoadedAgent {
  const { id, baseUrl } = harness.model ?? {};
  const choice = chooseModel({ id: id ?? null, baseUrl: baseUrl ?? null, script: found.script }, models);
  return { agent: toAgent(harness, found, choice), file: resolve(file), model: choice };
}

function toAgent(harness: Harness, found: Resolved, choice: ModelChoice): Agent {
  const { name, description, limits, sandbox } = harness;
  return {
    name,
    description,
    systemPrompt: found.systemPrompt,
    model: toAgentModel(harness, choice),
    tools: found.tools,
    policy: policyFromRules(harness.permissions),
    limits: {
      turns: limits.turns,
      durationMs: parsed(parseDuration, limits.duration),
      parallelCalls: limits.parallelCalls,
    },
    sandbox: {
      isolation: sandbox.isolation,
      limits: {
        memoryBytes: parsed(parseSize, sandbox.memory),
        processes: sandbox.processes,
        fileSizeBytes: parsed(parseSize, sandbox.fileSize),
        cpus: sandbox.cpus,
      },
    },
    workspaceTemplate: found.workspace,
  };
}

function toAgentModel({ name, model }: Harness, choice: ModelChoice): AgentModel {
  return {
    id: choice.type === "scripted" ? `scripted/${name}` : choice.id,
    ...(model?.reasoning === undefined ? {} : { reasoning: model.reasoning }),
    ...(model?.maxOutputTokens === undefined ? {} : { maxOutputTokens: model.maxOutputTokens }),
  };
}

/** The schema has checked the text with the same pattern, so this cannot fail. */
function parsed(parse: (text: string) => number | undefined, text: string): number {
  const value = parse(text);
  if (value === undefined) throw new Error(`the schema let ${JSON.stringify(text)} pass`);
  return value;
}
