import type { Agent } from "../../agents/agent.ts";
import { assemble } from "../../context/assemble.ts";
import { nextPrefix } from "../../context/prefix.ts";
import { random } from "../../lib/ids.ts";
import { raceSignal } from "../../lib/streams.ts";
import type { AnswerPart } from "../../log/entry.ts";
import type { ModelRequest } from "../../models/model.ts";
import { isLostCall, type RetryDelay } from "../after-failure.ts";
import type { Calls } from "../calls/calls.ts";
import { createEarlyStart } from "../calls/early-start.ts";
import { hookDue } from "../hooks.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import type { Step } from "../next-step.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";
import { createCallIds } from "./call-ids.ts";
import { failedBecause, type Reading, readAnswer } from "./read-answer.ts";
import { type RecordedCall, recordCall } from "./record-call.ts";

/**
 * One try of one turn. Appends `modelCalled`, then `assistantMessage` or `modelFailed`; when it was stopped, abandoned or out
 * of time, nothing more. Before that, `answerPart` and what calls append that begin while the rest is still being written.
 */
export async function callModel(
  step: Extract<Step, { type: "callModel" }>,
  calls: Calls,
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
): Promise<void> {
  const { clock } = ports;
  const { id: runId, model } = currentRun(writer);
  const cancel = control.cancelSignal();
  if (step.delay !== null) {
    // A message that has come meanwhile joins the request, once hooks have been asked about it.
    if (!(await waitBeforeRetry(step.delay, ports, cancel)) || hookDue(writer.state, agent) !== null) return;
  }

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
  const ids = createCallIds(writer.state);
  using early = createEarlyStart(calls, ids, writer, agent, control);
  const reading = readAnswer(() => ports.models(agent, model), request, {
    runId,
    ids,
    clock,
    cancel,
    emit: ports.emit,
    offer: early.offer,
  });
  // Not even a model that does not heed its signal holds up a stop.
  const read = await raceSignal(reading, cancel, null);
  if (read === null || cancel.aborted) return;

  const totalMs = Math.round(clock.monotonic() - started);
  const end = checkEnd(read.end, currentRun(writer).part);
  if (end.type === "failed") {
    if (read.shown > early.kept) ports.emit({ type: "retracted", runId });
    const { failure } = end;
    // What is kept of an answer (`settleAnswer`) is counted with it.
    const isLost = isLostCall(failure, read.firstTokenMs !== null) && currentRun(writer).part === null;
    const lost = isLost ? { lostCall: true as const } : {};
    const { attempt } = step;
    writer.append({ type: "modelFailed", runId, model, attempt, failure, durationMs: totalMs, ...lost });
    return;
  }
  const { answer } = end;
  writer.append({
    type: "assistantMessage",
    runId,
    model,
    blocks: answer.blocks,
    stopReason: answer.stopReason,
    usage: answer.usage,
    costUsd: ports.price(agent, model, answer.usage),
    timing: { firstTokenMs: read.firstTokenMs, totalMs },
    ...(answer.sidecar === undefined ? {} : { sidecar: answer.sidecar }),
  });
}

/** A call that has started keeps its place in the transcript, whatever a provider makes of the rest of its answer. */
function checkEnd(end: Reading["end"], part: AnswerPart | null): Reading["end"] {
  if (end.type === "failed" || part === null) return end;
  const ids = new Set(end.answer.blocks.map((block) => (block.type === "toolCall" ? block.callId : null)));
  const isWhole = part.blocks.every((block) => block.type !== "toolCall" || ids.has(block.callId));
  return isWhole ? end : failedBecause("unknown", "the answer ended as another one than it had begun");
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
