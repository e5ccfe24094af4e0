import { z } from "zod";
import type { ExecResult, Execution } from "../../sandboxes/sandbox.ts";
import { textCleaner } from "../clean-text.ts";
import { defineTool } from "../define.ts";
import type { ToolResult } from "../tool.ts";
import { usuallySkipped } from "./walk.ts";
import { failure, missing, quote, shown } from "./workspace.ts";

const DEFAULT_LINES = 200;
const MAX_LINE_CHARACTERS = 400;
const TIMEOUT_MS = 60_000;

const input = z.strictObject({
  pattern: z.string().min(1).describe("A regular expression; `literal` takes it as plain text."),
  path: z.string().min(1).optional().describe("A directory or file to search. Default: the whole workspace."),
  glob: z.string().min(1).optional().describe("Only files with matching names, for example `*.py`."),
  ignoreCase: z.boolean().optional().describe("Default false."),
  literal: z.boolean().optional().describe("Take the pattern as plain text. Default false."),
  context: z.number().int().min(0).max(20).optional().describe("Lines to show around each match. Default 0."),
  limit: z.number().int().min(1).max(2000).optional().describe(`Lines of result. Default ${DEFAULT_LINES}.`),
});

type Query = z.output<typeof input>;

export const grepTool = defineTool({
  name: "grep",
  description: [
    "Searches the contents of the workspace's text files and returns `path:line:text` for each matching line.",
    "Use it to find where something is defined, used or mentioned, also in kept outputs (give their path).",
    "Hidden files and what .gitignore names are left out unless `path` points at them.",
    "Not for file names (`glob`), nor to read a whole file (`read`).",
  ].join("\n"),
  input,
  effect: "readonly",
  timeoutMs: TIMEOUT_MS + 10_000,

  async run(query, context) {
    const sandbox = await context.sandbox();
    const path = shown(sandbox, query.path ?? ".");
    // Also refuses what is outside: the command itself is only held by the sandbox.
    if ((await sandbox.stat(query.path ?? ".")) === undefined) return missing(sandbox, path);
    await using execution = await sandbox.exec({
      operationId: context.operationId,
      command: searchCommand(query, path),
      timeoutMs: TIMEOUT_MS,
    });
    execution.result.catch(() => undefined);
    const stop = () => execution.kill().catch(() => undefined);
    context.signal.addEventListener("abort", stop, { once: true });
    try {
      const found = await readMatches(execution, query.limit ?? DEFAULT_LINES);
      if (found.hasMore) await execution.kill();
      context.signal.throwIfAborted();
      return describe(query, found, await execution.result);
    } finally {
      context.signal.removeEventListener("abort", stop);
    }
  },
});

/** ripgrep where the sandbox has it, else grep. Every word of the model's is quoted. */
function searchCommand(query: Query, path: string): string {
  // A name that begins with a dash or a digit stays a name.
  const target = quote(path === "." ? "." : `./${path}`);
  const common = [query.context === undefined ? "" : `-C ${query.context}`, "-n"];
  // Only options that the ripgrep of the built-in bash knows, too; without a terminal there are no colours and headings.
  const ripgrep = [
    "rg -H --sort=path",
    query.ignoreCase === true ? "-i" : "-s",
    ...common,
    query.literal === true ? "-F" : "",
    query.glob === undefined ? "" : `-g ${quote(query.glob)}`,
    `-e ${quote(query.pattern)} ${target}`,
  ];
  const grep = [
    "grep -r -H -I",
    query.ignoreCase === true ? "-i" : "",
    ...common,
    query.literal === true ? "-F" : "-E",
    query.glob === undefined ? "" : `--include=${quote(query.glob)}`,
    ...[...usuallySkipped].map((name) => `--exclude-dir=${quote(name)}`),
    // grep -E has no \d.
    `-e ${quote(query.literal === true ? query.pattern : query.pattern.replaceAll("\\d", "[0-9]"))} -- ${target}`,
  ];
  const line = (words: readonly string[]) => words.filter((word) => word !== "").join(" ");
  return `if command -v rg > /dev/null 2>&1; then ${line(ripgrep)}; else ${line(grep)}; fi`;
}

interface Found {
  readonly lines: readonly string[];
  readonly complaints: string;
  readonly hasMore: boolean;
}

async function readMatches(execution: Execution, limit: number): Promise<Found> {
  const cleaners = { stdout: textCleaner(), stderr: textCleaner() };
  const lines: string[] = [];
  let complaints = "";
  let unfinished = "";
  const add = (text: string) => {
    const parts = text.split("\n");
    parts[0] = unfinished + parts[0];
    // A line may be a whole file: no more of it is held than is shown.
    unfinished = (parts.pop() ?? "").slice(0, MAX_LINE_CHARACTERS * 2);
    lines.push(...parts.map(shorten));
  };
  for await (const chunk of execution.output) {
    const text = cleaners[chunk.stream].push(chunk.bytes);
    if (chunk.stream === "stderr") complaints = (complaints + text).slice(0, 2000);
    else add(text);
    if (lines.length > limit) break;
  }
  add(cleaners.stdout.end());
  if (unfinished !== "") add("\n");
  complaints += cleaners.stderr.end();
  return { lines: lines.slice(0, limit), complaints: complaints.trim(), hasMore: lines.length > limit };
}

function shorten(line: string): string {
  const clean = line.startsWith("./") ? line.slice(2) : line;
  if (clean.length <= MAX_LINE_CHARACTERS) return clean;
  return `${clean.slice(0, MAX_LINE_CHARACTERS).toWellFormed()} [...]`;
}

function describe(query: Query, found: Found, result: ExecResult): ToolResult {
  const details = { lines: found.lines.length, hasMore: found.hasMore };
  const notes: string[] = [];
  if (found.hasMore) notes.push(`only the first ${found.lines.length} lines; narrow the search down`);
  if (result.timedOut) notes.push(`stopped after ${TIMEOUT_MS / 1000} s; search a part of the workspace`);
  const text = [found.lines.join("\n"), notes.length > 0 ? `[${notes.join("; ")}]` : ""]
    .filter(Boolean)
    .join("\n\n");
  if (text !== "") return { content: text, details };
  // 1: nothing found. A complaint: the search itself failed, usually because of the pattern.
  if (found.complaints === "" && (result.exitCode === 0 || result.exitCode === 1)) {
    return { content: `No match for ${query.pattern}.`, details };
  }
  return failure(found.complaints || `The search failed (exit status ${result.exitCode}).`, details);
}
