import { readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../lib/clock.ts";
import { AppError, systemErrorCode } from "../../lib/errors.ts";
import type { SandboxSpec } from "../sandbox.ts";
import { bwrapArguments } from "./arguments.ts";
import { type CgroupSupport, cgroupDirectories, makeCgroups, removeCgroups } from "./cgroups.ts";
import { type Connection, connectAgent } from "./connection.ts";
import { request } from "./frames.ts";
import type { Host } from "./host.ts";
import {
  CGROUPS_NAME,
  launch,
  launcherEnds,
  launchLog,
  SOCKET_NAME,
  stopLauncher,
  TRANSIENT_NAMES,
} from "./launcher.ts";
import { shortName } from "./registry.ts";

const START_WITHIN_MS = 10_000;
const LOOK_AGAIN_MS = 5;

/** A connection to the sandbox whose files are in `directory`, which is started when it does not run. @throws AppError `unavailable` */
export async function connectOrStart(host: Host, spec: SandboxSpec, directory: string): Promise<Connection> {
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
  const [agent, etc, bwrap, systemPaths, hiddenProc] = await Promise.all([
    host.agent(),
    host.etc(),
    host.bwrap(),
    host.systemPaths(),
    host.hiddenProc(),
  ]);
  const workspace = resolve(spec.workspace);
  const uid = host.isRoot ? await host.registry.uidOf(directory) : undefined;
  const paths = { agent, etc, workspace };
  const cgroups = await limitBy(await host.cgroups(), directory, spec);
  if (cgroups === undefined) return "running";
  return launch({
    agent,
    directory,
    uid,
    workspace,
    cgroups,
    // The session's user may not be able to walk to them: root's launcher puts them within its reach.
    mounts: host.isRoot ? paths : {},
    bwrap: bwrapArguments({
      ...(host.isRoot ? { agent: "/tmp/agent", etc: "/tmp/etc", workspace: "/tmp/workspace" } : paths),
      bwrap,
      systemPaths,
      hiddenProc,
      limits: spec.limits,
      idleSeconds: Math.ceil((host.options.idleMs ?? 15 * 60_000) / 1000),
      lifetimeSeconds: Math.ceil((host.options.maxLifetimeMs ?? 8 * 3_600_000) / 1000),
      keptOperations: host.options.keptOperations ?? 16_384,
    }),
  });
}

/** The groups of the sandbox, made; undefined when a launcher that is just going has taken them away again. */
async function limitBy(
  support: CgroupSupport,
  directory: string,
  spec: SandboxSpec,
): Promise<readonly string[] | undefined> {
  const name = `holdfast-${shortName(directory)}`;
  const groups = cgroupDirectories(support, name);
  const earlier = await notedCgroups(directory);
  await removeCgroups(earlier.filter((group) => !groups.includes(group)));
  // Noted before they are made: whatever fails from here on, they can be found and removed.
  await writeFile(join(directory, CGROUPS_NAME), groups.join("\n"));
  try {
    await makeCgroups(support, name, spec.limits);
    return groups;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENODEV" || code === "ENOENT") return undefined;
    throw error;
  }
}

async function notedCgroups(directory: string): Promise<readonly string[]> {
  const text = await readFile(join(directory, CGROUPS_NAME), "utf8").catch(() => "");
  return text === "" ? [] : text.split("\n");
}

const SHUTDOWN_WITHIN_MS = 2000;

/** Ends the sandbox, whoever started it, and removes everything but its journal. */
export async function destroy(host: Host, directory: string): Promise<void> {
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
