import { isRecord } from "../lib/json.ts";
import { type JsonPath, type JsonSource, parseJsonSource } from "../lib/json-source.ts";
import { explainIssues } from "./explain.ts";
import { type Harness, harnessSchema, type ToolReference, toolSchema } from "./harness.ts";
import { fieldName, type Problem } from "./problem.ts";

/** The text of a harness.json, understood as far as possible. */
export interface HarnessFile {
  readonly file: string;
  /** Undefined when the text does not fit the schema; then `problems` is not empty. */
  readonly harness: Harness | undefined;
  /** What the file refers to, also when other fields are wrong. */
  readonly references: References;
  readonly problems: readonly Problem[];
  /** A problem of one field, with its place in the file. */
  problemAt(path: JsonPath, message: string, hint?: string): Problem;
}

export interface References {
  readonly systemPrompt: string | undefined;
  readonly workspace: string | undefined;
  readonly script: string | undefined;
  readonly tools: readonly { readonly index: number; readonly reference: ToolReference }[];
}

/** Pure: looks at the text only, not at the files that it names. */
export function readHarness(text: string, file: string): HarnessFile {
  const source = parseJsonSource(text);
  const problemAt = (path: JsonPath, message: string, hint?: string): Problem => {
    const position = source.ok ? nearestPosition(source, path) : undefined;
    return {
      file,
      field: fieldName(path),
      ...(position === undefined ? {} : { position }),
      message,
      ...(hint === undefined ? {} : { hint }),
    };
  };
  if (!source.ok) {
    const { message, position, excerpt } = source;
    const problem = { file, field: null, position, message, excerpt };
    return { file, harness: undefined, references: referencesIn({}), problems: [problem], problemAt };
  }
  const parsed = harnessSchema.safeParse(source.value);
  return {
    file,
    harness: parsed.data,
    references: referencesIn(source.value),
    problems: explainIssues(parsed.error?.issues ?? [], source.value).map(({ path, message, hint }) =>
      problemAt(path, message, hint),
    ),
    problemAt,
  };
}

/** Of a field that is missing, the place of the object that should have it. */
function nearestPosition(source: Extract<JsonSource, { ok: true }>, path: JsonPath) {
  for (let length = path.length; length >= 0; length--) {
    const position = source.positionOf(path.slice(0, length));
    if (position !== undefined) return position;
  }
  return undefined;
}

function referencesIn(value: unknown): References {
  const fields = isRecord(value) ? value : {};
  const tools = Array.isArray(fields.tools) ? fields.tools : [];
  return {
    systemPrompt: textOrNothing(fields.systemPrompt),
    workspace: textOrNothing(fields.workspace),
    script: isRecord(fields.model) ? textOrNothing(fields.model.script) : undefined,
    tools: tools.flatMap((tool: unknown, index) => {
      const { data: reference } = toolSchema.safeParse(tool);
      return reference === undefined ? [] : [{ index, reference }];
    }),
  };
}

function textOrNothing(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
