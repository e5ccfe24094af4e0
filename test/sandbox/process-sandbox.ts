import { mkdtempSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newId } from "../../src/lib/ids.ts";
import { processDriver } from "../../src/sandboxes/process/process.ts";
import type { ExecResult, ExecSpec, Execution, Sandbox, SandboxSpec } from "../../src/sandboxes/sandbox.ts";

/** A driver with a registry of its own, and directories for sessions; all of it is removed by `remove`. */
export function processHost() {
  const home = mkdtempSync(join(tmpdir(), "holdfast-sandbox-"));
  const registryDir = join(home, "registry");
  return {
    registryDir,
    driver: processDriver({ registryDir }),
    async newSpec(limits: Partial<SandboxSpec["limits"]> = {}): Promise<SandboxSpec> {
      const directory = await mkdtemp(join(home, "session-"));
      const spec: SandboxSpec = {
        sessionId: newId("s"),
        workspace: join(directory, "workspace"),
        stateDir: join(directory, "state"),
        limits: {
          memoryBytes: 256 * 2 ** 20,
          processes: 64,
          fileSizeBytes: 16 * 2 ** 20,
          cpus: 1,
          ...limits,
        },
      };
      await mkdir(spec.workspace);
      await mkdir(spec.stateDir);
      return spec;
    },
    remove: () => rm(home, { recursive: true, force: true }),
  };
}

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  readonly result: ExecResult;
}

export function execSpec(command: string, options: Partial<ExecSpec> = {}): ExecSpec {
  return { operationId: newId("op"), command, timeoutMs: 20_000, ...options };
}

export async function run(sandbox: Sandbox, command: string, options?: Partial<ExecSpec>): Promise<Finished> {
  return collect(await sandbox.exec(execSpec(command, options)));
}

export async function collect(execution: Execution): Promise<Finished> {
  const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const chunk of execution.output) chunks[chunk.stream].push(chunk.bytes);
  return {
    stdout: Buffer.concat(chunks.stdout).toString("latin1"),
    stderr: Buffer.concat(chunks.stderr).toString("latin1"),
    result: await execution.result,
  };
}
