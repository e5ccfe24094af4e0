import { isRecord } from "../lib/json.ts";
import { NOTHING_ELSE } from "./conditions.ts";
import { partsOf } from "./parts.ts";
import type { PolicyCall } from "./policy.ts";
import { placeOfInput } from "./risk.ts";
import { parseRule, SHELL } from "./rule.ts";
import { UNSEEN } from "./shell/command-pattern.ts";

/**
 * The rules that "always allow this" writes: those that allow this very call, and as little else as rules can say. For the shell one
 * for each command that needs one; for files the path; for other tools the arguments. Empty where no rule can say it.
 */
export function ruleLike(call: PolicyCall): readonly string[] {
  switch (call.name) {
    case SHELL:
      return rulesOfLine(call);
    case "write":
    case "edit": {
      const place = placeOfInput(call.input);
      return place.type === "unknown" ? [] : usable([`${call.name}(${pathRule(place.type, place.path)})`]);
    }
    default:
      return usable(rulesOfArguments(call));
  }
}

/** In characters. People read the rule before they agree to it, and in the list of those that count. */
const LONGEST_RULE = 500;

function rulesOfArguments({ name, input }: PolicyCall): readonly string[] {
  const conditions = conditionsLike(input, []);
  if (conditions === null) return [];
  const rule = `${name}(${[...conditions, NOTHING_ELSE].join(", ")})`;
  return rule.length > LONGEST_RULE ? [] : [rule];
}

/** Null where a list, an empty object or a field with an unusual name is among them, which conditions cannot say. */
function conditionsLike(value: unknown, path: readonly string[]): readonly string[] | null {
  if (isRecord(value)) {
    const entries = Object.entries(value);
    if (entries.length === 0 && path.length > 0) return null;
    const inner = entries.map(([name, field]) => conditionsLike(field, [...path, name]));
    return inner.includes(null) ? null : inner.flatMap((conditions) => conditions ?? []);
  }
  const literal = literalOf(value);
  if (literal === null || path.length === 0 || !path.every((name) => /^[A-Za-z_][\w-]*$/.test(name)))
    return null;
  return [`${path.join(".")}=${literal}`];
}

function literalOf(value: unknown): string | null {
  if (typeof value === "string") return textLiteral(value);
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : null;
  return typeof value === "boolean" || value === null ? String(value) : null;
}

/** What cannot be seen, or changes the order of what is, stands there by its number. */
function textLiteral(text: string): string {
  return JSON.stringify(text).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (hidden) =>
    hidden
      .split("")
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

function rulesOfLine(call: PolicyCall): readonly string[] {
  const { parts, opaque } = partsOf(call);
  if (opaque.length > 0) return [];
  const rules: string[] = [];
  for (const part of parts) {
    if (part.risk.reversibility === "none") continue;
    if (part.type === "command") {
      if (part.command.words.some((word) => word.includes(UNSEEN))) return [];
      rules.push(`shell(${part.command.words.map(quoted).join(" ")})`);
    } else if (part.type === "file") {
      for (const place of part.use.places) {
        if (place.type === "unknown") return [];
        rules.push(`write(${pathRule(place.type, place.path)})`);
      }
    }
  }
  return usable([...new Set(rules)]);
}

/** What the grammar of rules cannot hold (a line feed in a path, say) is no rule. */
function usable(rules: readonly string[]): readonly string[] {
  return rules.every((rule) => parseRule(rule).ok) ? rules : [];
}

function pathRule(type: "inside" | "outside", path: string): string {
  const exact = path.replaceAll(/[*?[\]{}\\]/g, "\\$&");
  return type === "inside" ? `./${exact}` : exact;
}

function quoted(word: string): string {
  return /^[\w@%+=:,./^-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
