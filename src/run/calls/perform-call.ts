import { isAppError } from "../../lib/errors.ts";
import { sha256 } from "../../lib/ids.ts";
import { raceSignal } from "../../lib/streams.ts";
import type { ToolFinished } from "../../log/entry.ts";
import type { OpenCall } from "../../log/state.ts";
import { execute, reconcile } from "../../tools/execute.ts";
import type { Executed } from "../../tools/present-result.ts";
import type { ToolContext } from "../../tools/tool.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";
import { type CallPlan, NOT_STARTED } from "./plan-call.ts";
import { noteOfChange } from "./tool-hooks.ts";

/** A plan whose tool is to be asked for something. */
export type ToolPlan = Extract<CallPlan, { type: "run" | "reconcile" }>;

/**
 * Performs one call and appends its result. That it starts is appended at once, before anything is waited for. When the
 * session is abandoned meanwhile, nothing more is appended, and there is no result.
 */
export async function performCall(
  plan: ToolPlan,
  writer: SessionWriter,
  ports: LoopPorts,
  control: LoopControl,
): Promise<Pick<ToolFinished, "outcome" | "blocks"> | null> {
  const { callId, name } = plan.call;
  const { id: runId } = currentRun(writer);
  const elapsed = stopwatch(plan, ports);
  const attempt = beginAttempt(plan, runId, writer, ports, control);
  const executed = await (plan.type === "run" ? attempt.start(plan.attempt) : attempt.resume(plan.denied));
  if (executed === ABANDONED) return null;
  const blocks = [...executed.blocks, ...noteOfChange(plan.call, writer.state)];
  writer.append({ type: "toolFinished", runId, callId, name, ...executed, blocks, durationMs: elapsed() });
  return executed;
}

/** A call that went on while no process watched it counts from its own start, which only the wall clock knows. */
function stopwatch({ type, call }: ToolPlan, { clock }: LoopPorts): () => number {
  if (type === "reconcile" && call.started !== null) {
    const { at } = call.started;
    return () => Math.max(0, clock.now() - at);
  }
  const began = clock.monotonic();
  return () => Math.round(clock.monotonic() - began);
}

function beginAttempt(
  plan: ToolPlan,
  runId: string,
  writer: SessionWriter,
  ports: LoopPorts,
  control: LoopControl,
) {
  const { call, tool, input } = plan;
  const { callId, name } = call;
  const { sessionId } = writer.lease;
  const operationId = operationOf(call, sessionId);
  const cancel = control.cancelSignal();

  async function start(attempt: number): Promise<Executed | Unstarted | typeof ABANDONED> {
    if (cancel.aborted) return unstarted();
    writer.append({ type: "toolStarted", runId, callId, operationId, name, effect: tool.effect, attempt });
    // Intent before effect: whatever can change something waits until its start is on disk.
    if (tool.effect !== "readonly") await writer.durable();
    if (cancel.aborted) return unstarted();
    return orAbandon(execute(tool, input, contextOf(attempt)));
  }

  async function resume(denied: string | null): Promise<Executed | Unstarted | typeof ABANDONED> {
    if (tool.reconcile === undefined || call.started === null)
      throw new Error(`${name} cannot be reconciled`);
    const { attempt } = call.started;
    const asked = { ...tool, reconcile: tool.reconcile };
    const answer = await orAbandon(reconcile(asked, input, contextOf(attempt)));
    if (answer !== "notStarted") return answer;
    return denied === null
      ? start(attempt + 1)
      : { outcome: "denied", blocks: [{ type: "text", text: denied }] };
  }

  function unstarted(): Unstarted | typeof ABANDONED {
    if (control.abandoned.aborted) return ABANDONED;
    const text = isAppError(cancel.reason, "timeout") ? NOT_STARTED.timeUp : NOT_STARTED.stopped;
    return { outcome: "cancelled", blocks: [{ type: "text", text }] };
  }

  function contextOf(attempt: number): ToolContext {
    return {
      sessionId,
      runId,
      callId,
      operationId,
      attempt,
      signal: cancel,
      sandbox: () => ports.sandbox(sessionId),
      emit: (output) =>
        output.type === "output"
          ? ports.emit({ type: "toolOutput", runId, callId, stream: output.stream, text: output.text })
          : ports.emit({ ...output, type: "toolProgress", runId, callId }),
    };
  }

  /**
   * A session that is abandoned is not stopped: commands that outlive this process go on, and whoever takes the session
   * over asks what became of them. So the work is left alone, and its result is not waited for.
   */
  function orAbandon<T>(work: Promise<T>): Promise<T | typeof ABANDONED> {
    return raceSignal(work, control.abandoned, ABANDONED);
  }

  return { start, resume };
}

/** Follows from the call, so that it is the same over every attempt, also where the first one's start was not written. */
function operationOf({ callId, started }: OpenCall, sessionId: string): string {
  return started?.operationId ?? `op_${sha256(`${sessionId}\n${callId}`, 32)}`;
}

const ABANDONED = Symbol("abandoned");

interface Unstarted {
  readonly outcome: "cancelled" | "denied";
  readonly blocks: readonly [{ readonly type: "text"; readonly text: string }];
}
