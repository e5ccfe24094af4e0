import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";

/** Names of the launcher's files in a session's directory; `native/agent/launcher.h` has the same. */
export const SOCKET_NAME = "agent.sock";
const PID_NAME = "launcher.pid";
const LOG_NAME = "log";
/** Which groups the launcher was to remove, for the case that it could not. */
export const CGROUPS_NAME = "cgroups";
/** What `destroy` removes. The journal stays: it says which operations ever started. */
export const TRANSIENT_NAMES: readonly string[] = [
  SOCKET_NAME,
  PID_NAME,
  `${PID_NAME}.new`,
  "lock",
  LOG_NAME,
  CGROUPS_NAME,
];

const EXIT_ALREADY_RUNNING = 75;
const STOP_WITHIN_MS = 5000;
const LOOK_AGAIN_MS = 2;

export interface LaunchOptions {
  readonly agent: string;
  readonly directory: string;
  /** Undefined when we are not root: then the sandbox runs as our own user. */
  readonly uid: number | undefined;
  /** Becomes the sandbox's user's own, where there is a `uid`. */
  readonly workspace: string;
  readonly cgroups: readonly string[];
  /** Paths that the sandbox's user could not reach, by the name under which bubblewrap finds them in /tmp. */
  readonly mounts: Readonly<Record<string, string>>;
  readonly bwrap: readonly string[];
}

/**
 * Starts a sandbox whose parent is not this process. Resolves when its socket accepts connections, also when another
 * launcher of this session is at work already. @throws AppError `unavailable` with what the launcher printed.
 */
export function launch(options: LaunchOptions): Promise<"started" | "running"> {
  const child = spawn(options.agent, launchArguments(options), {
    stdio: ["ignore", "ignore", "pipe"],
    env: {},
    detached: true,
  });
  let printed = "";
  child.stderr.setEncoding("utf8");
  child.stderr.on("data", (text: string) => {
    printed = (printed + text).slice(0, 4096);
  });
  return new Promise((resolve, reject) => {
    child.on("error", (cause) =>
      reject(new AppError("unavailable", "the sandbox cannot be started", { cause })),
    );
    child.on("close", (code) => {
      if (code === 0) resolve("started");
      else if (code === EXIT_ALREADY_RUNNING) resolve("running");
      else reject(new AppError("unavailable", `the sandbox cannot be started: ${printed.trim() || code}`));
    });
  });
}

export function launchArguments(options: LaunchOptions): readonly string[] {
  return [
    "launch",
    ...["--dir", options.directory],
    ...(options.uid === undefined ? [] : ["--uid", String(options.uid), "--own", options.workspace]),
    ...options.cgroups.flatMap((directory) => ["--cgroup", directory]),
    ...Object.entries(options.mounts).flatMap(([name, path]) => ["--mount", name, path]),
    "--",
    ...options.bwrap,
  ];
}

/** What bubblewrap and the agent printed, for the message when a sandbox ended at once. */
export async function launchLog(directory: string): Promise<string> {
  return (await readFile(join(directory, LOG_NAME), "utf8").catch(() => "")).slice(-2000).trim();
}

/** Ends the launcher, and with it the sandbox, when it is alive. Resolves when it is gone. */
export async function stopLauncher(directory: string): Promise<void> {
  const launcher = await findLauncher(directory);
  if (launcher === undefined) return;
  const deadline = systemClock.monotonic() + STOP_WITHIN_MS;
  signal(launcher.pid, "SIGTERM");
  while (await isAlive(launcher)) {
    if (systemClock.monotonic() > deadline) signal(launcher.pid, "SIGKILL");
    await pause(LOOK_AGAIN_MS);
  }
}

/** Resolves true when the launcher has gone by itself within `ms`. */
export async function launcherEnds(directory: string, ms: number): Promise<boolean> {
  const deadline = systemClock.monotonic() + ms;
  const launcher = await findLauncher(directory);
  while (launcher !== undefined && (await isAlive(launcher))) {
    if (systemClock.monotonic() > deadline) return false;
    await pause(LOOK_AGAIN_MS);
  }
  return true;
}

interface Launcher {
  readonly pid: number;
  /** In clock ticks since boot. A pid alone may by now be somebody else's. */
  readonly startedAt: string;
}

async function findLauncher(directory: string): Promise<Launcher | undefined> {
  const text = await readFile(join(directory, PID_NAME), "utf8").catch(() => "");
  const [, pid, startedAt] = /^(\d+) (\d+)\n$/.exec(text) ?? [];
  if (pid === undefined || startedAt === undefined) return undefined;
  const launcher = { pid: Number(pid), startedAt };
  return (await isAlive(launcher)) ? launcher : undefined;
}

async function isAlive({ pid, startedAt }: Launcher): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The name of the program stands in parentheses and may hold blanks; start time is the 20th field after it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[19] === startedAt && fields[0] !== "Z";
}

function signal(pid: number, name: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has gone between the look and the signal.
  }
}
