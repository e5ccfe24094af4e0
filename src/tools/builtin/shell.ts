import { z } from "zod";
import { errorMessage, isAppError } from "../../lib/errors.ts";
import type { ExecResult, Execution, OutputChunk, Sandbox } from "../../sandboxes/sandbox.ts";
import { formatBytes, liveText } from "../clean-text.ts";
import { defineTool } from "../define.ts";
import { type CollectedOutput, outputCollector, outputPath } from "../output.ts";
import type { ToolContext, ToolResult } from "../tool.ts";

const DEFAULT_SECONDS = 120;
const MAX_SECONDS = 600;

const input = z.strictObject({
  command: z.string().min(1).describe("A bash script; several lines are fine."),
  timeoutSeconds: z
    .number()
    .int()
    .min(1)
    .max(MAX_SECONDS)
    .optional()
    .describe(`After this the command and everything that it started is killed. Default ${DEFAULT_SECONDS}.`),
});

export const shellTool = defineTool({
  name: "shell",
  description: [
    "Runs a bash command in the session's workspace and returns what it printed (stdout and stderr as they came) and its exit status.",
    "Use it to run programs: build, test, convert, calculate, use git, inspect data.",
    "Each call starts a new shell in the workspace directory: `cd` and variables do not last, files do.",
    "There is no terminal and no input, so pass the flags that keep programs from asking (`-y`, `--no-pager`).",
    "Do not use it to read, write, search or change text files: `read`, `write`, `edit`, `glob` and `grep` are exact and need no quoting.",
    "A long output is cut in the middle and kept in a file whose path you get; limit it yourself where you can.",
    "If something takes longer than two minutes, give `timeoutSeconds`.",
  ].join("\n"),
  input,
  effect: "reconcile",
  // Above the longest time limit of a command: that one is enforced in the sandbox, and says more when it strikes.
  timeoutMs: (MAX_SECONDS + 30) * 1000,

  // In the workspace, as every command.
  preview: async ({ command }) => ({ type: "command", text: command }),

  async run({ command, timeoutSeconds = DEFAULT_SECONDS }, context) {
    const sandbox = await context.sandbox();
    context.signal.throwIfAborted();
    await using execution = await sandbox.exec({
      operationId: context.operationId,
      command,
      timeoutMs: timeoutSeconds * 1000,
    });
    return toResult(await follow(execution, sandbox, context), { sandbox, isLate: false });
  },

  /** The sandbox outlives the runtime, so it is asked: it has the command's output, or the command is still running. */
  async reconcile(_input, context) {
    const sandbox = await context.sandbox();
    await using execution = await sandbox.attach(context.operationId);
    if (execution !== undefined) {
      const ended = await follow(execution, sandbox, context);
      return "sandboxDied" in ended.outcome
        ? { type: "lost", why: "the sandbox in which it ran has ended since" }
        : { type: "finished", result: toResult(ended, { sandbox, isLate: true }) };
    }
    return sandbox.capabilities.survivesRestart
      ? { type: "notStarted" }
      : {
          type: "lost",
          why: "commands in this kind of sandbox end with the runtime, so nobody saw how it ended",
        };
  },
});

interface Ended {
  readonly output: CollectedOutput;
  readonly outcome: Outcome;
}

type Outcome = ExecResult | { readonly sandboxDied: string };

