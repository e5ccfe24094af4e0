import type { z } from "zod";
import { isRecord, nearest } from "../lib/json.ts";
import type { JsonPath } from "../lib/json-source.ts";
import { harnessJsonSchema } from "./harness.ts";

/** What is wrong with one field of harness.json, before it is known where in the file that is. */
export interface FieldComplaint {
  readonly path: JsonPath;
  readonly message: string;
  readonly hint?: string;
}

type Issue = z.core.$ZodIssue;
type SchemaNode = Readonly<Record<string, unknown>>;

/** The findings of the schema about `value`, in plain words, with the nearest known field or value, or an example. */
export function explainIssues(issues: readonly Issue[], value: unknown): readonly FieldComplaint[] {
  const schema = harnessJsonSchema();
  return withoutEchoes(issues.flatMap((issue) => explainIssue(issue, value, schema)));
}

/** Where the `type` of an object is wrong, what is said about its other fields is about a type that nobody meant. */
function withoutEchoes(complaints: readonly FieldComplaint[]): readonly FieldComplaint[] {
  const isType = ({ path }: FieldComplaint) => path.at(-1) === "type";
  const mistyped = new Set(complaints.filter(isType).map(({ path }) => parentOf(path)));
  return complaints.filter((complaint) => isType(complaint) || !mistyped.has(parentOf(complaint.path)));
}

function parentOf(path: JsonPath): string {
  return JSON.stringify(path.slice(0, -1));
}

function explainIssue(issue: Issue, root: unknown, schema: SchemaNode): readonly FieldComplaint[] {
  const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
  const found = valueAt(root, path);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map(
        (key) => fieldOfOtherForm(path, key, found, schema) ?? unknownField(path, key, schema),
      );
    case "invalid_union":
      return explainUnion(issue, path, root, schema);
    case "invalid_value":
      return [{ path, ...notOneOf(issue.values, found) }];
    case "invalid_type":
      return [{ path, ...wrongType(issue, found, path, schema) }];
    case "too_small":
      return [{ path, ...tooSmall(issue, found, path, schema) }];
    case "too_big":
      return [{ path, message: `expected at most ${issue.maximum}, got ${show(found)}` }];
    default:
      return [{ path, message: issue.message + gotInstead(found), ...example(schema, path) }];
  }
}

/** Of the forms that a field may have, the one that the author meant: of the type of what is there, with the fewest mistakes. */
function explainUnion(
  issue: z.core.$ZodIssueInvalidUnion,
  path: JsonPath,
  root: unknown,
  schema: SchemaNode,
): readonly FieldComplaint[] {
  if (issue.errors.length === 0) {
    // What says which form it is says none of them.
    const known = nodesAt(schema, path).flatMap((node) => (node.const === undefined ? [] : [node.const]));
    return [{ path, ...notOneOf(known, valueAt(root, path)) }];
  }
  const [meant] = issue.errors
    .filter((issues) => !issues.some((inner) => inner.code === "invalid_type" && inner.path.length === 0))
    .toSorted((a, b) => a.length - b.length);
  if (meant !== undefined) {
    return meant.flatMap((inner) =>
      explainIssue({ ...inner, path: [...path, ...inner.path] } as Issue, root, schema),
    );
  }
  const expected = issue.errors.flatMap((issues) =>
    issues.flatMap((inner) => (inner.code === "invalid_type" ? [typeName(inner.expected)] : [])),
  );
  const message = `expected ${expected.join(" or ")}, got ${show(valueAt(root, path))}`;
  return [{ path, message, ...example(schema, path) }];
}

/** For a field that an object of two forms may have, but not beside what makes it the other one. */
function fieldOfOtherForm(
  parent: JsonPath,
  key: string,
  found: unknown,
  schema: SchemaNode,
): FieldComplaint | undefined {
  const [own, ...others] = nodesAt(schema, parent)
    .flatMap(forms)
    .toSorted((a, b) => Number(hasField(b, key)) - Number(hasField(a, key)));
  if (own === undefined || !hasField(own, key)) return undefined;
  const rival = others
    .flatMap(({ required }) => (Array.isArray(required) ? required.map(String) : []))
    .find((field) => !hasField(own, field) && ownField(found, field) !== undefined);
  if (rival === undefined) return undefined;
  const path = [...parent, key];
  const isRequired = Array.isArray(own.required) && own.required.includes(key);
  return isRequired
    ? { path, message: `give either "${rival}" or "${key}", not both` }
    : { path, message: `"${key}" does not go with "${rival}"` };
}

function hasField(node: SchemaNode, key: string): boolean {
  return ownField(node.properties, key) !== undefined;
}

