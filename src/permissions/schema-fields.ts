import { isRecord } from "../lib/json.ts";

/** As JSON Schema names them; "integer" counts as number. */
export type TypeName = "string" | "number" | "boolean" | "null" | "array" | "object";

export interface Members {
  /** The schemas that each field may have. */
  readonly names: ReadonlyMap<string, readonly unknown[]>;
  /** There may be others, of which nothing is known. */
  readonly isOpen: boolean;
}

/**
 * The fields of what fits one of these JSON Schemas. That others are not forbidden, as is usual, does not make one open: it has to say
 * what they are, or nothing at all.
 */
export function membersOf(schemas: readonly unknown[]): Members {
  const names = new Map<string, unknown[]>();
  let isOpen = false;
  for (const schema of flattened(schemas)) {
    if (schema === null || leavesOpen(schema)) isOpen = true;
    for (const [name, field] of Object.entries(isRecord(schema?.properties) ? schema.properties : {})) {
      names.set(name, [...(names.get(name) ?? []), field]);
    }
  }
  return { names, isOpen };
}

function leavesOpen({
  type,
  properties,
  patternProperties,
  additionalProperties,
}: Record<string, unknown>): boolean {
  if (patternProperties !== undefined || additionalProperties === true || isRecord(additionalProperties)) {
    return true;
  }
  if (isRecord(properties)) return false;
  return type === undefined || (type === "object" && additionalProperties !== false) || Array.isArray(type);
}

/** The types of what fits one of these JSON Schemas; null: any. */
export function typesOf(schemas: readonly unknown[]): ReadonlySet<TypeName> | null {
  const types = new Set<TypeName>();
  for (const schema of flattened(schemas)) {
    const own = schema === null ? null : ownTypes(schema);
    if (own === null) return null;
    for (const type of own) types.add(type);
  }
  return types;
}

function ownTypes(schema: Record<string, unknown>): readonly TypeName[] | null {
  const { type } = schema;
  if (type !== undefined) {
    const names = (Array.isArray(type) ? type : [type]).map(typeName);
    return names.includes(null) ? null : names.flatMap((name) => name ?? []);
  }
  if ("const" in schema) return [typeOf(schema.const)];
  return Array.isArray(schema.enum) ? schema.enum.map(typeOf) : null;
}

function typeName(name: unknown): TypeName | null {
  switch (name) {
    case "integer":
      return "number";
    case "string":
    case "number":
    case "boolean":
    case "null":
    case "array":
    case "object":
      return name;
    default:
      return null;
  }
}

function typeOf(value: unknown): TypeName {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeName(typeof value) ?? "object";
}

/** With the alternatives instead of what only lists them. null: not to be seen here, a reference for example. */
function flattened(schemas: readonly unknown[]): readonly (Record<string, unknown> | null)[] {
  return schemas.flatMap((schema) => {
    if (!isRecord(schema) || "$ref" in schema) return [null];
    const { anyOf, oneOf, allOf, ...own } = schema;
    const alternatives = [anyOf, oneOf, allOf].flatMap((list) => (Array.isArray(list) ? list : []));
    if (alternatives.length === 0) return [schema];
    const says = "properties" in own || "type" in own;
    return [...(says ? [own] : []), ...flattened(alternatives)];
  });
}