/** Passes output on while the command runs. A stop kills the command; then this resolves, too. */
async function follow(execution: Execution, sandbox: Sandbox, context: ToolContext): Promise<Ended> {
  const { signal } = context;
  const kill = () => {
    // A node that lost the session leaves the command alone: the session's next owner attaches to it.
    if (isAppError(signal.reason, "fenced"))
      execution[Symbol.asyncDispose]().then(undefined, () => undefined);
    else execution.kill().catch(() => undefined);
  };
  if (signal.aborted) kill();
  else signal.addEventListener("abort", kill, { once: true });
  // It may settle before the output has been read, so it has its reader from the start.
  const outcome = outcomeOf(execution);
  outcome.catch(() => undefined);
  try {
    const output = await collect(execution, sandbox, context);
    if (isAppError(signal.reason, "fenced")) throw signal.reason;
    return { output, outcome: await outcome };
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

/** Enough for a person to follow; a command that prints gigabytes is not sent to every watcher. */
const MAX_LIVE_BYTES = 1_000_000;

async function collect(
  execution: Execution,
  sandbox: Sandbox,
  context: ToolContext,
): Promise<CollectedOutput> {
  const collector = outputCollector(sandbox, outputPath(context.callId));
  const live = { stdout: liveText(), stderr: liveText() };
  let received = 0;
  for await (const { stream, bytes } of untilItDies(execution.output)) {
    await collector.push({ stream, bytes });
    if (received > MAX_LIVE_BYTES) continue;
    received += bytes.length;
    const text = live[stream](bytes);
    if (text !== "") context.emit({ type: "output", stream, text });
    if (received > MAX_LIVE_BYTES) {
      context.emit({ type: "progress", message: "The output goes on; the rest is not shown live." });
    }
  }
  return collector.finish();
}

/** What was printed before the sandbox died is worth showing; that it died is in the outcome. */
async function* untilItDies(output: Execution["output"]): AsyncGenerator<OutputChunk> {
  try {
    yield* output;
  } catch (error) {
    if (!isAppError(error, "unavailable")) throw error;
  }
}

async function outcomeOf(execution: Execution): Promise<Outcome> {
  try {
    return await execution.result;
  } catch (error) {
    if (isAppError(error, "unavailable")) return { sandboxDied: errorMessage(error) };
    throw error;
  }
}

interface Reading {
  readonly sandbox: Sandbox;
  /** Not from the start of the command, so that a part of its output may have gone by. */
  readonly isLate: boolean;
}

function toResult({ output, outcome }: Ended, { sandbox, isLate }: Reading): ToolResult {
  const missed = isLate && "droppedBytes" in outcome ? outcome.droppedBytes : 0;
  const note = describe(outcome, { isSilent: output.text === "", missed });
  const text = [output.text, note, hintFor(outcome, sandbox)].filter((part) => part !== "").join("\n\n");
  const kept = { outputBytes: output.bytes, ...(output.file === null ? {} : { outputFile: output.file }) };
  if ("sandboxDied" in outcome)
    return { content: text, isError: true, details: { ...kept, sandboxDied: true } };
  const { exitCode, signal, durationMs } = outcome;
  return {
    content: text,
    ...(exitCode === 0 ? {} : { isError: true }),
    ...(outcome.timedOut ? { timedOut: true } : {}),
    details: { exitCode, signal, durationMs, ...kept },
  };
}

/** What the model must know besides the output; nothing when all went well. */
function describe(
  outcome: Outcome,
  { isSilent, missed }: { readonly isSilent: boolean; readonly missed: number },
): string {
  if ("sandboxDied" in outcome) {
    return `[The sandbox ended while the command ran (${outcome.sandboxDied}). The command may be done in part.]`;
  }
  const { exitCode, signal, durationMs, timedOut, killed } = outcome;
  const seconds = `${(durationMs / 1000).toFixed(1)} s`;
  const notes: string[] = [];
  if (missed > 0) notes.push(`${formatBytes(missed)} of the output were not kept`);
  if (timedOut)
    notes.push(`timed out after ${seconds}: the command and everything that it started was killed`);
  else if (killed) notes.push(`stopped after ${seconds}`);
  else if (signal !== null) notes.push(`ended by ${signal} after ${seconds}`);
  else if (exitCode !== 0) notes.push(`exit status ${exitCode}`);
  else if (isSilent) notes.push("no output, exit status 0");
  return notes.length === 0 ? "" : `[${notes.join("; ")}]`;
}

const COMMAND_NOT_FOUND = 127;

/** Without it a model tries one missing program after the other. */
function hintFor(outcome: Outcome, { capabilities }: Sandbox): string {
  const isMissing = "exitCode" in outcome && outcome.exitCode === COMMAND_NOT_FOUND;
  return isMissing && !capabilities.realPrograms
    ? "[This shell has only built-in commands (text tools, awk, sed, jq, yq, tar and the like); nothing can be installed.]"
    : "";
}
