import { isRecord, withoutUndefined } from "../lib/json.ts";
import { parseDuration } from "../lib/units.ts";
import type { Tool } from "../tools/tool.ts";
import { effects, type FunctionToolReference } from "./harness.ts";
import { loadModule } from "./load-module.ts";

export type LoadedTool =
  | { readonly ok: true; readonly tool: Tool }
  /** `field` of the reference is the one to correct. */
  | {
      readonly ok: false;
      readonly field: keyof FunctionToolReference;
      readonly message: string;
      readonly hint?: string;
    };

/** Imports a module (TypeScript or JavaScript) and takes its tool, with what harness.json says about it. Never throws. */
export async function loadFunctionTool(
  reference: FunctionToolReference,
  folder: string,
): Promise<LoadedTool> {
  const loaded = await loadModule(reference.module, folder);
  if (!loaded.ok) return { ...loaded, field: "module" };
  const chosen = chooseExport(loaded.exports, reference);
  return chosen.ok ? adjustTool(chosen.tool, reference) : chosen;
}

function chooseExport(
  exports: Readonly<Record<string, unknown>>,
  { module, export: name }: FunctionToolReference,
): LoadedTool {
  const tools = Object.entries(exports).flatMap(([key, value]) =>
    isTool(value) ? [{ key, tool: value }] : [],
  );
  const toolNames = tools.map(({ key }) => key).join(", ");
  if (name !== undefined) {
    const found = tools.find(({ key }) => key === name);
    if (found !== undefined) return { ok: true, tool: found.tool };
    const message = `"${module}" exports no tool "${name}"`;
    return {
      ok: false,
      field: "export",
      message,
      hint: toolNames === "" ? HOW_TO_EXPORT : `It exports: ${toolNames}.`,
    };
  }
  const [only, ...others] = tools;
  if (only === undefined) {
    return { ok: false, field: "module", message: `"${module}" exports no tool`, hint: HOW_TO_EXPORT };
  }
  if (others.length > 0) {
    const hint = `Say which one with "export": ${toolNames}.`;
    return { ok: false, field: "module", message: `"${module}" exports more than one tool`, hint };
  }
  return { ok: true, tool: only.tool };
}

const HOW_TO_EXPORT =
  "Make one with defineTool: `export const refund = defineTool({ name: ..., run: ... })`.";

/** What a tool of a user must have; `name` and `effect` are checked later, with better words. */
function isTool(value: unknown): value is Tool {
  return (
    isRecord(value) &&
    typeof value.name === "string" &&
    typeof value.description === "string" &&
    isRecord(value.inputSchema) &&
    typeof value.parse === "function" &&
    typeof value.run === "function"
  );
}

const NAME = /^[a-zA-Z0-9_-]{1,64}$/;

function adjustTool(tool: Tool, reference: FunctionToolReference): LoadedTool {
  if (!NAME.test(tool.name)) {
    const hint = "Providers accept 1 to 64 letters, digits, _ and -.";
    return {
      ok: false,
      field: "module",
      message: `"${tool.name}" cannot be the name of a tool`,
      hint,
    };
  }
  const effect = reference.effect ?? tool.effect;
  const field = reference.effect === undefined ? "module" : "effect";
  if (!effects.includes(effect)) {
    const hint = `Known effects: ${effects.join(", ")}.`;
    return { ok: false, field, message: `the tool "${tool.name}" has the unknown effect "${effect}"`, hint };
  }
  if (effect === "reconcile" && tool.reconcile === undefined) {
    const hint = "Add a function `reconcile` to it, or use another effect.";
    return {
      ok: false,
      field,
      message: `the tool "${tool.name}" cannot be asked what became of a call`,
      hint,
    };
  }
  const timeoutMs = reference.timeout === undefined ? tool.timeoutMs : parseDuration(reference.timeout);
  const parallel = reference.parallel ?? tool.parallel;
  return { ok: true, tool: withOverrides(tool, withoutUndefined({ effect, parallel, timeoutMs })) };
}

/** Delegates instead of copying, so that a tool may also be an object with a prototype. */
function withOverrides(tool: Tool, overrides: Pick<Tool, "effect" | "parallel" | "timeoutMs">): Tool {
  const { reconcile, outputSchema, checkOutput, risk, preview } = tool;
  return {
    name: tool.name,
    description: tool.description,
    inputSchema: tool.inputSchema,
    ...(outputSchema === undefined ? {} : { outputSchema }),
    ...(checkOutput === undefined ? {} : { checkOutput: (structured) => checkOutput.call(tool, structured) }),
    ...overrides,
    ...(risk === undefined
      ? {}
      : { risk: typeof risk === "function" ? (input) => risk.call(tool, input) : risk }),
    ...(preview === undefined ? {} : { preview: (input, context) => preview.call(tool, input, context) }),
    parse: (input) => tool.parse(input),
    run: (input, context) => tool.run(input, context),
    ...(reconcile === undefined
      ? {}
      : { reconcile: (input, context) => reconcile.call(tool, input, context) }),
  };
}
