import { resolve } from "node:path";
import { askCommand } from "../hooks/command.ts";
import { defineHook, type HookFunction } from "../hooks/define.ts";
import type { Hook } from "../hooks/hook.ts";
import { isExecutable, isFile } from "../lib/files.ts";
import { parseDuration } from "../lib/units.ts";
import type { HookReference } from "./harness.ts";
import { loadModule } from "./load-module.ts";

export type LoadedHook =
  /** `warning`: what is wrong with its command today, which may be another tomorrow. */
  | { readonly ok: true; readonly hook: Hook; readonly warning?: string }
  /** `field` of the reference is the one to correct. */
  | { readonly ok: false; readonly field: string; readonly message: string; readonly hint?: string };

/** What harness.json says of a hook, ready to be asked. Never throws. */
export async function loadHook(reference: HookReference, folder: string): Promise<LoadedHook> {
  const { on, tools, onFailure } = reference;
  if (tools !== undefined && on !== "beforeTool" && on !== "afterTool") {
    return { ok: false, field: "tools", message: `"${on}" is about no tool`, hint: "Leave the field out." };
  }
  const timeoutMs = parseDuration(reference.timeout) ?? 0;
  const common = { on, timeoutMs, onFailure, ...(tools === undefined ? {} : { tools }) };
  if ("command" in reference) {
    const { command, name = command.slice(0, 64) } = reference;
    const ask: HookFunction = (question, signal) => askCommand(command, folder, question, signal);
    const warning = await whyNotExecutable(command, folder);
    const hook = defineHook({ ...common, name, ask });
    return warning === null ? { ok: true, hook } : { ok: true, hook, warning };
  }
  const { module, export: exported, name = module.slice(0, 64) } = reference;
  const loaded = await loadModule(module, folder);
  if (!loaded.ok) return { ...loaded, field: "module" };
  const ask = loaded.exports[exported];
  if (typeof ask !== "function") {
    const message = `"${module}" exports no function "${exported}"`;
    const hint = `It exports: ${Object.keys(loaded.exports).join(", ") || "nothing"}.`;
    return { ok: false, field: exported === "default" ? "module" : "export", message, hint };
  }
  return { ok: true, hook: defineHook({ ...common, name, ask: ask as HookFunction }) };
}

/** Only of a command that begins with a path: what else the shell makes of it, only the shell knows. */
async function whyNotExecutable(command: string, folder: string): Promise<string | null> {
  const path = /^\s*((?:\.{1,2})?\/[\w./-]+)(?=\s|$)/.exec(command)?.[1];
  if (path === undefined) return null;
  const file = resolve(folder, path);
  if (!(await isFile(file))) return `there is no file "${path}" (looked for ${file})`;
  return (await isExecutable(file)) ? null : `"${path}" is not executable: chmod +x ${file}`;
}
