import { type Conditions, looksLikeConditions, parseConditions } from "./conditions.ts";
import { type PathPattern, parsePathPattern } from "./paths.ts";
import { type CommandPattern, parseCommandPattern } from "./shell/command-pattern.ts";

/** One rule of harness.json, of a user or of a session. docs/permissions.md has the grammar. */
export interface Rule {
  /** As it is written. */
  readonly text: string;
  /** Names of tools; `*` stands for any characters. */
  readonly tool: string;
  /** null: every call of the tool. */
  readonly pattern: RulePattern | null;
}

export type RulePattern =
  | { readonly type: "command"; readonly command: CommandPattern }
  | { readonly type: "path"; readonly path: PathPattern }
  | { readonly type: "conditions"; readonly conditions: Conditions };

export type ParsedRule =
  | { readonly ok: true; readonly rule: Rule }
  /** For people: `why` is what is wrong with it, `complaint` a whole sentence with the rule, and what to write. */
  | { readonly ok: false; readonly why: string; readonly complaint: string };

export const SHELL = "shell";

/** `shell`, `github/*`, `shell(npm test*)`, `write(src/**)`, `refund(amount<=50)`. */
export function parseRule(text: string): ParsedRule {
  const clean = text.trim();
  const open = clean.indexOf("(");
  const name = open === -1 ? clean : clean.slice(0, open).trimEnd();
  if (name === "") return bad(text, 'it names no tool; all tools are "*"');
  if (!/^[\w.*:-]+(?:\/[\w.*:-]+)?$/.test(name)) {
    return bad(
      text,
      `"${name}" is no name of a tool (letters, digits, _ and -, * for any characters, server/tool)`,
    );
  }
  const tool = name.replace("/", "__");
  if (open === -1) return { ok: true, rule: { text: clean, tool, pattern: null } };
  if (!clean.endsWith(")")) return bad(text, 'the closing ")" is missing at its end');
  const inner = clean.slice(open + 1, -1).trim();
  if (inner === "") return bad(text, `there is nothing between the brackets; every call is "${name}"`);
  if (/[\0-\x08\x0b-\x1f]/.test(inner)) return bad(text, "it contains a control character");
  if (inner === "*") return { ok: true, rule: { text: clean, tool, pattern: null } };
  const pattern = parsePattern(tool, inner);
  return typeof pattern === "string"
    ? bad(text, pattern)
    : { ok: true, rule: { text: clean, tool, pattern } };
}

function parsePattern(tool: string, inner: string): RulePattern | string {
  if (tool === SHELL) {
    const command = parseCommandPattern(inner);
    return typeof command === "string" ? command : { type: "command", command };
  }
  if (looksLikeConditions(inner)) {
    const conditions = parseConditions(inner);
    return typeof conditions === "string" ? conditions : { type: "conditions", conditions };
  }
  const path = parsePathPattern(inner);
  return typeof path === "string" ? path : { type: "path", path };
}

function bad(text: string, why: string): ParsedRule {
  return {
    ok: false,
    why,
    complaint: `"${text}" is not a rule: ${why}. Examples: shell(npm test*), write(src/**), refund(amount<=50).`,
  };
}
