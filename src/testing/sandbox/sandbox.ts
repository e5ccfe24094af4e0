import { strict as assert } from "node:assert";
import { mkdir, mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../lib/clock.ts";
import { type ErrorCode, isAppError } from "../../lib/errors.ts";
import type {
  ExecResult,
  ExecSpec,
  Execution,
  Sandbox,
  SandboxCapabilities,
  SandboxDriver,
  SandboxSpec,
} from "../../sandboxes/sandbox.ts";

/** What a case of the sandbox contract is, and what cases are made of. */
export interface SandboxCase {
  readonly name: string;
  /** Why this case says nothing about a driver with these capabilities; undefined when it must pass. */
  readonly skip?: (capabilities: SandboxCapabilities) => string | undefined;
  readonly run: (subject: SandboxSubject) => Promise<void>;
}

export interface SandboxSubject {
  readonly driver: SandboxDriver;
  /** An existing directory on the host. Each case makes its own directories in it; the caller removes it afterwards. */
  readonly directory: string;
}

type Skip = (capabilities: SandboxCapabilities) => string | undefined;

export function needsRealPrograms(capabilities: SandboxCapabilities): string | undefined {
  return capabilities.realPrograms ? undefined : "it runs no real programs";
}

/** A case that gets a new sandbox, which is destroyed afterwards. */
export function inSandbox(
  name: string,
  check: (sandbox: Sandbox, spec: SandboxSpec, subject: SandboxSubject) => Promise<void>,
  skip?: Skip,
): SandboxCase {
  return {
    name,
    ...(skip === undefined ? {} : { skip }),
    async run(subject) {
      const spec = await newSpec(subject);
      await using sandbox = await subject.driver.open(spec);
      try {
        await check(sandbox, spec, subject);
      } finally {
        await sandbox.destroy();
      }
    },
  };
}

let sessions = 0;

export async function newSpec(subject: SandboxSubject): Promise<SandboxSpec> {
  const home = await mkdtemp(join(subject.directory, "session-"));
  const workspace = join(home, "workspace");
  const stateDir = join(home, "state");
  await mkdir(workspace);
  await mkdir(stateDir);
  sessions += 1;
  return {
    sessionId: `ses_contract_${process.pid}_${sessions}`,
    workspace,
    stateDir,
    limits: { memoryBytes: 512 * 2 ** 20, processes: 128, fileSizeBytes: 256 * 2 ** 20, cpus: 1 },
  };
}

let operations = 0;

export function execSpec(command: string, options: Partial<ExecSpec> = {}): ExecSpec {
  operations += 1;
  return { operationId: `op_contract_${process.pid}_${operations}`, command, timeoutMs: 20_000, ...options };
}

export interface Done {
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Uint8Array;
  readonly result: ExecResult;
}

export async function run(sandbox: Sandbox, command: string, options: Partial<ExecSpec> = {}): Promise<Done> {
  return collect(await sandbox.exec(execSpec(command, options)));
}

export async function collect(execution: Execution): Promise<Done> {
  const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const chunk of execution.output) chunks[chunk.stream].push(chunk.bytes);
  const result = await execution.result;
  await execution[Symbol.asyncDispose]();
  const stdoutBytes = Buffer.concat(chunks.stdout);
  return {
    stdout: stdoutBytes.toString(),
    stderr: Buffer.concat(chunks.stderr).toString(),
    stdoutBytes,
    result,
  };
}

export const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

export async function text(sandbox: Sandbox, path: string): Promise<string> {
  const read = await sandbox.readFile(path);
  assert.ok(read !== undefined, `${path} does not exist`);
  return Buffer.from(read.bytes).toString();
}

export function present<T>(value: T | undefined): T {
  assert.ok(value !== undefined, "it was not found");
  return value;
}

export const refused: readonly ErrorCode[] = ["forbidden"];

export async function fails(
  codes: readonly ErrorCode[],
  work: Promise<unknown>,
  message?: RegExp,
): Promise<void> {
  const outcome = await work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!("error" in outcome)) assert.fail(`expected ${codes.join(" or ")}, but it worked`);
  assert.ok(isAppError(outcome.error), `not an AppError: ${outcome.error}`);
  assert.ok(codes.includes(outcome.error.code), `${outcome.error.code}: ${outcome.error.message}`);
  if (message) assert.match(outcome.error.message, message);
}

export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = systemClock.sleep(ms, stop.signal).then(
    () => assert.fail(`not done within ${ms} ms`),
    () => undefined as never,
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    stop.abort();
  }
}
