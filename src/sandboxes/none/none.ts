import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { realpath } from "node:fs/promises";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { AppError, errorMessage } from "../../lib/errors.ts";
import { sha256 } from "../../lib/ids.ts";
import { type HostFiles, hostFiles } from "../host-files.ts";
import { type InProcessSandbox, inProcessDriver, type Launched } from "../in-process.ts";
import type { OutputLog } from "../output-log.ts";
import type { ExecSpec, SandboxCapabilities, SandboxDriver, SandboxProbe, SandboxSpec } from "../sandbox.ts";
import { isEmptyGroup, killTree } from "./process-tree.ts";

/**
 * No sandbox: commands run on the host as the user of this process, and can read, change and reach whatever that user
 * can. Only for explicit choice: in a container or virtual machine of its own, or for trusted work. What it does keep:
 * - commands do not get this process's environment, which may hold keys (but as the same user they could look for it);
 * - the file operations cannot leave the workspace;
 * - time-out and kill end the process group and everything that can be recognised as started by the command.
 */
export interface NoneOptions {
  /** Where commands are looked for. Default: the usual directories of the system. */
  readonly path?: string;
}

const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const capabilities: SandboxCapabilities = {
  isolation: "none",
  survivesRestart: false,
  limits: { memory: "none", processes: "none", fileSize: "none", cpu: "none" },
  network: "host",
  realPrograms: true,
};

export function noneDriver({ path = SYSTEM_PATH }: NoneOptions = {}): SandboxDriver {
  return inProcessDriver({
    kind: "none",
    capabilities,
    probe: () => probe(path),
    open: (spec) => openDirectory(spec, path),
  });
}

async function probe(path: string): Promise<SandboxProbe> {
  try {
    await promisify(execFile)("bash", ["-c", "exit 0"], { env: { PATH: path } });
    return { kind: "none", available: true, problem: null, capabilities };
  } catch (error) {
    const reason = `bash cannot be run: ${errorMessage(error)}`;
    return { kind: "none", available: false, problem: { reason, fix: "apt-get install bash" }, capabilities };
  }
}

async function openDirectory(spec: SandboxSpec, path: string): Promise<InProcessSandbox> {
  const root = await realpath(spec.workspace);
  const drafts = await realpath(spec.stateDir);
  const files = hostFiles({ directory: root, roots: [root, spec.workspace], drafts });
  const mark = sha256(spec.sessionId, 32);
  /** Process groups in which something may have stayed in the background. */
  const groups = new Set<number>();
  return {
    root,
    files,
    async launch(exec, output) {
      const { launched, group } = await startBash(exec, { root, files, path, mark, output });
      groups.add(group);
      launched.ended.then(
        () => isEmptyGroup(group) && groups.delete(group),
        () => undefined,
      );
      return launched;
    },
    close: () => killTree([...groups], mark),
  };
}

interface Surroundings {
  readonly root: string;
  readonly files: HostFiles;
  readonly path: string;
  /** In the environment of everything that the session starts. */
  readonly mark: string;
  readonly output: OutputLog;
}

interface Started {
  readonly launched: Launched;
  /** The process group of the command. */
  readonly group: number;
}

async function startBash(spec: ExecSpec, around: Surroundings): Promise<Started> {
  const cwd = spec.cwd === undefined ? around.root : await around.files.hostDirectory(spec.cwd);
  const mark = `${around.mark}.${sha256(spec.operationId, 32)}`;
  const child = spawn("bash", ["-c", spec.command], {
    cwd,
    // A process group of its own, so that it can be killed as one.
    detached: true,
    stdio: [spec.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    env: {
      PATH: around.path,
      HOME: around.root,
      LANG: "C.UTF-8",
      TERM: "dumb",
      ...spec.env,
      HOLDFAST_OPERATION: mark,
    },
  });
  const ended = endOf(child, around.output);
  const { pid } = child;
  if (pid === undefined) {
    const cause = await ended.catch((error: unknown) => error);
    throw new AppError("unavailable", `bash could not be started: ${errorMessage(cause)}`, { cause });
  }
  // A command that does not read its input closes it; that is its right.
  child.stdin?.on("error", () => undefined).end(spec.stdin);
  return {
    group: pid,
    launched: {
      ended,
      async kill() {
        await killTree([pid], mark);
        await ended;
      },
    },
  };
}

async function endOf(child: ChildProcess, output: OutputLog) {
  const streams = [
    child.stdout && copyOutput(child.stdout, "stdout", output),
    child.stderr && copyOutput(child.stderr, "stderr", output),
  ];
  const [exitCode, signal] = await exitOf(child);
  await Promise.all(streams.map((stream) => stream?.finish()));
  return { exitCode, signal };
}

async function exitOf(child: ChildProcess): Promise<[number | null, string | null]> {
  const [exitCode, signal] = await once(child, "exit");
  return [exitCode, signal];
}

/** A background child that holds the pipe open does not hold up the end: after this much silence all counts as read. */
const QUIET_MS = 60;
/** More than a pipe can hold; what comes after it was written by a background child. */
const AFTER_EXIT_BYTES = 1_048_576;

/** Passes output on as fast as the log takes it. */
function copyOutput(source: Readable, stream: "stdout" | "stderr", output: OutputLog) {
  let hasExited = false;
  let received = 0;
  const closed = once(source, "close").catch(() => undefined);
  source.on("error", () => undefined);
  source.on("data", (bytes: Buffer) => {
    received += bytes.length;
    const room = output.append({ stream, bytes });
    if (room === undefined || hasExited) return;
    source.pause();
    room.then(() => source.resume());
  });

  return {
    /** After the exit: resolves when what the command has written until then has been passed on, whoever reads it. */
    async finish(): Promise<void> {
      hasExited = true;
      const before = received;
      for (let seen = -1; seen !== received && received - before < AFTER_EXIT_BYTES; ) {
        seen = received;
        source.resume();
        await Promise.race([quiet(), closed]);
      }
    },
  };
}

/** Some time and one round of the event loop: after a stall, data that has arrived is read before this resolves. */
function quiet(): Promise<void> {
  return new Promise((resolve) => setTimeout(() => setImmediate(resolve), QUIET_MS));
}
