import { z } from "zod";
import { fieldName } from "../agents/problem.ts";
import { AppError } from "../lib/errors.ts";
import { isRecord, nearest } from "../lib/json.ts";

/** One thing that is wrong with a request. `field` is for example "prompt" or "prompt[0].type"; null for the whole. */
export interface InputProblem {
  readonly field: string | null;
  readonly message: string;
}

/** Where the data stood, as it is named to the caller. */
export type InputPlace = "body" | "query" | "path";

/** @throws AppError `invalid_input` that names every mistake, and for an unknown field the nearest known one. */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  data: unknown,
  place: InputPlace,
): z.output<Schema> {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap((issue) => explain(issue, schema));
  const list = problems.map(({ field, message }) => (field === null ? message : `${field}: ${message}`));
  throw new AppError("invalid_input", `the request's ${place} is not as expected: ${list.join("; ")}`, {
    hint: "GET /openapi.json describes every request.",
    details: { place, problems },
  });
}

type Issue = z.core.$ZodIssue;

function explain(issue: Issue, schema: z.ZodType): readonly InputProblem[] {
  const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({
        field: fieldName([...path, key]),
        message: unknownField(key, schema, path),
      }));
    case "invalid_union":
      return explainUnion(issue, schema, path);
    case "invalid_type":
      return [{ field: fieldName(path), message: wrongType(issue) }];
    default:
      return [{ field: fieldName(path), message: lowerFirst(issue.message) }];
  }
}

function unknownField(key: string, schema: z.ZodType, path: readonly (string | number)[]): string {
  const known = fieldsAt(schema, path);
  // Of another form of the same value, such as the other answer to a question.
  if (known.includes(key)) return "this field does not go with the others";
  const near = nearest(key, known);
  if (near !== undefined) return `unknown field; did you mean "${near}"?`;
  return known.length === 0
    ? "unknown field; none is expected here"
    : `unknown field; known here: ${known.join(", ")}`;
}

/** Of the forms that a value may have, the one that the caller meant: the first that has the type of what is there. */
function explainUnion(
  issue: z.core.$ZodIssueInvalidUnion,
  schema: z.ZodType,
  path: readonly (string | number)[],
): readonly InputProblem[] {
  const meant = issue.errors.find(
    (issues) => !issues.some(({ code, path: inner }) => code === "invalid_type" && inner.length === 0),
  );
  if (meant !== undefined) {
    return meant.flatMap((inner) =>
      explain({ ...inner, path: [...issue.path, ...inner.path] } as Issue, schema),
    );
  }
  const expected = issue.errors.flatMap((issues) =>
    issues.flatMap((inner) => (inner.code === "invalid_type" ? [typeName(inner.expected)] : [])),
  );
  const message = expected.length === 0 ? lowerFirst(issue.message) : `expected ${expected.join(" or ")}`;
  return [{ field: fieldName(path), message }];
}

function wrongType(issue: z.core.$ZodIssueInvalidType): string {
  return issue.message.endsWith("received undefined")
    ? `missing; expected ${typeName(issue.expected)}`
    : lowerFirst(issue.message.replace("Invalid input: ", ""));
}

const typeNames: Readonly<Record<string, string>> = { string: "text", array: "a list", object: "an object" };

function typeName(expected: string): string {
  return typeNames[expected] ?? expected;
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

/** The names of the fields that the schema knows at a path, over every form that the value there may have. */
function fieldsAt(schema: z.ZodType, path: readonly (string | number)[]): readonly string[] {
  const root = z.toJSONSchema(schema, { io: "input" });
  const nodes = path.reduce<readonly unknown[]>(
    (parents, part) => parents.flatMap((node) => forms(node, root.$defs)).map((form) => child(form, part)),
    [root],
  );
  const names = nodes
    .flatMap((node) => forms(node, root.$defs))
    .flatMap(({ properties }) => namesOf(properties));
  return [...new Set(names)];
}

type SchemaNode = Readonly<Record<string, unknown>>;

/** What a value may be: the schema itself, what it refers to, and its alternatives. */
function forms(node: unknown, definitions: SchemaNode = {}): readonly SchemaNode[] {
  if (!isRecord(node)) return [];
  const target = typeof node.$ref === "string" ? [definitions[node.$ref.replace("#/$defs/", "")]] : [];
  const others = [target, node.anyOf, node.oneOf].flatMap((list) => (Array.isArray(list) ? list : []));
  return [node, ...others.flatMap((other) => forms(other, definitions))];
}

function child(node: SchemaNode, part: string | number): unknown {
  if (typeof part === "number") return node.items;
  return isRecord(node.properties) && Object.hasOwn(node.properties, part)
    ? node.properties[part]
    : undefined;
}

function namesOf(properties: unknown): readonly string[] {
  return isRecord(properties) ? Object.keys(properties) : [];
}