function unknownField(parent: JsonPath, key: string, schema: SchemaNode): FieldComplaint {
  const path = [...parent, key];
  const siblings = [...new Set(nodesAt(schema, parent).flatMap(fieldsOf))];
  const near = nearest(key, siblings);
  if (near !== undefined) return { path, message: "unknown field", hint: `Did you mean "${near}"?` };
  const elsewhere = allFields(schema).find((known) => known.endsWith(`.${key}`));
  if (elsewhere !== undefined)
    return { path, message: "unknown field", hint: `Did you mean "${elsewhere}"?` };
  return { path, message: "unknown field", hint: `Known here: ${siblings.join(", ")}.` };
}

function notOneOf(values: readonly unknown[], found: unknown): { message: string; hint?: string } {
  const known = values.map(String);
  const expected = values.map((value) => JSON.stringify(value)).join(", ");
  const message = `expected ${known.length > 1 ? "one of " : ""}${expected}${gotInstead(found)}`;
  const near = typeof found === "string" && known.length > 1 ? nearest(found, known) : undefined;
  return near === undefined ? { message } : { message, hint: `Did you mean "${near}"?` };
}

function wrongType(
  issue: z.core.$ZodIssueInvalidType,
  found: unknown,
  path: JsonPath,
  schema: SchemaNode,
): { message: string; hint?: string } {
  if (found !== undefined) {
    return { message: `expected ${typeName(issue.expected)}, got ${show(found)}`, ...example(schema, path) };
  }
  const description = nodesAt(schema, path)[0]?.description;
  const purpose = typeof description === "string" ? `: ${description}` : "";
  return { message: `this field is missing${purpose}`, ...example(schema, path) };
}

function tooSmall(
  issue: z.core.$ZodIssueTooSmall,
  found: unknown,
  path: JsonPath,
  schema: SchemaNode,
): { message: string; hint?: string } {
  if (found === "") return { message: "expected some text, got none", ...example(schema, path) };
  const bound = issue.inclusive === false ? "more than" : "at least";
  return { message: `expected ${bound} ${issue.minimum}, got ${show(found)}` };
}

const typeNames: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "an object",
  record: "an object",
  array: "a list",
};

function typeName(expected: string): string {
  return typeNames[expected] ?? expected;
}

function gotInstead(found: unknown): string {
  return found === undefined ? "" : `, got ${show(found)}`;
}

/** A value as a person would name it: `the text "ten"`, `the number 3`, `a list`. */
function show(value: unknown): string {
  if (typeof value === "string") return `the text ${shorten(JSON.stringify(value))}`;
  if (typeof value === "number") return `the number ${value}`;
  if (Array.isArray(value)) return "a list";
  return isRecord(value) ? "an object" : String(value);
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}..."` : text;
}

function example(schema: SchemaNode, path: JsonPath): { hint?: string } {
  for (const { examples, default: usual } of nodesAt(schema, path).flatMap(forms)) {
    const [first] = Array.isArray(examples) ? examples : [usual];
    if (first !== undefined && first !== "" && !isRecord(first)) {
      return { hint: `Example: ${JSON.stringify(first)}` };
    }
  }
  return {};
}

/** The parts of a JSON Schema that describe the value at this path: more than one where a field has several forms. */
function nodesAt(schema: SchemaNode, path: JsonPath): readonly SchemaNode[] {
  return path.reduce<readonly SchemaNode[]>(
    (nodes, part) => nodes.flatMap((node) => forms(node).flatMap((form) => child(form, part))),
    [schema],
  );
}

function forms(node: SchemaNode): readonly SchemaNode[] {
  const others = [node.anyOf, node.oneOf].flatMap((list) =>
    Array.isArray(list) ? list.filter(isRecord) : [],
  );
  return [node, ...others];
}

function child(node: SchemaNode, part: string | number): readonly SchemaNode[] {
  const next = typeof part === "number" ? node.items : ownField(node.properties, part);
  return isRecord(next) ? [next] : [];
}

function ownField(object: unknown, key: string): unknown {
  return isRecord(object) && Object.hasOwn(object, key) ? object[key] : undefined;
}

function fieldsOf(node: SchemaNode): readonly string[] {
  return forms(node).flatMap(({ properties }) => (isRecord(properties) ? Object.keys(properties) : []));
}

/** Every field of every object, as "limits.turns". */
function allFields(schema: SchemaNode): readonly string[] {
  return fieldsOf(schema).flatMap((name) =>
    nodesAt(schema, [name])
      .flatMap(fieldsOf)
      .map((inner) => `${name}.${inner}`),
  );
}

function valueAt(root: unknown, path: JsonPath): unknown {
  return path.reduce<unknown>((value, part) => {
    if (typeof part === "number") return Array.isArray(value) ? value[part] : undefined;
    return ownField(value, part);
  }, root);
}
