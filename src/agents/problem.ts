import type { JsonPath, Position } from "../lib/json-source.ts";

/** One mistake in an agent's files, told to the person who can correct it. */
export interface Problem {
  /** The file with the mistake: a path as the caller named it, or absolute. */
  readonly file: string;
  /** Which field, for example "tools[0].module"; null when it is about the whole file. */
  readonly field: string | null;
  readonly position?: Position;
  /** What is wrong, in plain words. */
  readonly message: string;
  /** What to write instead, or what to do. */
  readonly hint?: string;
  /** The lines in question with a caret, where the file cannot be parsed. */
  readonly excerpt?: string;
}

/** `["tools", 0, "module"]` as "tools[0].module". */
export function fieldName(path: JsonPath): string | null {
  if (path.length === 0) return null;
  return path.reduce<string>((name, part) => {
    if (typeof part === "number") return `${name}[${part}]`;
    return name === "" ? part : `${name}.${part}`;
  }, "");
}

/**
 * Problems as text: one paragraph each, the place first, in a form that terminals and editors make a link of.
 *
 *     agent/harness.json:4:5 limits.turns
 *       expected a whole number, got the text "ten"
 *       Example: 50
 */
export function formatProblems(problems: readonly Problem[]): string {
  return problems.map(formatProblem).join("\n\n");
}

function formatProblem({ file, field, position, message, hint, excerpt }: Problem): string {
  const place = position === undefined ? file : `${file}:${position.line}:${position.column}`;
  const lines = [field === null ? place : `${place} ${field}`, indent(message)];
  if (excerpt !== undefined) lines.push(indent(excerpt));
  if (hint !== undefined) lines.push(indent(hint));
  return lines.join("\n");
}

function indent(text: string): string {
  return text.replace(/^/gm, "  ");
}
