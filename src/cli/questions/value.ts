import { isRecord } from "../../lib/json.ts";
import type { InterruptAnswer, QuestionRequest } from "../../log/entry.ts";
import { oneLine } from "../render/plain.ts";
import type { Dialogue } from "./dialogue.ts";

type Schema = Readonly<Record<string, unknown>>;

/** What a tool asks: free text, a value of a simple schema, or the fields of one, one after the other. Null: left open. */
export async function askForValue(
  { kind, message, schema, url }: QuestionRequest,
  dialogue: Dialogue,
): Promise<InterruptAnswer | null> {
  const { ask, say } = dialogue;
  if (url !== undefined) say(`Go to ${oneLine(url)}, then come back here.`);
  if (kind === "auth" && schema === undefined) {
    const line = await ask("[enter] I have done so, or a code that you were given  [r] reject  [l] later: ");
    if (line === null || line.trim() === "l") return null;
    return line.trim() === "r" ? rejection(dialogue) : { action: "respond", value: line.trim() || "done" };
  }
  if (schema === undefined) {
    const line = await ask(`${oneLine(message)} ([r] reject, [enter] later): `);
    if (line === null || line.trim() === "") return null;
    return line.trim() === "r" ? rejection(dialogue) : { action: "respond", value: line };
  }
  say("[r] as an answer rejects, nothing leaves it open.");
  const value = await valueFrom(schema, "", dialogue);
  if (value === LATER) return null;
  return value === REJECTED ? rejection(dialogue) : { action: "respond", value };
}

async function rejection({ ask }: Dialogue): Promise<InterruptAnswer | null> {
  const feedback = await ask("Why (or nothing): ");
  if (feedback === null) return null;
  return feedback.trim() === "" ? { action: "reject" } : { action: "reject", feedback: feedback.trim() };
}

const LATER = Symbol("later");
const REJECTED = Symbol("rejected");

/** A field of an object has a name; a value for itself has none. */
async function valueFrom(schema: Schema, name: string, dialogue: Dialogue): Promise<unknown> {
  if (schema.type === "object" && isRecord(schema.properties)) {
    return fieldsOf(schema.properties, requiredOf(schema), dialogue);
  }
  return scalarOf(schema, name, true, dialogue);
}

function requiredOf({ required }: Schema): ReadonlySet<unknown> {
  return new Set(Array.isArray(required) ? required : []);
}

async function fieldsOf(
  properties: Schema,
  required: ReadonlySet<unknown>,
  dialogue: Dialogue,
): Promise<unknown> {
  const value: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(properties)) {
    const field = await scalarOf(isRecord(schema) ? schema : {}, name, required.has(name), dialogue);
    if (field === REJECTED) return REJECTED;
    if (field === LATER && required.has(name)) return LATER;
    if (field !== LATER) value[name] = field;
  }
  return value;
}

/** Asks until what is typed can be read as the type. LATER for nothing. */
async function scalarOf(
  schema: Schema,
  name: string,
  required: boolean,
  { ask, say }: Dialogue,
): Promise<unknown> {
  const label = oneLine(name === "" ? "Answer" : name);
  const about = typeof schema.description === "string" ? ` (${oneLine(schema.description)})` : "";
  for (;;) {
    const line = (await ask(`${label}${about}${hintOf(schema)}${required ? "" : ", optional"}: `))?.trim();
    if (line === undefined || line === "") return LATER;
    if (line === "r") return REJECTED;
    const read = readAs(schema, line);
    if (read !== undefined) return read.value;
    say(`That is not ${expected(schema)}.`);
  }
}

function hintOf(schema: Schema): string {
  if (Array.isArray(schema.enum)) return ` [${schema.enum.map((each) => oneLine(String(each))).join(", ")}]`;
  return schema.type === "boolean" ? " [y/n]" : "";
}

function readAs({ type, enum: choices }: Schema, line: string): { readonly value: unknown } | undefined {
  if (Array.isArray(choices)) {
    const value = choices.find((choice) => String(choice) === line);
    return value === undefined ? undefined : { value };
  }
  switch (type) {
    case "string":
      return { value: line };
    case "boolean":
      return /^(?:y|yes|true|n|no|false)$/i.test(line) ? { value: /^(?:y|t)/i.test(line) } : undefined;
    case "number":
    case "integer": {
      const value = Number(line);
      return Number.isFinite(value) && (type === "number" || Number.isInteger(value)) ? { value } : undefined;
    }
    default:
      return json(line);
  }
}

function json(line: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(line) };
  } catch {
    return undefined;
  }
}

function expected({ type, enum: choices }: Schema): string {
  if (Array.isArray(choices)) return `one of ${choices.map((each) => oneLine(String(each))).join(", ")}`;
  if (type === "boolean") return "y or n";
  if (type === "integer") return "a whole number";
  return type === "number" ? "a number" : "JSON";
}
