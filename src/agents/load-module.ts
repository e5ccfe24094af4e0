import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { errorMessage, systemErrorCode } from "../lib/errors.ts";
import { isFile } from "../lib/files.ts";

export type LoadedModule =
  | { readonly ok: true; readonly exports: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly message: string; readonly hint?: string };

/** Imports a module (TypeScript or JavaScript) that a harness.json names. Never throws. */
export async function loadModule(module: string, folder: string): Promise<LoadedModule> {
  const file = resolve(folder, module);
  if (!(await isFile(file))) {
    return { ok: false, message: `there is no file "${module}"`, hint: `Looked for ${file}.` };
  }
  try {
    return { ok: true, exports: await import(pathToFileURL(file).href) };
  } catch (error) {
    return { ok: false, ...whyNotLoaded(error, module) };
  }
}

function whyNotLoaded(error: unknown, module: string): { message: string; hint?: string } {
  const why = errorMessage(error);
  const message = `"${module}" cannot be loaded: ${why}`;
  if (systemErrorCode(error) === "ERR_MODULE_NOT_FOUND") {
    return { message, hint: "If it is a package that is missing: `npm install`." };
  }
  // What Node says of an ES module that the nearest package.json declares to be CommonJS, as `npm init` does.
  if (/^(?:Unexpected token 'export'|Cannot use import statement)/.test(why)) {
    return {
      message,
      hint: 'Write "type": "module" into the nearest package.json, or rename the file to .mts.',
    };
  }
  return { message };
}
