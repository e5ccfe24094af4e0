import { nearest } from "../../lib/json.ts";
import type { Sandbox } from "../../sandboxes/sandbox.ts";
import type { ToolResult } from "../tool.ts";

/** A path as the model is shown it: relative to the workspace where it lies in it; "." for the workspace. */
export function shown(sandbox: Pick<Sandbox, "root">, path: string): string {
  const isInside = path === sandbox.root || path.startsWith(`${sandbox.root}/`);
  const relative = isInside ? path.slice(sandbox.root.length).replace(/^\/+/, "") : path;
  const clean = relative.replace(/^(\.\/+)+/, "");
  return clean === "/" ? clean : clean.replace(/\/+$/, "") || ".";
}

/** Joins a directory and a name below it. */
export function below(directory: string, name: string): string {
  return directory === "." || directory === "" ? name : `${directory.replace(/\/+$/, "")}/${name}`;
}

/** The expected failure of a tool. */
export function failure(message: string, details?: ToolResult["details"]): ToolResult {
  return { content: message, isError: true, ...(details === undefined ? {} : { details }) };
}

/** Says that there is nothing at `path`, and what is there that has nearly this name. */
export async function missing(sandbox: Sandbox, path: string): Promise<ToolResult> {
  const clean = shown(sandbox, path);
  const slash = clean.lastIndexOf("/");
  const parent = slash === -1 ? "." : clean.slice(0, slash);
  const entries = await sandbox.listDirectory(parent);
  if (entries === undefined)
    return failure(`${clean} does not exist, and neither does the directory ${parent}.`);
  const names = entries.map((entry) => entry.name);
  const similar = nearest(clean.slice(slash + 1), names);
  return failure(
    similar === undefined
      ? `${clean} does not exist.`
      : `${clean} does not exist. Did you mean ${below(parent, similar)}?`,
  );
}

/** One word of a shell command, taken literally. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

export function lineCount(text: string): number {
  return text === "" ? 0 : text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}

export function plural(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}
