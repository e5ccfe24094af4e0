import { readFile } from "node:fs/promises";
import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { AppError, errorMessage, systemErrorCode } from "../../lib/errors.ts";
import { nearest } from "../../lib/json.ts";

/** Contains this text, in any case; or, with `matches`, fits this regular expression. */
const textPattern = z.union([
  z.string(),
  z.strictObject({
    matches: z.string().refine(isRegex, { error: ({ input }) => whyNotRegex(String(input)) }),
  }),
]);

const condition = z.strictObject({
  /** The model's nth answer in this conversation, from 1. */
  turn: z.int().min(1).optional(),
  /** The model's nth answer since the last message of a person, from 1. */
  step: z.int().min(1).optional(),
  /** Whom the answer follows. */
  after: z.enum(["user", "tool"]).optional(),
  /** The last message of a person. */
  user: textPattern.optional(),
  /** Whether this is the request for a summary that a compaction makes. */
  summary: z.boolean().optional(),
  /** Whether this is the question whether a call may start (permission mode `auto`). Default false. */
  classification: z.boolean().optional(),
  system: textPattern.optional(),
  /** The last result of `tool`, or of any tool. Does not hold while there is none. */
  result: z
    .strictObject({
      tool: z.string().optional(),
      text: textPattern.optional(),
      isError: z.boolean().optional(),
    })
    .optional(),
});

const call = z.strictObject({
  tool: z.string().min(1),
  /** The arguments. Strings in it, at any depth, are templates. Default `{}`. */
  input: z.record(z.string(), z.unknown()).optional(),
  /** The arguments as raw text, for arguments that are not JSON. Instead of `input`. */
  inputText: z.string().optional(),
});

const usage = z.strictObject({
  input: z.int().min(0).optional(),
  cacheRead: z.int().min(0).optional(),
  cacheWrite: z.int().min(0).optional(),
  cacheWrite1h: z.int().min(0).optional(),
  output: z.int().min(0).optional(),
  reasoning: z.int().min(0).optional(),
});

const failure = z.strictObject({
  kind: z.enum([
    "rateLimited",
    "overloaded",
    "network",
    "timeout",
    "contextOverflow",
    "refused",
    "badRequest",
    "authentication",
    "quota",
    "unknown",
  ]),
  message: z.string().optional(),
  status: z.int().optional(),
  retryAfterMs: z.int().min(0).optional(),
  /** Send this many pieces of the answer first. Default 0. */
  afterChunks: z.int().min(0).optional(),
});

const pace = {
  /** Characters in one piece of text, reasoning or arguments. Default 16. */
  chunkSize: z.int().min(1).optional(),
  /** Milliseconds before each piece, or before the first one and between the others. Default 0. */
  delayMs: z
    .union([
      z.number().min(0),
      z.strictObject({ first: z.number().min(0).optional(), between: z.number().min(0).optional() }),
    ])
    .optional(),
};

const turn = z.strictObject({
  /** Names the turn in messages. */
  name: z.string().optional(),
  /** All of these must hold. Without it, the turn fits every request. */
  when: condition.optional(),
  /** How often the turn may answer in one conversation. Default 1. `any`: as often as it fits, also never. */
  times: z.union([z.int().min(1), z.literal("any")]).optional(),
  reasoning: z.string().optional(),
  text: z.string().optional(),
  /** Several are asked for in one answer, in parallel. */
  calls: z.array(call).optional(),
  /** Default `toolCalls` with calls, `endTurn` without. */
  stopReason: z.enum(["endTurn", "toolCalls", "maxTokens", "refused", "other"]).optional(),
  /** Parts left out are estimated: four characters a token. */
  usage: usage.optional(),
  error: failure.optional(),
  ...pace,
});

const script = z.strictObject({
  /** For the turns that do not say their own. */
  defaults: z.strictObject(pace).optional(),
  turns: z.array(turn).min(1, "needs at least one turn"),
});

export type Script = z.input<typeof script>;
export type ScriptTurn = z.input<typeof turn>;
export type ScriptCall = z.input<typeof call>;
export type ScriptCondition = z.input<typeof condition>;
export type ScriptError = z.input<typeof failure>;
export type TextPattern = z.input<typeof textPattern>;

/**
 * A script from a `.json`, `.yaml` or `.yml` file.
 * @throws AppError `invalid_config` that names the file, the line, the field and the nearest known field.
 */
export async function loadScript(path: string): Promise<Script> {
  const text = await readScriptFile(path);
  const lines = new LineCounter();
  // JSON is YAML, so that one parser serves both.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const broken = document.errors[0];
  if (broken !== undefined) {
    const { line, col } = lines.linePos(broken.pos[0]);
    throw new AppError("invalid_config", `${path}:${line}:${col}: ${broken.message}`, {
      hint: "Correct the syntax: the file is JSON or YAML.",
    });
  }
  return parseScript(document.toJS(), (field) => {
    const node = document.getIn(field, true);
    const range = isRanged(node) ? node.range : undefined;
    return range ? `${path}:${lines.linePos(range[0]).line}` : path;
  });
}

/**
 * Checks a script.
 * @param locate says where a field stands, for the message.
 * @throws AppError `invalid_config`.
 */
export function parseScript(
  value: unknown,
  locate: (field: readonly PropertyKey[]) => string = () => "script",
): Script {
  const parsed = script.safeParse(value);
  if (parsed.success) return parsed.data;
  const complaints = parsed.error.issues.map(
    (issue) => `${locate(issue.path)}: ${fieldName(issue.path)}: ${explain(issue)}`,
  );
  throw new AppError("invalid_config", complaints.join("\n"), {
    hint: "docs/scripted-model.md describes the fields of a script.",
  });
}

async function readScriptFile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const why = systemErrorCode(error) === "ENOENT" ? "the file does not exist" : errorMessage(error);
    throw new AppError("invalid_config", `cannot read the script ${path}: ${why}`, {
      hint: "Name a JSON or YAML file with `turns`.",
      cause: error,
    });
  }
}

const KNOWN_FIELDS = [script, turn, condition, call, usage, failure].flatMap((schema) =>
  Object.keys(schema.shape),
);

function explain(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") {
    return issue.keys
      .map((key) => {
        const near = nearest(key, KNOWN_FIELDS);
        return `unknown field "${key}"${near === undefined ? "" : `; did you mean "${near}"?`}`;
      })
      .join(", ");
  }
  return issue.message;
}

function fieldName(path: readonly PropertyKey[]): string {
  const name = path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  return name.replace(/^\./, "") || "the script";
}

function isRanged(node: unknown): node is { readonly range: readonly [number, number, number] | null } {
  return typeof node === "object" && node !== null && "range" in node;
}

function isRegex(source: string): boolean {
  try {
    new RegExp(source);
    return true;
  } catch {
    return false;
  }
}

/** `(?i)` at the beginning is how most other languages write it. */
function whyNotRegex(source: string): string {
  const flags = /^\(\?([a-z]+)\)/.exec(source)?.[1];
  return flags === undefined
    ? "is not a regular expression"
    : `is not a regular expression: JavaScript has flags for a group only; write (?${flags}:...) around it`;
}
