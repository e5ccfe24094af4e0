import { mkdir, readFile, rmdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "../../lib/errors.ts";
import type { SandboxLimits } from "../sandbox.ts";
import { OWN_PROCESSES } from "./arguments.ts";

/** Where groups can be made on this machine: `parents` are directories of a hierarchy, `controllers` what they limit. */
export interface CgroupSupport {
  readonly controllers: ReadonlySet<Controller>;
  readonly parents: readonly { readonly directory: string; readonly controllers: readonly Controller[] }[];
  readonly version: 1 | 2;
}

export type Controller = "memory" | "pids" | "cpu";

const CONTROLLERS: readonly Controller[] = ["memory", "pids", "cpu"];
const PERIOD_US = 100_000;

/** Finds out by trying; without the right to make groups there are no controllers. */
export async function detectCgroups(
  mount = "/sys/fs/cgroup",
  membership = "/proc/self/cgroup",
): Promise<CgroupSupport> {
  const own = parseMembership(await readFile(membership, "utf8").catch(() => ""));
  const unified = await readFile(join(mount, "cgroup.controllers"), "utf8").catch(() => undefined);
  const parents =
    unified === undefined
      ? await version1Parents(mount, own)
      : await version2Parents(mount, own.get("") ?? "/");
  return {
    version: unified === undefined ? 1 : 2,
    parents,
    controllers: new Set(parents.flatMap((parent) => parent.controllers)),
  };
}

/** Path by controller ("" for version 2) from lines such as "8:memory:/user.slice". */
export function parseMembership(text: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path !== undefined) for (const name of (controllers ?? "").split(",")) paths.set(name, path);
  }
  return paths;
}

async function version1Parents(mount: string, own: ReadonlyMap<string, string>) {
  const parents: { directory: string; controllers: readonly Controller[] }[] = [];
  for (const controller of CONTROLLERS) {
    // Below our own group, so that what limits us limits our sandboxes too.
    const candidates = [join(mount, controller, own.get(controller) ?? "/"), join(mount, controller)];
    const directory = await firstWhere(candidates, canHoldGroups);
    if (directory !== undefined) parents.push({ directory, controllers: [controller] });
  }
  return parents;
}

async function version2Parents(mount: string, ownPath: string) {
  const directory = await firstWhere([join(mount, ownPath), mount], async (candidate) => {
    const control = join(candidate, "cgroup.subtree_control");
    // Refused where the group has processes of its own; then nothing below it can be limited.
    await writeFile(control, CONTROLLERS.map((name) => `+${name}`).join(" ")).catch(() => {});
    const enabled = (await readFile(control, "utf8").catch(() => "")).trim().split(/\s+/);
    return CONTROLLERS.every((name) => enabled.includes(name)) && (await canHoldGroups(candidate));
  });
  return directory === undefined ? [] : [{ directory, controllers: CONTROLLERS }];
}

async function firstWhere(
  candidates: readonly string[],
  check: (candidate: string) => Promise<boolean>,
): Promise<string | undefined> {
  for (const candidate of candidates) if (await check(candidate)) return candidate;
  return undefined;
}

async function canHoldGroups(directory: string): Promise<boolean> {
  const probe = join(directory, `holdfast-probe-${process.pid}`);
  try {
    await stat(join(directory, "cgroup.procs"));
    await mkdir(probe);
  } catch {
    return false;
  }
  await rmdir(probe).catch(() => {});
  return true;
}

/** The directories of the groups of that name, whether they exist or not. */
export function cgroupDirectories({ parents }: CgroupSupport, name: string): readonly string[] {
  return parents.map(({ directory }) => join(directory, name));
}

/** Makes the session's groups with their limits, or sets those of groups that are there; the launcher joins and later removes them. */
export async function makeCgroups(
  support: CgroupSupport,
  name: string,
  limits: SandboxLimits,
): Promise<void> {
  await Promise.all(
    support.parents.map(async ({ directory, controllers }) => {
      const group = join(directory, name);
      await mkdir(group).catch((error: unknown) => {
        if (systemErrorCode(error) !== "EEXIST") throw error;
      });
      for (const { file, value, optional } of settings(support.version, controllers, limits)) {
        const written = writeFile(join(group, file), value);
        await (optional ? written.catch(() => {}) : written);
      }
    }),
  );
}

interface Setting {
  readonly file: string;
  readonly value: string;
  /** Kernels without swap accounting have no such file. */
  readonly optional?: boolean;
}

function settings(
  version: 1 | 2,
  controllers: readonly Controller[],
  limits: SandboxLimits,
): readonly Setting[] {
  const memory = String(limits.memoryBytes);
  const memoryAndSwap = { file: "memory.memsw.limit_in_bytes", value: memory, optional: true };
  // Above the limit that commands meet, so that the agent can always start what ends them.
  const pids = String(limits.processes + 2 * OWN_PROCESSES);
  const quota = String(Math.max(1000, Math.round(limits.cpus * PERIOD_US)));
  const byVersion: Record<1 | 2, Record<Controller, readonly Setting[]>> = {
    1: {
      // May never be the smaller one: so it goes up first, and down last.
      memory: [memoryAndSwap, { file: "memory.limit_in_bytes", value: memory }, memoryAndSwap],
      pids: [{ file: "pids.max", value: pids }],
      cpu: [
        { file: "cpu.cfs_period_us", value: String(PERIOD_US) },
        { file: "cpu.cfs_quota_us", value: quota },
      ],
    },
    2: {
      memory: [
        { file: "memory.max", value: memory },
        { file: "memory.swap.max", value: "0", optional: true },
      ],
      pids: [{ file: "pids.max", value: pids }],
      cpu: [{ file: "cpu.max", value: `${quota} ${PERIOD_US}` }],
    },
  };
  return controllers.flatMap((controller) => byVersion[version][controller]);
}

/** Removes groups that a launcher which was killed left behind. Those in use stay. */
export async function removeCgroups(directories: readonly string[]): Promise<void> {
  await Promise.all(directories.map((directory) => rmdir(directory).catch(() => {})));
}
