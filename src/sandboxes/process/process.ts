import { access, constants, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import type { Sandbox, SandboxCapabilities, SandboxDriver, SandboxSpec } from "../sandbox.ts";
import { buildAgent } from "./agent-binary.ts";
import { bwrapArguments, HIDDEN_PROC } from "./arguments.ts";
import { type CgroupSupport, detectCgroups, makeCgroups, removeCgroups } from "./cgroups.ts";
import { createClient } from "./client.ts";
import { type Connection, connectAgent } from "./connection.ts";
import { isThere, syntheticEtc } from "./etc.ts";
import { request } from "./frames.ts";
import {
  CGROUPS_NAME,
  launch,
  launcherEnds,
  launchLog,
  SOCKET_NAME,
  stopLauncher,
  TRANSIENT_NAMES,
} from "./launcher.ts";
import { probeByTrying } from "./probe.ts";
import { openRegistry, type Registry, shortName, type UidPool } from "./registry.ts";

export interface ProcessDriverOptions {
  /**
   * Directory for what the runtimes of this host share: which user id is whose, and where a session's files are. The same
   * for every runtime that may open or destroy the same sessions. Made when missing. Default: /var/lib/holdfast for root,
   * else ~/.local/state/holdfast.
   */
  readonly registryDir?: string;
  /** A sandbox ends when no runtime was connected and no command ran for this long. Default: 15 minutes. */
  readonly idleMs?: number;
  /** A sandbox ends at this age in any case. Default: 8 hours. */
  readonly maxLifetimeMs?: number;
  /** User ids of the host that belong to nobody, for a driver that runs as root. Default: 300,000 from 200,000. */
  readonly uidPool?: UidPool;
}

/**
 * Sandboxes of namespaces, made by bubblewrap. Three processes of ours make one:
 *
 * - the launcher (`native/agent/launcher.c`) outlives this runtime, owns the control socket and is bubblewrap's parent;
 * - bubblewrap, as a user of the session's own, never as root;
 * - the agent (`native/agent/server.c`), the first process inside: runs commands, keeps their output and exit status under
 *   their operation id, and reads and writes files from inside, where a path can lead nowhere else.
 *
 * A runtime that restarts finds the socket in the session's directory and goes on where the one before it stopped.
 */
export function processDriver(options: ProcessDriverOptions = {}): SandboxDriver {
  const host = createHost(options);
  const driver: SandboxDriver = {
    kind: "process",
    probe: () => probeByTrying(driver, host),
    open: (spec) => open(host, spec),
    async destroy(sessionId) {
      const directory = await host.registry.directoryOf(sessionId);
      if (directory !== undefined) await destroy(host, directory);
      await host.registry.forgetSession(sessionId);
    },
    // Sandboxes outlive the driver on purpose; a connection belongs to the sandbox that `open` returned.
    async [Symbol.asyncDispose]() {},
  };
  return driver;
}

/** What this machine offers; each part is found out once, when it is first needed. */
export interface Host {
  readonly registry: Registry;
  readonly registryDir: string;
  readonly isRoot: boolean;
  readonly options: ProcessDriverOptions;
  agent(): Promise<string>;
  etc(): Promise<string>;
  bwrap(): Promise<string>;
  cgroups(): Promise<CgroupSupport>;
  hiddenProc(): Promise<readonly string[]>;
  capabilities(): Promise<SandboxCapabilities>;
}

function createHost(options: ProcessDriverOptions): Host {
  const isRoot = process.geteuid?.() === 0;
  const registryDir = resolve(
    options.registryDir ?? (isRoot ? "/var/lib/holdfast" : join(homedir(), ".local", "state", "holdfast")),
  );
  const cgroups = once(() => detectCgroups());
  return {
    registry: openRegistry(registryDir, options.uidPool ?? { first: 200_000, count: 300_000 }),
    registryDir,
    isRoot,
    options,
    agent: once(() => buildAgent(join(registryDir, "agent"))),
    etc: once(async () => {
      await mkdir(registryDir, { recursive: true, mode: 0o700 });
      return syntheticEtc(registryDir);
    }),
    bwrap: once(findBwrap),
    cgroups,
    hiddenProc: once(() => filterAsync(HIDDEN_PROC, isThere)),
    capabilities: once(async () => toCapabilities(await cgroups())),
  };
}

function toCapabilities({ controllers }: CgroupSupport): SandboxCapabilities {
  return {
    isolation: "namespaces",
    survivesRestart: true,
    limits: {
      memory: controllers.has("memory") ? "hard" : "perProcess",
      // Without a group it is a limit of the user namespace, which is the sandbox's own: hard as well.
      processes: "hard",
      fileSize: "perProcess",
      cpu: controllers.has("cpu") ? "hard" : "none",
    },
    network: "none",
    realPrograms: true,
  };
}

// ---- opening ----

const START_WITHIN_MS = 10_000;
const LOOK_AGAIN_MS = 5;

async function open(host: Host, spec: SandboxSpec): Promise<Sandbox> {
  const directory = join(resolve(spec.stateDir), shortName(spec.sessionId));
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await host.registry.rememberSession(spec.sessionId, directory);
  const link = createLink(await connectOrStart(host, spec, directory), async () => {
    if ((await host.registry.directoryOf(spec.sessionId)) !== directory) throw ended();
    return connectOrStart(host, spec, directory);
  });
  return createClient({
    connect: link.get,
    disconnect: link.close,
    capabilities: await host.capabilities(),
    async destroy() {
      await link.close();
      await destroy(host, directory);
    },
  });
}

const ended = (): AppError => new AppError("unavailable", "the sandbox was destroyed or disconnected");

/**
 * One connection at a time. A sandbox may end while its session goes on (it was too old, memory ran out): what is asked of
 * it next is asked of a new one, unless it was destroyed.
 */
function createLink(first: Connection, reconnect: () => Promise<Connection>) {
  let current = Promise.resolve(first);
  let closed = false;
  return {
    get(): Promise<Connection> {
      if (closed) return Promise.reject(ended());
      // In a chain, so that calls at the same time share one new connection.
      current = current.then((connection) => (connection.open ? connection : reconnect()), reconnect);
      return current;
    },
    async close(): Promise<void> {
      closed = true;
      const connection = await current.catch(() => undefined);
      connection?.[Symbol.dispose]();
    },
  };
}

async function connectOrStart(host: Host, spec: SandboxSpec, directory: string): Promise<Connection> {
  const deadline = systemClock.monotonic() + START_WITHIN_MS;
  let problem: unknown;
  while (systemClock.monotonic() < deadline) {
    const running = await connectAgent(directory, SOCKET_NAME).catch(() => undefined);
    if (running) return running;
    const outcome = await start(host, spec, directory);
    const connection = await connectAgent(directory, SOCKET_NAME).catch((error: unknown) => {
      problem = error;
      return undefined;
    });
    if (connection) return connection;
    if (outcome === "started") break;
    // Another launcher is just starting it, or just going.
    await pause(LOOK_AGAIN_MS);
  }
  const log = await launchLog(directory);
  throw new AppError("unavailable", `the sandbox did not start${log === "" ? "" : `: ${log}`}`, {
    cause: problem,
  });
}

async function start(host: Host, spec: SandboxSpec, directory: string): Promise<"started" | "running"> {
  const [agent, etc, bwrap, hiddenProc] = await Promise.all([
    host.agent(),
    host.etc(),
    host.bwrap(),
    host.hiddenProc(),
  ]);
  const workspace = resolve(spec.workspace);
  const uid = host.isRoot ? await host.registry.uidOf(directory) : undefined;
  const paths = { agent, etc, workspace };
  return launch({
    agent,
    directory,
    uid,
    workspace,
    cgroups: await limitBy(await host.cgroups(), directory, spec),
    // The session's user may not be able to walk to them: root's launcher puts them within its reach.
    mounts: host.isRoot ? paths : {},
    bwrap: bwrapArguments({
      ...(host.isRoot ? { agent: "/tmp/agent", etc: "/tmp/etc", workspace: "/tmp/workspace" } : paths),
      bwrap,
      hiddenProc,
      limits: spec.limits,
      idleSeconds: Math.ceil((host.options.idleMs ?? 15 * 60_000) / 1000),
      lifetimeSeconds: Math.ceil((host.options.maxLifetimeMs ?? 8 * 3_600_000) / 1000),
    }),
  });
}

async function limitBy(
  support: CgroupSupport,
  directory: string,
  spec: SandboxSpec,
): Promise<readonly string[]> {
  await removeCgroups(await notedCgroups(directory));
  const groups = await makeCgroups(support, `holdfast-${shortName(directory)}`, spec.limits);
  await writeFile(join(directory, CGROUPS_NAME), groups.join("\n"));
  return groups;
}

async function notedCgroups(directory: string): Promise<readonly string[]> {
  const text = await readFile(join(directory, CGROUPS_NAME), "utf8").catch(() => "");
  return text === "" ? [] : text.split("\n");
}

// ---- destroying ----

const SHUTDOWN_WITHIN_MS = 2000;

async function destroy(host: Host, directory: string): Promise<void> {
  await shutDown(directory);
  await stopLauncher(directory);
  await removeCgroups(await notedCgroups(directory));
  for (const name of TRANSIENT_NAMES) await rm(join(directory, name), { force: true });
  await host.registry.releaseUid(directory);
}

/** Asks the agent to end: when it has, all of its processes are gone, which a killed launcher would not wait for. */
async function shutDown(directory: string): Promise<void> {
  const connection = await connectAgent(directory, SOCKET_NAME).catch(() => undefined);
  if (connection === undefined) return;
  using asking = connection;
  asking.send(request.shutdown, asking.request({ onFrame() {}, onClose() {} }));
  await launcherEnds(directory, SHUTDOWN_WITHIN_MS);
}

// ---- finding ----

const BWRAP_PLACES = ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"];

async function findBwrap(): Promise<string> {
  const [found] = await filterAsync(BWRAP_PLACES, isExecutable);
  if (found !== undefined) return found;
  throw new AppError("unavailable", "bubblewrap (bwrap) is not installed", {
    hint: "apt-get install bubblewrap",
  });
}

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

async function filterAsync<T>(
  items: readonly T[],
  check: (item: T) => Promise<boolean>,
): Promise<readonly T[]> {
  const passed = await Promise.all(items.map(check));
  return items.filter((_, i) => passed[i]);
}

/** A failure is not remembered: what was missing may be installed while the runtime runs. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | undefined;
  return () => {
    started ??= work().catch((error: unknown) => {
      started = undefined;
      throw error;
    });
    return started;
  };
}
