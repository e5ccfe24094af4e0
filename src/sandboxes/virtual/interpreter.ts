import {
  Bash,
  type BashExecResult,
  type CommandName,
  getCommandNames,
  InMemoryFs,
  MountableFs,
  ReadWriteFs,
  stdoutKind,
} from "just-bash";
import { errorMessage } from "../../lib/errors.ts";
import { type CommandEnded, type RunCommand, VIRTUAL_ROOT, type WorkerSetup } from "./protocol.ts";

/** Runs one command with just-bash, in a new shell. Never throws. The only place that knows just-bash. */
export async function runCommand(setup: WorkerSetup, run: RunCommand): Promise<CommandEnded> {
  try {
    const stdin = run.stdin && Buffer.from(run.stdin).toString("latin1");
    const result = await newShell(setup, run).exec(run.command, {
      rawScript: true,
      ...(stdin === undefined ? {} : { stdin, stdinKind: "bytes" as const }),
    });
    const stderr = bounded(Buffer.from(result.stderr));
    return { exitCode: result.exitCode, stdout: bounded(stdoutBytes(result)), stderr };
  } catch (error) {
    // Writing through a link that leads outside, for example, is thrown instead of told to the script.
    const stderr = Buffer.from(`bash: ${errorMessage(error)}\n`);
    return { exitCode: 1, stdout: new Uint8Array(), stderr };
  }
}

/** Interpreters of other languages, and what only makes sense with a network. */
const LEFT_OUT: ReadonlySet<string> = new Set(["sqlite3", "html-to-markdown"]);
const commands = getCommandNames().filter((name) => !LEFT_OUT.has(name)) as CommandName[];

const unlimited = Number.POSITIVE_INFINITY;

function newShell(setup: WorkerSetup, { cwd, env }: RunCommand): Bash {
  const mounts = [
    { mountPoint: VIRTUAL_ROOT, filesystem: hostDirectory(setup.workspace, setup) },
    { mountPoint: "/tmp", filesystem: hostDirectory(setup.temporary, setup) },
  ];
  return new Bash({
    fs: new MountableFs({ base: new InMemoryFs(), mounts }),
    cwd,
    env: { HOME: VIRTUAL_ROOT, LANG: "C.UTF-8", TERM: "dumb", ...env },
    commands,
    // The driver limits time and memory, which is what these counters stand for.
    executionLimits: {
      maxCommandCount: unlimited,
      maxLoopIterations: unlimited,
      maxAwkIterations: unlimited,
      maxSedIterations: unlimited,
      maxJqIterations: unlimited,
      maxWorkUnits: unlimited,
      maxExecutionTimeMs: unlimited,
    },
  });
}

/**
 * Symbolic links are neither made nor followed by commands. Checking a path and using it are two steps here, and without
 * links there is nothing that another command could swap in between.
 */
function hostDirectory(root: string, { maxFileBytes }: WorkerSetup): ReadWriteFs {
  return new ReadWriteFs({ root, allowSymlinks: false, maxFileReadSize: maxFileBytes });
}

/** just-bash knows text and only sometimes bytes; a byte that is no UTF-8 may arrive as a character. */
function stdoutBytes(result: BashExecResult): Uint8Array {
  return Buffer.from(result.stdout, stdoutKind(result) === "bytes" ? "latin1" : "utf8");
}

const HEAD_BYTES = 16 * 1_048_576;
const TAIL_BYTES = 1_048_576;

/** The output arrives as one message, which the runtime has to hold: of a flood only the beginning and the end are sent. */
function bounded(output: Uint8Array): Uint8Array {
  const omitted = output.length - HEAD_BYTES - TAIL_BYTES;
  if (omitted <= 0) return output;
  const note = Buffer.from(`\n[... ${omitted} bytes left out here ...]\n`);
  return Buffer.concat([output.subarray(0, HEAD_BYTES), note, output.subarray(-TAIL_BYTES)]);
}
