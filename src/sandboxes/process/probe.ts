import { mkdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { AppError, errorMessage, isAppError } from "../../lib/errors.ts";
import { abandonedDrafts, draftOf, removeTree } from "../leftovers.ts";
import type { SandboxCapabilities, SandboxDriver, SandboxProbe, SandboxSpec } from "../sandbox.ts";

const NOTHING: SandboxCapabilities = {
  isolation: "namespaces",
  survivesRestart: true,
  limits: { memory: "none", processes: "none", fileSize: "none", cpu: "none" },
  network: "none",
  realPrograms: true,
};

/** Starts a sandbox, runs a command in it and destroys it. Never throws. */
export async function probeByTrying(
  driver: SandboxDriver,
  host: { readonly registryDir: string; capabilities(): Promise<SandboxCapabilities> },
): Promise<SandboxProbe> {
  try {
    if (process.platform !== "linux") {
      throw new AppError("unsupported", `bubblewrap needs Linux, this is ${process.platform}`);
    }
    await mkdir(host.registryDir, { recursive: true, mode: 0o700 });
    await removeAbandoned(driver, host.registryDir);
    const home = join(host.registryDir, draftOf("probe"));
    await mkdir(home, { mode: 0o700 });
    try {
      await runTrue(driver, home);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
    return { kind: "process", available: true, problem: null, capabilities: await host.capabilities() };
  } catch (error) {
    return {
      kind: "process",
      available: false,
      problem: { reason: errorMessage(error), fix: fixFor(error) },
      capabilities: NOTHING,
    };
  }
}

/** Of runtimes that were killed while they probed. What cannot be removed now is somebody else's matter. */
async function removeAbandoned(driver: SandboxDriver, registryDir: string): Promise<void> {
  for (const home of await abandonedDrafts(registryDir)) {
    await driver
      .destroy(sessionIn(home), home)
      .then(() => removeTree(home))
      .catch(() => {});
  }
}

/** The session of a probe has the name of its directory, so that it can be found from there. */
const sessionIn = (home: string): string => basename(home);

async function runTrue(driver: SandboxDriver, home: string): Promise<void> {
  const spec: SandboxSpec = {
    sessionId: sessionIn(home),
    workspace: join(home, "workspace"),
    stateDir: home,
    limits: { memoryBytes: 256 * 2 ** 20, processes: 32, fileSizeBytes: 2 ** 20, cpus: 1 },
  };
  await mkdir(spec.workspace);
  await using sandbox = await driver.open(spec);
  try {
    const execution = await sandbox.exec({ operationId: "probe", command: "true", timeoutMs: 5000 });
    const { exitCode, signal } = await execution.result;
    if (exitCode !== 0)
      throw new AppError("unavailable", `a command ended with ${exitCode ?? signal}, not 0`);
  } finally {
    await sandbox.destroy();
  }
}

/** What bubblewrap prints when the system lets nobody make user namespaces. */
const NO_NAMESPACES = /user namespace|uid map|No permissions to create|Creating new namespace failed/i;

function fixFor(error: unknown): string | null {
  if (isAppError(error) && error.hint !== undefined) return error.hint;
  if (!NO_NAMESPACES.test(errorMessage(error))) return null;
  // Ubuntu's switch; elsewhere kernel.unprivileged_userns_clone=1 or user.max_user_namespaces.
  return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 kernel.unprivileged_userns_clone=1";
}
