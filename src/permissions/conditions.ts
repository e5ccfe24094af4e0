import { isRecord, nearest } from "../lib/json.ts";
import { type Holds, matchesPattern } from "./match.ts";

/** One condition of `refund(amount<=50, order.country=DE)`. */
export interface Condition {
  /** Names of fields from the outside in: ["order", "country"]. */
  readonly field: readonly string[];
  readonly operator: Operator;
  /** As it is written, without quotes. */
  readonly value: string;
  /** In quotes, a value is text, whatever it looks like. */
  readonly isQuoted: boolean;
}

export type Operator = (typeof OPERATORS)[number];
const OPERATORS = ["=", "!=", "<", "<=", ">", ">=", "~"] as const;

/** What people write who know another language. */
const FOREIGN: Readonly<Record<string, Operator>> = {
  "==": "=",
  "===": "=",
  "!==": "!=",
  "<>": "!=",
  "=<": "<=",
  "=>": ">=",
  "=~": "~",
  "~=": "~",
};

export function looksLikeConditions(text: string): boolean {
  return /^\s*[A-Za-z_][\w.-]*\s*[=!<>~]/.test(text);
}

const CONDITION =
  /^\s*([A-Za-z_][\w-]*(?:\.[\w-]+)*)\s*([=!<>~]+)\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^,"']*?)\s*(?:,|$)/;

/** @returns a complaint for people where the text is not a list of conditions. */
export function parseConditions(text: string): readonly Condition[] | string {
  const conditions: Condition[] = [];
  for (let rest = text; rest.trim() !== "" || conditions.length === 0; ) {
    const found = CONDITION.exec(rest);
    if (found === null) return `"${rest.trim()}" is not a condition like amount<=50 or to="bob"`;
    const [whole, field = "", operator = "", value = ""] = found;
    if (!isOperator(operator)) return unknownOperator(operator);
    const condition = { field: field.split("."), operator, ...unquote(value) };
    if (condition.value === "" && !condition.isQuoted)
      return `"${field}${operator}" has no value; an empty text is ""`;
    if (/[<>]/.test(operator) && !isNumber(condition.value)) {
      return `"${whole.replace(/,$/, "").trim()}" compares with something that is not a number`;
    }
    conditions.push(condition);
    rest = rest.slice(whole.length);
  }
  return conditions;
}

function isOperator(text: string): text is Operator {
  return (OPERATORS as readonly string[]).includes(text);
}

function unknownOperator(operator: string): string {
  const meant = FOREIGN[operator] ?? nearest(operator, OPERATORS);
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
  return `"${operator}" is no operator${hint} There are ${OPERATORS.join(" ")}`;
}

function unquote(value: string): { readonly value: string; readonly isQuoted: boolean } {
  if (value.startsWith('"')) return { value: value.slice(1, -1).replaceAll(/\\(.)/g, "$1"), isQuoted: true };
  if (value.startsWith("'")) return { value: value.slice(1, -1), isQuoted: true };
  return { value, isQuoted: false };
}

/** Whether all hold for the arguments. `maybe`: a field is missing or of another type, so that nobody can say. */
export function conditionsHold(conditions: readonly Condition[], input: unknown): Holds {
  const all = conditions.map((condition) => holds(condition, input));
  if (all.includes("no")) return "no";
  return all.includes("maybe") ? "maybe" : "yes";
}

function holds({ field, operator, value, isQuoted }: Condition, input: unknown): Holds {
  const actual = fieldOf(input, field);
  switch (operator) {
    case "=":
      return equals(actual, value, isQuoted);
    case "!=":
      return opposite(equals(actual, value, isQuoted));
    case "~":
      return typeof actual === "string" ? yesOrNo(matchesPattern(actual, value)) : "maybe";
    case "<":
      return compare(actual, (number) => number < Number(value));
    case "<=":
      return compare(actual, (number) => number <= Number(value));
    case ">":
      return compare(actual, (number) => number > Number(value));
    case ">=":
      return compare(actual, (number) => number >= Number(value));
  }
}

/** Only what the arguments themselves have: nothing that every object inherits. */
function fieldOf(input: unknown, field: readonly string[]): unknown {
  let at = input;
  for (const name of field) {
    if (!isRecord(at) || !Object.hasOwn(at, name)) return undefined;
    at = at[name];
  }
  return at;
}

function equals(actual: unknown, value: string, isQuoted: boolean): Holds {
  if (typeof actual === "string") return yesOrNo(actual === value);
  if (isQuoted) return "maybe";
  if (typeof actual === "number") return isNumber(value) ? yesOrNo(actual === Number(value)) : "maybe";
  if (typeof actual === "boolean")
    return value === "true" || value === "false" ? yesOrNo(String(actual) === value) : "maybe";
  if (actual === null) return value === "null" ? "yes" : "maybe";
  return "maybe";
}

function compare(actual: unknown, test: (number: number) => boolean): Holds {
  return typeof actual === "number" && Number.isFinite(actual) ? yesOrNo(test(actual)) : "maybe";
}

function isNumber(text: string): boolean {
  return /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text);
}

function opposite(holding: Holds): Holds {
  if (holding === "maybe") return "maybe";
  return holding === "yes" ? "no" : "yes";
}

function yesOrNo(is: boolean): Holds {
  return is ? "yes" : "no";
}
