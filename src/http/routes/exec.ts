import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import type { ExecResult, Execution } from "../../sandboxes/sandbox.ts";
import type { HttpDeps } from "../deps.ts";
import { toWireError } from "../errors.ts";
import { idempotencyKeyHeader, idempotencyKeyOf, wantsEventStream } from "../headers.ts";
import { type Call, defineRoute, type Route } from "../route.ts";
import { closingSignal } from "../run-stream.ts";
import {
  type ExecAnswer,
  type ExecEvent,
  execAnswerSchema,
  execEventSchema,
  execSchema,
} from "../schemas.ts";
import { sseEvent, sseResponse, untilAborted } from "../sse.ts";
import { sessionParams } from "./sessions.ts";

/** What a JSON answer holds of each output of a command, in bytes. */
const OUTPUT_BYTES = 1024 * 1024;

export function execRoutes(deps: HttpDeps): readonly Route[] {
  const { sessions } = deps;
  return [
    defineRoute({
      method: "post",
      path: "/v1/sessions/{sessionId}/exec",
      operationId: "exec",
      startsWork: true,
      summary: "Run a command in the session's sandbox, without the model",
      description:
        "With the same Idempotency-Key nothing is started again: the first command's output is read.",
      headers: [idempotencyKeyHeader],
      params: sessionParams,
      body: execSchema,
      responses: {
        200: {
          description: "The command ended (whatever its exit code), or its output as a stream.",
          content: { "application/json": execAnswerSchema, "text/event-stream": execEventSchema },
        },
      },
      async handle({ params: { sessionId }, body }, c) {
        const idempotencyKey = idempotencyKeyOf(c);
        const { killOnDisconnect, stdin, ...command } = body;
        const execution = await sessions.exec(sessionId, {
          ...command,
          ...(stdin === undefined ? {} : { stdin: new TextEncoder().encode(stdin) }),
          ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        });
        return wantsEventStream(c)
          ? streamCommand(deps, execution, c, killOnDisconnect)
          : answerCommand(execution, c, killOnDisconnect);
      },
    }),

    defineRoute({
      method: "delete",
      path: "/v1/sessions/{sessionId}/exec/{operationId}",
      operationId: "killExec",
      summary: "End a command and everything that it started",
      params: sessionParams.extend({ operationId: z.string().min(1).max(256) }),
      responses: { 204: { description: "It is gone, or had ended before." } },
      async handle({ params: { sessionId, operationId } }, c) {
        const sandbox = await sessions.sandbox(sessionId);
        await using execution = await sandbox.attach(operationId);
        if (execution === undefined) {
          throw new AppError(
            "not_found",
            `no command of session ${sessionId} has the operation id "${operationId}"`,
          );
        }
        execution.result.catch(() => {});
        await execution.kill();
        return c.body(null, 204);
      },
    }),
  ];
}

function streamCommand(deps: HttpDeps, execution: Execution, c: Call, killOnDisconnect: boolean): Response {
  return sseResponse(
    async function* (signal) {
      try {
        for await (const event of commandEvents(execution, signal)) yield sseEvent(JSON.stringify(event));
      } catch (error) {
        const event = { type: "error", ...toWireError(error, deps.onDefect) } satisfies ExecEvent;
        yield sseEvent(JSON.stringify(event));
      } finally {
        await leave(execution, killOnDisconnect && signal.aborted);
      }
    },
    { heartbeatMs: deps.heartbeatMs, closing: closingSignal(c) },
  );
}

async function* commandEvents(execution: Execution, signal: AbortSignal): AsyncGenerator<ExecEvent> {
  yield { type: "started", operationId: execution.operationId };
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  for await (const { stream, bytes } of untilAborted(execution.output, signal)) {
    // Characters may be split over chunks: the decoder keeps what is not whole yet.
    const text = decoders[stream].decode(bytes, { stream: true });
    if (text !== "") yield { type: "output", stream, text };
  }
  if (signal.aborted) return;
  for (const stream of ["stdout", "stderr"] as const) {
    const text = decoders[stream].decode();
    if (text !== "") yield { type: "output", stream, text };
  }
  yield { type: "exit", ...exitOf(await execution.result) };
}

async function answerCommand(execution: Execution, c: Call, killOnDisconnect: boolean): Promise<Response> {
  const signal = AbortSignal.any([c.req.raw.signal, closingSignal(c)]);
  const kept = { stdout: keepFirst(OUTPUT_BYTES), stderr: keepFirst(OUTPUT_BYTES) };
  try {
    for await (const { stream, bytes } of untilAborted(execution.output, signal)) kept[stream].add(bytes);
    if (signal.aborted) throw hungUp(execution.operationId);
    const answer: ExecAnswer = {
      operationId: execution.operationId,
      stdout: kept.stdout.text(),
      stderr: kept.stderr.text(),
      omittedBytes: kept.stdout.omitted() + kept.stderr.omitted(),
      ...exitOf(await execution.result),
    };
    return c.json(answer);
  } finally {
    await leave(execution, killOnDisconnect && signal.aborted);
  }
}

/** Keeps the first bytes of an output and counts the rest. */
function keepFirst(limit: number): { add(bytes: Uint8Array): void; text(): string; omitted(): number } {
  const pieces: Uint8Array[] = [];
  let total = 0;
  return {
    add(bytes) {
      if (total < limit) pieces.push(bytes.subarray(0, limit - total));
      total += bytes.length;
    },
    text: () => Buffer.concat(pieces).toString(),
    omitted: () => Math.max(0, total - limit),
  };
}

/** The reader is done with it; a command that still runs goes on unread, unless the caller wanted it to end with them. */
async function leave(execution: Execution, kill: boolean): Promise<void> {
  // Nobody reads the result any more, so its failure is nobody's.
  execution.result.catch(() => {});
  if (kill) await execution.kill();
  await execution[Symbol.asyncDispose]();
}

function exitOf({ exitCode, signal, timedOut, killed, durationMs, droppedBytes }: ExecResult): ExecResult {
  return { exitCode, signal, timedOut, killed, durationMs, droppedBytes };
}

function hungUp(operationId: string): AppError {
  return new AppError("unavailable", "the server is closing; the command goes on", {
    hint: "Ask again with the same Idempotency-Key.",
    details: { operationId },
  });
}
