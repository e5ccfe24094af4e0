import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { AppError } from "../../lib/errors.ts";
import type { Sandbox, SandboxDriver, SandboxSpec } from "../sandbox.ts";
import { createClient } from "./client.ts";
import type { Connection } from "./connection.ts";
import { createHost, type Host, type ProcessDriverOptions } from "./host.ts";
import { probeByTrying } from "./probe.ts";
import { shortName } from "./registry.ts";
import { connectOrStart, destroy } from "./start.ts";

export type { ProcessDriverOptions } from "./host.ts";

/**
 * Sandboxes of namespaces, made by bubblewrap. Three processes of ours make one:
 *
 * - the launcher (`native/agent/launcher.c`) outlives this runtime, owns the control socket and is bubblewrap's parent;
 * - bubblewrap, as a user of the session's own, never as root;
 * - the agent (`native/agent/server.c`), the first process inside: runs commands, keeps their output and exit status under
 *   their operation id, and reads and writes files from inside, where a path can lead nowhere else.
 *
 * A runtime that restarts finds the socket in the session's directory and goes on where the one before it stopped. (A
 * supervisor must then end the runtime only: with systemd, `KillMode=process`.)
 */
export function processDriver(options: ProcessDriverOptions = {}): SandboxDriver {
  const host = createHost(options);
  const driver: SandboxDriver = {
    kind: "process",
    probe: () => probeByTrying(driver, host),
    open: (spec) => open(host, spec),
    async destroy(sessionId, stateDir) {
      const registered = await host.registry.directoryOf(sessionId);
      const directory = stateDir === undefined ? registered : directoryIn(stateDir, sessionId);
      if (directory !== undefined) await destroy(host, directory);
      if (directory === registered) await host.registry.forgetSession(sessionId);
    },
    end: (sessionId, stateDir) => destroy(host, directoryIn(stateDir, sessionId)),
    // Sandboxes outlive the driver on purpose; a connection belongs to the sandbox that `open` returned.
    async [Symbol.asyncDispose]() {},
  };
  return driver;
}

async function open(host: Host, spec: SandboxSpec): Promise<Sandbox> {
  const directory = directoryIn(spec.stateDir, spec.sessionId);
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
      await host.registry.forgetSession(spec.sessionId);
    },
  });
}

function directoryIn(stateDir: string, sessionId: string): string {
  return join(resolve(stateDir), shortName(sessionId));
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
