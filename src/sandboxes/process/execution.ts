import { constants as osConstants } from "node:os";
import { AppError } from "../../lib/errors.ts";
import type { ExecResult, Execution, OutputChunk } from "../sandbox.ts";
import type { Connection } from "./connection.ts";
import { answer, CREDIT, encodeFields, exitFlag, type Frame, readFields, request } from "./frames.ts";

/**
 * Follows one operation. `ask` sends EXEC or ATTACH under the id that it gets; resolves when the agent says that the
 * operation runs or is known, and rejects with what it answered instead.
 */
export function followOperation(
  connection: Connection,
  operationId: string,
  options: {
    readonly ask: (id: number) => void;
    readonly toError: (errno: number, what: string) => AppError;
  },
): Promise<Execution> {
  return new Promise((resolveStarted, rejectStarted) => {
    const chunks = createChunkQueue({
      taken: (bytes) => connection.send(request.credit, id, encodeFields(["u32", bytes])),
      left: () => connection.send(request.detach, id),
    });
    const result = Promise.withResolvers<ExecResult>();
    // Whoever never looks at the result is not to be ended by its rejection.
    result.promise.catch(() => {});
    const fail = (error: AppError) => {
      connection.forget(id);
      rejectStarted(error);
      result.reject(error);
      chunks.end();
    };
    const onFrame = (frame: Frame) => {
      switch (frame.type) {
        case answer.started:
          return resolveStarted(execution);
        case answer.stdout:
          return chunks.push({ stream: "stdout", bytes: frame.payload });
        case answer.stderr:
          return chunks.push({ stream: "stderr", bytes: frame.payload });
        case answer.exit: {
          connection.forget(id);
          const ended = toResult(frame);
          if (ended === undefined) return fail(lost(operationId));
          result.resolve(ended);
          return chunks.end();
        }
        case answer.fail: {
          const fields = readFields(frame.payload);
          return fail(options.toError(fields.u32(), fields.text()));
        }
        default:
          return fail(new AppError("unavailable", `the sandbox sent an unknown answer (${frame.type})`));
      }
    };
    const id = connection.request({ onFrame, onClose: fail });
    const execution: Execution = {
      operationId,
      output: chunks.output,
      result: result.promise,
      kill: () => killOperation(connection, operationId),
      async [Symbol.asyncDispose]() {
        chunks.leave();
      },
    };
    if (connection.open) options.ask(id);
    else fail(new AppError("unavailable", "the sandbox has ended"));
  });
}

function killOperation(connection: Connection, operationId: string): Promise<void> {
  if (!connection.open) return Promise.resolve();
  return new Promise((resolve) => {
    const id = connection.request({
      onFrame() {
        connection.forget(id);
        resolve();
      },
      // When the sandbox is gone, so is everything in it.
      onClose: () => resolve(),
    });
    connection.send(request.kill, id, encodeFields(["text", operationId]));
  });
}

const lost = (operationId: string): AppError =>
  new AppError("unavailable", `the sandbox ended while operation ${operationId} ran`, {
    hint: "Whether the command had an effect is not known.",
  });

/** Undefined when the operation belongs to a sandbox that has ended. */
function toResult(frame: Frame): ExecResult | undefined {
  const fields = readFields(frame.payload);
  const code = fields.i32();
  const signal = fields.u32();
  const flags = fields.u8();
  const durationMs = fields.u64();
  if ((flags & exitFlag.lost) !== 0) return undefined;
  return {
    exitCode: code < 0 ? null : code,
    signal: code < 0 ? signalName(signal) : null,
    timedOut: (flags & exitFlag.timedOut) !== 0,
    killed: (flags & exitFlag.killed) !== 0,
    durationMs,
    droppedBytes: fields.u64(),
  };
}

function signalName(number: number): string {
  const known = Object.entries(osConstants.signals).find(([, value]) => value === number);
  return known?.[0] ?? `signal ${number}`;
}

interface ChunkQueue {
  push(chunk: OutputChunk): void;
  /** Nothing will come. What waits is still read. */
  end(): void;
  /** Nobody will read. */
  leave(): void;
  readonly output: AsyncIterable<OutputChunk>;
}

/** Credit is given back in parts of this size, not for every line. */
const GIVE_BACK = CREDIT / 8;

/**
 * Holds at most one credit's worth of bytes. `taken` says how many bytes the reader has taken since the last time, which is
 * how many more may be sent; `left`, that it will take no more.
 */
function createChunkQueue(events: {
  readonly taken: (bytes: number) => void;
  readonly left: () => void;
}): ChunkQueue {
  const waiting: OutputChunk[] = [];
  let state: "open" | "ended" | "left" = "open";
  let unreported = 0;
  let wake: (() => void) | undefined;

  const leave = () => {
    if (state === "open") events.left();
    state = "left";
    waiting.length = 0;
    wake?.();
  };
  const take = (chunk: OutputChunk) => {
    unreported += chunk.bytes.length;
    if (unreported < GIVE_BACK || state !== "open") return;
    events.taken(unreported);
    unreported = 0;
  };
  async function* read(): AsyncGenerator<OutputChunk> {
    try {
      for (;;) {
        const chunk = waiting.shift();
        if (chunk) {
          take(chunk);
          yield chunk;
        } else if (state !== "open") {
          return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      leave();
    }
  }
  return {
    push(chunk) {
      if (state !== "open") return;
      waiting.push(chunk);
      wake?.();
    },
    end() {
      if (state === "open") state = "ended";
      wake?.();
    },
    leave,
    output: read(),
  };
}
