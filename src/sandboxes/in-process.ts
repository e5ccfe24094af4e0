import { systemClock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import { type OutputLog, outputLog } from "./output-log.ts";
import type {
  ExecResult,
  ExecSpec,
  Execution,
  Sandbox,
  SandboxCapabilities,
  SandboxDriver,
  SandboxKind,
  SandboxProbe,
  SandboxSpec,
} from "./sandbox.ts";

/**
 * The common half of drivers whose commands live and die with this process: sessions by id, operations by id, output for
 * late readers, time-outs. A driver adds how a command is launched and where files are.
 */
export interface InProcessKind {
  readonly kind: SandboxKind;
  readonly capabilities: SandboxCapabilities;
  probe(): Promise<SandboxProbe>;
  open(spec: SandboxSpec): Promise<InProcessSandbox>;
}

export type SandboxFiles = Pick<Sandbox, "readFile" | "writeFile" | "stat" | "listDirectory" | "deleteFile">;

export interface InProcessSandbox {
  readonly root: string;
  readonly files: SandboxFiles;
  /** Starts a command that writes to `output`. Rejects when it could not start. */
  launch(spec: ExecSpec, output: OutputLog): Promise<Launched>;
  /** Ends what commands have left behind. */
  close(): Promise<void>;
}

export interface Launched {
  /** How the command ended, after all of its output. */
  readonly ended: Promise<{ readonly exitCode: number | null; readonly signal: string | null }>;
  /** Ends it and everything that it started; resolves when they are gone. `ended` settles then, too. */
  kill(): Promise<void>;
}

export function inProcessDriver(kind: InProcessKind): SandboxDriver {
  const sessions = new Map<string, Promise<Session>>();

  const destroy = async (sessionId: string) => {
    const session = sessions.get(sessionId);
    sessions.delete(sessionId);
    await (await session)?.destroy();
  };

  return {
    kind: kind.kind,
    probe: () => kind.probe(),
    async open(spec) {
      let session = sessions.get(spec.sessionId);
      if (session === undefined) {
        session = kind.open(spec).then(newSession);
        sessions.set(spec.sessionId, session);
        session.catch(() => sessions.delete(spec.sessionId));
      }
      const { inner, operations } = await session;
      return {
        ...inner.files,
        kind: kind.kind,
        capabilities: kind.capabilities,
        root: inner.root,
        exec: (exec) => operations.exec(exec),
        attach: (operationId) => operations.attach(operationId),
        destroy: () =>
          sessions.get(spec.sessionId) === session ? destroy(spec.sessionId) : Promise.resolve(),
        // Disposing only disconnects, and there is no connection.
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
    },
    destroy,
    async [Symbol.asyncDispose]() {
      await Promise.all([...sessions.keys()].map(destroy));
    },
  };
}

interface Session {
  readonly inner: InProcessSandbox;
  readonly operations: Operations;
  destroy(): Promise<void>;
}

function newSession(inner: InProcessSandbox): Session {
  const operations = operationTable((spec, output) => inner.launch(spec, output));
  return {
    inner,
    operations,
    async destroy() {
      await operations.close();
      await inner.close();
    },
  };
}

interface Operations {
  exec(spec: ExecSpec): Promise<Execution>;
  attach(operationId: string): Promise<Execution | undefined>;
  /** Kills what runs; nothing can be started afterwards. */
  close(): Promise<void>;
}

interface Operation {
  readonly id: string;
  /** Undefined when the output was given up to make room for that of later operations. */
  output: OutputLog | undefined;
  result: Promise<ExecResult>;
  kill(): Promise<void>;
}

/** So many finished operations keep their output (at most about 1.3 MB each); of older ones only the result is known. */
const KEPT_OUTPUTS = 32;

function operationTable(launch: InProcessSandbox["launch"]): Operations {
  const operations = new Map<string, Promise<Operation>>();
  const finished: Operation[] = [];
  let closed = false;

  const refuseWhenClosed = () => {
    if (!closed) return;
    throw new AppError("unavailable", "The sandbox was destroyed.", { hint: "Open it again." });
  };

  const start = async (spec: ExecSpec) => {
    const operation = await startOperation(spec, launch);
    operation.result.then(
      () => {
        finished.push(operation);
        const oldest = finished.length > KEPT_OUTPUTS ? finished.shift() : undefined;
        if (oldest) giveUpOutput(oldest);
      },
      () => undefined,
    );
    return operation;
  };

  return {
    async exec(spec) {
      refuseWhenClosed();
      let operation = operations.get(spec.operationId);
      if (operation === undefined) {
        operation = start(spec);
        operations.set(spec.operationId, operation);
        operation.catch(() => operations.delete(spec.operationId));
      }
      return executionOf(await operation);
    },
    async attach(operationId) {
      refuseWhenClosed();
      const operation = await operations.get(operationId);
      return operation && executionOf(operation);
    },
    async close() {
      closed = true;
      const started = await Promise.allSettled(operations.values());
      await Promise.all(started.map((outcome) => outcome.status === "fulfilled" && outcome.value.kill()));
    },
  };
}

function giveUpOutput(operation: Operation): void {
  const droppedBytes = operation.output?.counts().size ?? 0;
  operation.output = undefined;
  operation.result = operation.result.then((result) => ({ ...result, droppedBytes }));
}

async function startOperation(spec: ExecSpec, launch: InProcessSandbox["launch"]): Promise<Operation> {
  const output = outputLog();
  const startedAt = systemClock.monotonic();
  const launched = await launch(spec, output);
  let ended = false;
  let endedBy: "itself" | "timeout" | "kill" = "itself";
  let killing: Promise<void> | undefined;

  const end = async (by: "timeout" | "kill") => {
    if (ended) return;
    if (endedBy === "itself") endedBy = by;
    killing ??= launched.kill();
    await killing;
  };
  const timer = setTimeout(() => end("timeout").catch(() => undefined), spec.timeoutMs);

  const result = launched.ended.then(async (status) => {
    // The command itself goes first; it has ended when what it started has gone, too.
    await killing?.catch(() => undefined);
    const forced = endedBy !== "itself";
    return {
      exitCode: forced ? null : status.exitCode,
      signal: forced ? "SIGKILL" : status.signal,
      timedOut: endedBy === "timeout",
      killed: endedBy === "kill",
      durationMs: Math.round(systemClock.monotonic() - startedAt),
      droppedBytes: output.counts().dropped,
    };
  });
  const settle = () => {
    ended = true;
    clearTimeout(timer);
    output.end();
  };
  result.then(settle, settle);

  return {
    id: spec.operationId,
    output,
    result,
    async kill() {
      await end("kill");
      await result.catch(() => undefined);
    },
  };
}

function executionOf(operation: Operation): Execution {
  const reader = operation.output?.reader();
  return {
    operationId: operation.id,
    output: reader?.output ?? nothing(),
    result: operation.result,
    kill: () => operation.kill(),
    async [Symbol.asyncDispose]() {
      reader?.close();
    },
  };
}

/** The output was given up. */
async function* nothing(): AsyncGenerator<never> {}
