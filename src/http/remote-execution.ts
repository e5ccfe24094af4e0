import { AppError } from "../lib/errors.ts";
import type { ExecResult, Execution, OutputChunk } from "../sandboxes/sandbox.ts";
import type { ExecEvent } from "./schemas.ts";
import { fromWireError, isWireError } from "./transport.ts";

/**
 * A command that runs on a server, from the events of its stream. Its output is text there, so bytes that are not UTF-8
 * arrive as replacement characters.
 */
export async function readExecution(
  events: AsyncGenerator<unknown>,
  control: { readonly leave: () => void; readonly kill: (operationId: string) => Promise<void> },
): Promise<Execution> {
  const first = (await events.next()).value as ExecEvent | undefined;
  if (first?.type !== "started") throw failure(first);
  const { operationId } = first;
  const { promise: result, resolve, reject } = Promise.withResolvers<ExecResult>();
  // A caller may read the output only; then nobody waits for the result.
  result.catch(() => {});

  async function* output(): AsyncGenerator<OutputChunk> {
    const encoder = new TextEncoder();
    try {
      for await (const event of events as AsyncIterable<ExecEvent>) {
        if (event.type === "output") {
          yield { stream: event.stream, bytes: encoder.encode(event.text) };
        } else if (event.type === "exit") {
          const { type: _, ...exit } = event;
          resolve(exit);
          return;
        } else {
          throw failure(event);
        }
      }
      throw failure(undefined);
    } catch (error) {
      reject(error);
      throw error;
    } finally {
      reject(new AppError("cancelled", "the output was not read to its end; the command goes on"));
    }
  }

  return {
    operationId,
    output: output(),
    result,
    kill: () => control.kill(operationId),
    async [Symbol.asyncDispose]() {
      reject(new AppError("cancelled", "the output was not read to its end; the command goes on"));
      control.leave();
    },
  };
}

function failure(event: ExecEvent | undefined): AppError {
  if (isWireError(event)) return fromWireError(event);
  return new AppError("unavailable", "the connection was cut while the command ran; it goes on", {
    hint: "Ask again with the same idempotency key to read its output from the start.",
  });
}
