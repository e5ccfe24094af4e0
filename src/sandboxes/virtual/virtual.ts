import { mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { errorMessage } from "../../lib/errors.ts";
import { type HostFiles, hostFiles } from "../host-files.ts";
import { type InProcessSandbox, inProcessDriver, type Launched } from "../in-process.ts";
import type { OutputLog } from "../output-log.ts";
import type { ExecSpec, SandboxCapabilities, SandboxDriver, SandboxProbe, SandboxSpec } from "../sandbox.ts";
import { startWorker, type WorkerPool, workerPool } from "./pool.ts";
import { type CommandEnded, VIRTUAL_ROOT } from "./protocol.ts";

/**
 * Bash as an interpreter, for machines without an OS sandbox: commands are the built-in ones (the usual text tools, `jq`, `awk`,
 * `rg`, `tar`, ...), nothing is executed on the host. They see the workspace, `/tmp`, and no network.
 *
 * It runs in a process of its own with a memory limit, which is ended on time-out and kill. Output arrives when the command has
 * ended. Symbolic links are not followed by commands.
 */
const capabilities: SandboxCapabilities = {
  isolation: "interpreter",
  survivesRestart: false,
  // There are no processes, so there is nothing to exceed; one interpreter runs one command.
  limits: { memory: "perProcess", processes: "hard", fileSize: "none", cpu: "perProcess" },
  network: "none",
  realPrograms: false,
};

export function virtualDriver(): SandboxDriver {
  return inProcessDriver({ kind: "virtual", capabilities, probe, open });
}

async function probe(): Promise<SandboxProbe> {
  const nowhere = {
    workspace: "/nonexistent",
    temporary: "/nonexistent",
    maxFileBytes: 1,
    memoryMegabytes: 64,
  };
  const worker = startWorker(nowhere);
  try {
    await worker.run({ command: "exit 0", cwd: "/", env: {}, stdin: undefined });
    return { kind: "virtual", available: true, problem: null, capabilities };
  } catch (error) {
    const problem = { reason: `the built-in bash does not start: ${errorMessage(error)}`, fix: "npm ci" };
    return { kind: "virtual", available: false, problem, capabilities };
  } finally {
    await worker.end();
  }
}

const MEGABYTE = 1_048_576;

async function open(spec: SandboxSpec): Promise<InProcessSandbox> {
  const workspace = await realpath(spec.workspace);
  const drafts = await realpath(spec.stateDir);
  const temporary = join(drafts, "tmp");
  await mkdir(temporary, { recursive: true });
  const files = hostFiles({ directory: workspace, roots: [VIRTUAL_ROOT], drafts });
  const pool = workerPool(() =>
    startWorker({
      workspace,
      temporary,
      maxFileBytes: spec.limits.fileSizeBytes,
      memoryMegabytes: Math.max(64, Math.floor(spec.limits.memoryBytes / MEGABYTE)),
    }),
  );
  return {
    root: VIRTUAL_ROOT,
    files,
    launch: async (exec, output) =>
      launch(exec, output, { pool, cwd: await virtualPath(files, workspace, exec.cwd) }),
    close: () => pool.close(),
  };
}

async function virtualPath(files: HostFiles, workspace: string, path: string | undefined): Promise<string> {
  if (path === undefined) return VIRTUAL_ROOT;
  return VIRTUAL_ROOT + (await files.hostDirectory(path)).slice(workspace.length);
}

interface Place {
  readonly pool: WorkerPool;
  /** As commands see it. */
  readonly cwd: string;
}

function launch(spec: ExecSpec, output: OutputLog, { pool, cwd }: Place): Launched {
  const worker = pool.take();
  const run = worker.run({ command: spec.command, cwd, env: spec.env ?? {}, stdin: spec.stdin });
  const ended = run.then(
    (result) => {
      pool.giveBack(worker);
      write(output, result);
      return { exitCode: result.exitCode, signal: null };
    },
    (error: unknown) => {
      write(output, { stderr: Buffer.from(`bash: ${errorMessage(error)}\n`) });
      return { exitCode: null, signal: "SIGKILL" };
    },
  );
  return {
    ended,
    async kill() {
      await worker.end();
      await ended;
    },
  };
}

/** Passed on in pieces, so that a reader need not take all of it at once. */
const PIECE_BYTES = 65_536;

function write(
  output: OutputLog,
  { stdout, stderr }: Partial<Pick<CommandEnded, "stdout" | "stderr">>,
): void {
  for (const [stream, bytes = new Uint8Array()] of [
    ["stdout", stdout],
    ["stderr", stderr],
  ] as const) {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      output.append({ stream, bytes: bytes.subarray(at, at + PIECE_BYTES) });
    }
  }
}
