import type { Agent } from "../agents/agent.ts";
import { assemble } from "../context/assemble.ts";
import { nextPrefix } from "../context/prefix.ts";
import { AppError, errorMessage } from "../lib/errors.ts";
import { newId, random } from "../lib/ids.ts";
import { raceSignal } from "../lib/streams.ts";
import type { AssistantBlock } from "../log/content.ts";
import type { ModelFailure } from "../log/entry.ts";
import type { SessionState } from "../log/state.ts";
import type { Model, ModelAnswer, ModelEvent, ModelRequest } from "../models/model.ts";
import type { RetryDelay } from "./after-failure.ts";
import type { LoopControl, LoopPorts } from "./loop-ports.ts";
import type { Step } from "./next-step.ts";
import { type RecordedCall, recordCall } from "./record-call.ts";
import { currentRun, type SessionWriter } from "./session-writer.ts";

/**
 * One try of one turn. Appends `modelCalled`, then `assistantMessage` or `modelFailed`; when it was stopped or abandoned,
 * nothing more.
 */
export async function callModel(
  step: Extract<Step, { type: "callModel" }>,
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
): Promise<void> {
  const { clock } = ports;
  const { id: runId, model } = currentRun(writer);
  const cancel = control.cancelSignal();
  if (step.delay !== null && !(await waitBeforeRetry(step.delay, ports, cancel))) return;

  // Where no shared budget is in force the request goes out while this is being written: a model call is not an effect that
  // must not happen twice, and its answer is appended behind it.
  const facts = ports.facts(agent, model);
  const describe = () => ({
    attempt: step.attempt,
    prefix: nextPrefix(writer.state, agent, model, facts),
  });
  const recorded = await recordCall(describe, writer, agent, ports, control);
  if (recorded === null || control.cancelSignal().aborted) return;
  const started = clock.monotonic();
  const request = shortened(assemble(writer.lease.sessionId, writer.state, agent, facts), recorded);
  const reading = readAnswer(() => ports.models(agent, model), request, runId, ports, cancel);
  // Not even a model that does not heed its signal holds up a stop.
  const read = await raceSignal(reading, cancel, null);
  if (read === null || cancel.aborted) return;
  const { last, firstTokenMs, shown } = read;

  const totalMs = Math.round(clock.monotonic() - started);
  if (last.type === "failed") {
    if (shown) ports.emit({ type: "retracted", runId });
    const { failure } = last;
    writer.append({ type: "modelFailed", runId, model, attempt: step.attempt, failure, durationMs: totalMs });
    return;
  }
  const { answer } = last;
  writer.append({
    type: "assistantMessage",
    runId,
    model,
    blocks: withUniqueCallIds(answer.blocks, writer.state),
    stopReason: answer.stopReason,
    usage: answer.usage,
    costUsd: ports.price(agent, model, answer.usage),
    timing: { firstTokenMs, totalMs },
    ...(answer.sidecar === undefined ? {} : { sidecar: answer.sidecar }),
  });
}

/** Held to what the budget has left. */
function shortened(request: ModelRequest, { maxOutputTokens }: RecordedCall): ModelRequest {
  return maxOutputTokens === null ? request : { ...request, maxOutputTokens };
}

/** False when it was cancelled meanwhile. */
async function waitBeforeRetry(
  delay: RetryDelay,
  { clock }: LoopPorts,
  cancel: AbortSignal,
): Promise<boolean> {
  const { atLeastMs, atMostMs } = delay;
  await clock.sleep(atLeastMs + random() * (atMostMs - atLeastMs), cancel).catch(() => {});
  return !cancel.aborted;
}

interface Reading {
  readonly last: { readonly type: "finished"; readonly answer: ModelAnswer } | Failed;
  /** Milliseconds to the first delta; null when there was none. */
  readonly firstTokenMs: number | null;
  /** Whether watchers have seen a part of the answer. */
  readonly shown: boolean;
}

interface Failed {
  readonly type: "failed";
  readonly failure: ModelFailure;
}

async function readAnswer(
  resolve: () => Model,
  request: ModelRequest,
  runId: string,
  ports: LoopPorts,
  cancel: AbortSignal,
): Promise<Reading> {
  const started = ports.clock.monotonic();
  let firstTokenMs: number | null = null;
  try {
    for await (const event of resolve().stream(request, cancel)) {
      if (event.type === "finished" || event.type === "failed") {
        return { last: event, firstTokenMs, shown: firstTokenMs !== null };
      }
      if (cancel.aborted) break;
      firstTokenMs ??= Math.round(ports.clock.monotonic() - started);
      showDelta(event, runId, ports);
    }
    return {
      last: failedBecause("network", "the stream ended without an answer"),
      firstTokenMs,
      shown: firstTokenMs !== null,
    };
  } catch (error) {
    // A missing key or an unknown model is the resolver's word; anything else is a defect of the adapter, and costs this
    // call only.
    const last = failedBecause(isConfiguration(error) ? "badRequest" : "unknown", explain(error));
    return { last, firstTokenMs, shown: firstTokenMs !== null };
  }
}

function failedBecause(kind: ModelFailure["kind"], message: string): Failed {
  return { type: "failed", failure: { kind, message } };
}

function isConfiguration(error: unknown): error is AppError {
  return error instanceof AppError;
}

function explain(error: unknown): string {
  if (!isConfiguration(error) || error.hint === undefined) return errorMessage(error);
  return `${error.message}. ${error.hint}`;
}

function showDelta(
  event: Exclude<ModelEvent, { type: "finished" | "failed" }>,
  runId: string,
  ports: LoopPorts,
): void {
  switch (event.type) {
    case "textDelta":
      ports.emit({ type: "textDelta", runId, text: event.text });
      return;
    case "reasoningDelta":
      ports.emit({ type: "reasoningDelta", runId, text: event.text });
      return;
    case "toolCallStarted":
      ports.emit({ type: "toolCallStarted", runId, callId: event.callId, name: event.name });
      return;
    case "toolCallDelta":
      ports.emit({ type: "toolCallDelta", runId, callId: event.callId, text: event.text });
      return;
  }
}

const USABLE_CALL_ID = /^[a-zA-Z0-9_-]{1,64}$/;

/** Some providers number the calls of each answer from zero; results are bound to calls by id for the whole session. */
function withUniqueCallIds(
  blocks: readonly AssistantBlock[],
  state: SessionState,
): readonly AssistantBlock[] {
  const seen = new Set<string>();
  const isFree = (id: string) => USABLE_CALL_ID.test(id) && !seen.has(id) && !state.callIds.has(id);
  return blocks.map((block) => {
    if (block.type !== "toolCall") return block;
    const callId = isFree(block.callId) ? block.callId : newId("call");
    seen.add(callId);
    return callId === block.callId ? block : { ...block, callId };
  });
}
