import { type JsonSchema, nearest } from "../lib/json.ts";
import type { Condition } from "./conditions.ts";
import { matchesPattern } from "./match.ts";
import { parseRule, type Rule } from "./rule.ts";
import { membersOf, type TypeName, typesOf } from "./schema-fields.ts";

/** What rules can be about: a tool, as far as they see it. */
export interface ToolShape {
  readonly name: string;
  readonly inputSchema: JsonSchema;
}

/** For people: what is wrong, and what to write instead. */
export interface RuleComplaint {
  readonly message: string;
  readonly hint: string;
}

/**
 * Why a rule cannot mean what was meant, with the tools that there are: no tool has the name, none the argument, or the argument is of
 * a type for which the condition never holds. Such a rule in `deny` forbids everything or nothing, and nobody notices.
 * Where a schema leaves open what a tool gets, nothing is wrong. @pure
 */
export function complaintAboutRule(text: string, tools: readonly ToolShape[]): RuleComplaint | null {
  const parsed = parseRule(text);
  if (!parsed.ok)
    return { message: `not a rule: ${parsed.why}`, hint: "docs/permissions.md tells how rules are written." };
  const { rule } = parsed;
  const named = tools.filter(({ name }) => matchesPattern(name, rule.tool));
  if (named.length === 0) return rule.tool === "*" ? null : unknownTool(rule.tool, tools);
  switch (rule.pattern?.type) {
    case "path":
      return complaintAboutPath(rule, named);
    case "conditions":
      for (const condition of rule.pattern.conditions.all) {
        const complaint = complaintAboutCondition(condition, rule, named);
        if (complaint !== null) return complaint;
      }
      return null;
    default:
      return null;
  }
}

function unknownTool(name: string, tools: readonly ToolShape[]): RuleComplaint {
  const names = tools.map((tool) => tool.name);
  const hint = didYouMean(name, names) ?? `Tools of this agent: ${names.join(", ")}.`;
  return { message: `no tool of this agent is named "${name}"`, hint };
}

function complaintAboutPath(rule: Rule, named: readonly ToolShape[]): RuleComplaint | null {
  const { names, isOpen } = membersOf(named.map(({ inputSchema }) => inputSchema));
  if (isOpen || names.has("path")) return null;
  const inner = rule.text.slice(rule.text.indexOf("(") + 1, -1).trim();
  return {
    message: `"${inner}" is a path, and ${whose(rule, named)} no argument "path"`,
    hint: `A condition is written like amount<=50 or to="bob". ${argumentsAre([...names.keys()])}`,
  };
}

function complaintAboutCondition(
  condition: Condition,
  rule: Rule,
  named: readonly ToolShape[],
): RuleComplaint | null {
  let schemas: readonly unknown[] = named.map(({ inputSchema }) => inputSchema);
  for (const [i, name] of condition.field.entries()) {
    const { names, isOpen } = membersOf(schemas);
    const found = names.get(name);
    if (found === undefined) {
      if (isOpen) return null;
      const above = condition.field.slice(0, i);
      const known = [...names.keys()].map((each) => [...above, each].join("."));
      const unknown = [...above, name].join(".");
      return {
        message: `${whose(rule, named)} no argument "${unknown}"`,
        hint: didYouMean(unknown, known) ?? argumentsAre(known),
      };
    }
    schemas = found;
  }
  return complaintAboutType(condition, typesOf(schemas));
}

function complaintAboutType(condition: Condition, types: ReadonlySet<TypeName> | null): RuleComplaint | null {
  if (types === null || [...types].some((type) => canHold(condition, type))) return null;
  const { field, operator, value } = condition;
  const is = [...types].join(" or ");
  if (operator === "=" || operator === "!=") {
    return {
      message: `"${field.join(".")}" is never ${JSON.stringify(value)}: its type is ${is}`,
      hint: "Numbers, true, false and null stand without quotes.",
    };
  }
  const wants = operator === "~" ? "a pattern of texts" : "for numbers";
  return {
    message: `"${operator}" is ${wants}, and the type of "${field.join(".")}" is ${is}`,
    hint: "= and != are for every type.",
  };
}

function canHold({ operator, value, isQuoted }: Condition, type: TypeName): boolean {
  if (operator === "~") return type === "string";
  if (operator !== "=" && operator !== "!=") return type === "number";
  switch (type) {
    case "string":
      return true;
    case "number":
      return !isQuoted && value.trim() !== "" && Number.isFinite(Number(value));
    case "boolean":
      return !isQuoted && (value === "true" || value === "false");
    case "null":
      return !isQuoted && value === "null";
    default:
      return false;
  }
}

function whose(rule: Rule, named: readonly ToolShape[]): string {
  const [only] = named;
  return named.length === 1 && only !== undefined ? `"${only.name}" has` : `the tools "${rule.tool}" have`;
}

function argumentsAre(names: readonly string[]): string {
  return names.length === 0 ? "There are no arguments." : `Arguments: ${names.join(", ")}.`;
}

function didYouMean(word: string, known: readonly string[]): string | undefined {
  const near = nearest(word, known);
  return near === undefined ? undefined : `Did you mean "${near}"?`;
}
