import { dirname, resolve } from "node:path";
import type { Hook } from "../hooks/hook.ts";
import { errorMessage, isAppError } from "../lib/errors.ts";
import { isDirectory, isFile, readTextIfAny } from "../lib/files.ts";
import { nearest } from "../lib/json.ts";
import { parseDuration } from "../lib/units.ts";
import { CALL_TOOL, FIND_TOOLS } from "../log/call-tool.ts";
import { knownProviders } from "../models/ai-sdk/providers.ts";
import { complaintAboutRule } from "../permissions/rule-check.ts";
import { matchesPattern } from "../permissions/rules.ts";
import { askUser } from "../tools/builtin/ask.ts";
import type { Tool } from "../tools/tool.ts";
import { providerOf } from "./choose-model.ts";
import type { Harness } from "./harness.ts";
import { type LoadedHook, loadHook } from "./load-hook.ts";
import { loadFunctionTool } from "./load-tool.ts";
import type { Problem } from "./problem.ts";
import type { HarnessFile, References } from "./read.ts";

/** What a harness.json refers to, found. Only to be used when `problems` is empty. */
export interface Resolved {
  readonly systemPrompt: string;
  /** Absolute. */
  readonly workspace: string | null;
  /** Absolute. */
  readonly script: string | null;
  /** The built-in tools and the agent's own, by name. */
  readonly tools: ReadonlyMap<string, Tool>;
  readonly hooks: readonly Hook[];
  /** What does not keep the agent from running, and most likely is not what was meant. */
  readonly warnings: readonly string[];
  readonly problems: readonly Problem[];
}

/** Reads the files that a harness.json names. Never throws for what a person may have written. */
export async function resolveReferences(
  source: HarnessFile,
  builtinTools: readonly Tool[],
): Promise<Resolved> {
  const problems: Problem[] = [];
  const report: Report = (path, message, hint) => problems.push(source.problemAt(path, message, hint));
  const folder = resolve(dirname(source.file));
  const { references } = source;
  const [systemPrompt, workspace, script, tools, loadedHooks] = await Promise.all([
    resolvePrompt(references.systemPrompt ?? "", folder, report),
    resolveWorkspace(references.workspace, folder, report),
    resolveScript(references.script, folder, report),
    resolveTools(references.tools, { folder, builtinTools }, report),
    Promise.all((source.harness?.hooks ?? []).map((reference) => loadHook(reference, folder))),
  ]);
  const hooks = checkHooks(loadedHooks, report);
  const ofHooks = loadedHooks.flatMap((result, i) =>
    result.ok && result.warning !== undefined ? [`hooks[${i}].command: ${result.warning}`] : [],
  );
  const warnings = [...ofHooks, ...lateReminders(source.harness?.approvals)];
  if (source.harness !== undefined) checkProviders(source.harness, report);
  if (source.harness !== undefined && tools.complete) {
    checkPatterns(source.harness, [...tools.byName.values()], report);
  }
  return { systemPrompt, workspace, script, tools: tools.byName, hooks, warnings, problems };
}

type Report = (path: readonly (string | number)[], message: string, hint?: string) => void;

async function resolvePrompt(prompt: string, folder: string, report: Report): Promise<string> {
  if (/^\S+\.(?:md|txt)$/.test(prompt) && !isRelative(prompt)) {
    report(["systemPrompt"], `this would be a prompt that says "${prompt}"`, `For a file: "./${prompt}".`);
  }
  if (!isRelative(prompt)) return prompt;
  const file = resolve(folder, prompt);
  const text = await readTextIfAny(file);
  if (text === undefined) report(["systemPrompt"], `there is no file "${prompt}"`, `Looked for ${file}.`);
  if (text?.trim() === "") report(["systemPrompt"], `the file "${prompt}" is empty`);
  return text ?? "";
}

function isRelative(prompt: string): boolean {
  return /^\.\.?\/[^\n]*$/.test(prompt);
}

async function resolveWorkspace(path: string | undefined, folder: string, report: Report) {
  if (path === undefined) return null;
  const absolute = resolve(folder, path);
  if (!(await isDirectory(absolute))) {
    report(["workspace"], `there is no folder "${path}"`, `Looked for ${absolute}.`);
  }
  return absolute;
}

async function resolveScript(path: string | undefined, folder: string, report: Report) {
  if (path === undefined) return null;
  const absolute = resolve(folder, path);
  if (!(await isFile(absolute))) {
    report(["model", "script"], `there is no file "${path}"`, `Looked for ${absolute}.`);
    return absolute;
  }
  // Few agents have a script, and its parser is large.
  const { loadScript } = await import("../models/scripted/script.ts");
  await loadScript(absolute).catch((error: unknown) => {
    const hint = isAppError(error) ? error.hint : undefined;
    report(["model", "script"], `this script cannot be played: ${errorMessage(error)}`, hint);
  });
  return absolute;
}

