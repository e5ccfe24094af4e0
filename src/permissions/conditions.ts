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

/** What stands between the brackets of such a rule. All have to hold. */
export interface Conditions {
  readonly all: readonly Condition[];
  /** The call has no fields but these, and bare values are of the type that they look like: 60 is not the text "60". */
  readonly nothingElse: boolean;
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

/** At the end of conditions. For a tool without arguments it stands alone. */
export const NOTHING_ELSE = "nothing else";

export function looksLikeConditions(text: string): boolean {
  return /^\s*nothing else\s*(?:,|$)/.test(text) || /^\s*[A-Za-z_][\w.-]*\s*[=!<>~]/.test(text);
}

const CONDITION =
  /^\s*([A-Za-z_][\w-]*(?:\.[\w-]+)*)\s*([=!<>~]+)\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^,"']*?)\s*(,|$)/;

/** @returns a complaint for people where the text is not a list of conditions. */
export function parseConditions(text: string): Conditions | string {
  const all: Condition[] = [];
  for (let rest = text; ; ) {
    if (rest.trim() === NOTHING_ELSE) return { all, nothingElse: true };
    const found = CONDITION.exec(rest);
    if (found === null) return notACondition(rest);
    const [whole, field = "", operator = "", written = "", end = ""] = found;
    if (!isOperator(operator)) return unknownOperator(operator);
    const value = unquote(written);
    if (typeof value === "string") return value;
    if (value.value === "" && !value.isQuoted) {
      return `"${field}${operator}" has no value; an empty text is ""`;
    }
    if (/[<>]/.test(operator) && (value.isQuoted || !isNumber(value.value))) {
      return `"${whole.replace(/,$/, "").trim()}" compares with something that is not a number`;
    }
    all.push({ field: field.split("."), operator, ...value });
    if (end === "") return { all, nothingElse: false };
    rest = rest.slice(whole.length);
  }
}

function notACondition(rest: string): string {
  if (rest.trim() === "") return "a condition is missing after the last comma";
  if (/^\s*nothing else\s*,/.test(rest)) return `"${NOTHING_ELSE}" can only stand at the end`;
  return `"${rest.trim()}" is not a condition like amount<=50 or to="bob"`;
}

function isOperator(text: string): text is Operator {
  return (OPERATORS as readonly string[]).includes(text);
}

function unknownOperator(operator: string): string {
  const meant = FOREIGN[operator] ?? nearest(operator, OPERATORS);
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
  return `"${operator}" is no operator${hint} There are ${OPERATORS.join(" ")}`;
}

/** In double quotes, a text is written as in JSON; in single ones, as it is. @returns a complaint where it is not. */
function unquote(written: string): Pick<Condition, "value" | "isQuoted"> | string {
  if (written.startsWith("'")) return { value: written.slice(1, -1), isQuoted: true };
  if (!written.startsWith('"')) return { value: written, isQuoted: false };
  try {
    return { value: String(JSON.parse(written)), isQuoted: true };
  } catch {
    return `${written} is not a text as JSON writes it (a backslash is \\\\, a line feed \\n); in '...' a text is taken as it is`;
  }
}

/** Whether all hold for the arguments. `maybe`: a field is missing or of another type, so that nobody can say. */
export function conditionsHold({ all, nothingElse }: Conditions, input: unknown): Holds {
  if (nothingElse && !isRecord(input)) return "maybe";
  if (nothingElse && !hasOnly(input, [], all)) return "no";
  const holding = all.map((condition) => holds(condition, input, nothingElse));
  if (holding.includes("no")) return "no";
  return holding.includes("maybe") ? "maybe" : "yes";
}

/** Whether everything in a value, which lies at `path` of the arguments, belongs to a field of the conditions. */
function hasOnly(value: unknown, path: readonly string[], all: readonly Condition[]): boolean {
  const leading = all.filter(({ field }) => path.every((name, i) => field[i] === name));
  if (leading.some(({ field }) => field.length === path.length)) return true;
  if (path.length > 0 && leading.length === 0) return false;
  return (
    isRecord(value) &&
    Object.entries(value).every(([name, inner]) => hasOnly(inner, [...path, name], leading))
  );
}

function holds({ field, operator, value, isQuoted }: Condition, input: unknown, isStrict: boolean): Holds {
  const actual = fieldOf(input, field);
  const isText = isQuoted || (isStrict ? !isLiteral(value) : null);
  switch (operator) {
    case "=":
      return equals(actual, value, isText);
    case "!=":
      return opposite(equals(actual, value, isText));
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

/** `isText`: null where the value may be a text as well as what it looks like. */
function equals(actual: unknown, value: string, isText: boolean | null): Holds {
  if (typeof actual === "string") return isText === false ? "maybe" : yesOrNo(actual === value);
  if (isText === true) return "maybe";
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

/** Whether a bare value is no text, but what JSON has besides. */
function isLiteral(text: string): boolean {
  return isNumber(text) || text === "true" || text === "false" || text === "null";
}

function opposite(holding: Holds): Holds {
  if (holding === "maybe") return "maybe";
  return holding === "yes" ? "no" : "yes";
}

function yesOrNo(is: boolean): Holds {
  return is ? "yes" : "no";
}
