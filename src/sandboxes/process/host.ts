import { access, constants, mkdir, readlink, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { AppError } from "../../lib/errors.ts";
import type { SandboxCapabilities } from "../sandbox.ts";
import { buildAgent } from "./agent-binary.ts";
import { HIDDEN_PROC, type SandboxLayout } from "./arguments.ts";
import { type CgroupSupport, detectCgroups } from "./cgroups.ts";
import { isThere, syntheticEtc } from "./etc.ts";
import { openRegistry, type Registry, type UidPool } from "./registry.ts";

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
  /**
   * How many commands a sandbox remembers by their operation id, output aside. Above it, the oldest quarter of them is
   * forgotten, except for those whose outcome nobody was told. Default: 16,384.
   */
  readonly keptOperations?: number;
  /** User ids of the host that belong to nobody, for a driver that runs as root. Default: 300,000 from 200,000. */
  readonly uidPool?: UidPool;
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
  systemPaths(): Promise<SandboxLayout["systemPaths"]>;
  capabilities(): Promise<SandboxCapabilities>;
}

export function createHost(options: ProcessDriverOptions): Host {
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
    hiddenProc: once(() => filterAsync(HIDDEN_PROC, isOpenToAll)),
    systemPaths: once(findSystemPaths),
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

const BWRAP_PLACES = ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"];

async function findBwrap(): Promise<string> {
  const [found] = await filterAsync(BWRAP_PLACES, isExecutable);
  if (found !== undefined) return found;
  throw new AppError("unavailable", "bubblewrap (bwrap) is not installed", {
    hint: "apt-get install bubblewrap",
  });
}

async function findSystemPaths(): Promise<SandboxLayout["systemPaths"]> {
  const paths = ["/bin", "/sbin", "/lib", "/lib32", "/lib64"];
  const found = await Promise.all(
    paths.map(async (path) => {
      const link = await readlink(path).catch(() => null);
      return link !== null || (await isThere(path)) ? [{ path, link }] : [];
    }),
  );
  return found.flat();
}

/** What only root may open is closed to the sandbox's user already. */
const isOpenToAll = (path: string): Promise<boolean> =>
  stat(path).then(
    ({ mode }) => (mode & 0o006) !== 0,
    () => false,
  );

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