async function resolveTools(
  references: References["tools"],
  from: { readonly folder: string; readonly builtinTools: readonly Tool[] },
  report: Report,
): Promise<{ readonly byName: ReadonlyMap<string, Tool>; readonly complete: boolean }> {
  const byName = new Map(from.builtinTools.map((tool) => [tool.name, tool]));
  const owners = new Map(from.builtinTools.map(({ name }) => [name, "a tool that every agent has"]));
  for (const name of [FIND_TOOLS, CALL_TOOL]) owners.set(name, "Holdfast itself");
  let complete = true;

  const loaded = await Promise.all(
    references.map(async ({ index, reference }) => ({
      index,
      field: reference.type === "ask" ? "type" : "module",
      result:
        reference.type === "ask"
          ? ({ ok: true, tool: askUser() } as const)
          : await loadFunctionTool(reference, from.folder),
    })),
  );
  // One broken module may be named by a hundred tools.
  const mistakes = Map.groupBy(loaded, ({ result }) =>
    result.ok ? null : `${result.field} ${result.message}`,
  );
  for (const { index, field, result } of loaded) {
    if (!result.ok) {
      complete = false;
      const same = mistakes.get(`${result.field} ${result.message}`) ?? [];
      if (same[0]?.index !== index) continue;
      const more =
        same.length === 1
          ? ""
          : ` (and ${same.length - 1} more ${same.length === 2 ? "tool names" : "tools name"} it)`;
      report(["tools", index, result.field], result.message + more, result.hint);
      continue;
    }
    const { tool } = result;
    const owner = owners.get(tool.name);
    if (owner !== undefined) {
      report(["tools", index, field], `the name "${tool.name}" of its tool is taken by ${owner}`);
    }
    owners.set(tool.name, `the tool of tools[${index}]`);
    byName.set(tool.name, tool);
  }
  return { byName, complete };
}

function checkHooks(loaded: readonly LoadedHook[], report: Report): readonly Hook[] {
  const owners = new Map<string, number>();
  return loaded.flatMap((result, index) => {
    if (!result.ok) {
      report(["hooks", index, result.field], result.message, result.hint);
      return [];
    }
    const { name, point } = result.hook;
    const owner = owners.get(`${point} ${name}`);
    if (owner !== undefined) {
      const hint = 'Give one of them another "name": decisions are told apart by it.';
      report(["hooks", index], `hooks[${owner}] is called "${name}" and asked at ${point}, too`, hint);
    }
    owners.set(`${point} ${name}`, index);
    return [result.hook];
  });
}

/** A question that nobody answers is over by then. */
function lateReminders(approvals: Harness["approvals"] | undefined): readonly string[] {
  const { remindAfter = [], expiresAfter, abandonAfter } = approvals ?? {};
  const end = expiresAfter ?? abandonAfter;
  const endMs = end === undefined ? Infinity : (parseDuration(end) ?? Infinity);
  return remindAfter.flatMap((time, i) =>
    (parseDuration(time) ?? 0) < endMs
      ? []
      : [
          `approvals.remindAfter[${i}]: nobody is reminded after ${time}, since the question ends after ${end}`,
        ],
  );
}

/** A provider that is not known is only reachable at an address of its own, which only `model.id` can have. */
function checkProviders({ model, permissions }: Harness, report: Report): void {
  const { id, baseUrl, fallback = [] } = model ?? {};
  const own = id === undefined || baseUrl === undefined ? [] : [providerOf(id)];
  const names = ["scripted", ...knownProviders.map(({ name }) => name), ...own];
  const check = (modelId: string, path: readonly (string | number)[]) => {
    const provider = providerOf(modelId);
    if (names.includes(provider)) return;
    const near = nearest(provider, names);
    const hint = near === undefined ? `Known: ${names.join(", ")}.` : `Did you mean "${near}"?`;
    report(path, `no model provider is named "${provider}"`, hint);
  };
  if (id !== undefined) check(id, ["model"]);
  for (const [i, model] of fallback.entries()) check(model.id, ["model", "fallback", i]);
  const classifier = permissions.classifier.model;
  if (classifier !== undefined) check(classifier, ["permissions", "classifier", "model"]);
}

/**
 * A rule or a hook for a tool or an argument that does not exist is most likely a slip, and one in `deny` or in the `tools` of a
 * hook that watches over a tool would go unnoticed.
 */
function checkPatterns({ permissions, hooks }: Harness, tools: readonly Tool[], report: Report): void {
  const checkRules = (rules: readonly string[], path: readonly (string | number)[]) => {
    for (const [i, rule] of rules.entries()) {
      const complaint = complaintAboutRule(rule, tools);
      if (complaint !== null) report([...path, i], complaint.message, complaint.hint);
    }
  };
  for (const list of ["deny", "ask", "allow", "breakpoints"] as const) {
    checkRules(permissions[list], ["permissions", list]);
  }
  for (const [user, own] of Object.entries(permissions.users)) {
    for (const list of ["deny", "ask", "allow"] as const) {
      checkRules(own[list], ["permissions", "users", user, list]);
    }
  }
  const names = tools.map(({ name }) => name);
  for (const [i, { tools: patterns = [] }] of hooks.entries()) {
    for (const [k, pattern] of patterns.entries()) {
      // Hooks are asked about searches for tools, too; rules are not.
      if (pattern === "*" || [...names, FIND_TOOLS].some((name) => matchesPattern(name, pattern))) continue;
      const near = nearest(pattern, names);
      const hint =
        near === undefined ? `Tools of this agent: ${names.join(", ")}.` : `Did you mean "${near}"?`;
      report(["hooks", i, "tools", k], `no tool of this agent is named "${pattern}"`, hint);
    }
  }
}
