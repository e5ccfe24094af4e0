import type { Agent } from "../agents/agent.ts";
import { sha256 } from "../lib/ids.ts";
import { forEachBounded, raceSignal } from "../lib/streams.ts";
import type { OpenCall } from "../log/state.ts";
import { execute, reconcile } from "../tools/execute.ts";
import type { Executed } from "../tools/present-result.ts";
import type { ToolContext } from "../tools/tool.ts";
import type { LoopControl, LoopPorts } from "./loop-ports.ts";
import type { CallPlan } from "./plan-call.ts";
import { currentRun, type SessionWriter } from "./session-writer.ts";

/**
 * Gives every open call its result: at most `agent.limits.parallelCalls` at once, each result on disk as soon as it is
 * there. Returns early, with calls left open, only when the session is abandoned.
 */
export async function runTools(
  plans: readonly CallPlan[],
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
): Promise<void> {
  const run = createRunner(writer, ports, control);
  await forEachBounded(plans, agent.limits.parallelCalls, run);
}

function createRunner(writer: SessionWriter, ports: LoopPorts, control: LoopControl) {
  const { id: runId } = currentRun(writer);
  const { clock } = ports;
  const stop = control.stopSignal();
  const cancel = control.cancelSignal();

  return async function perform(plan: CallPlan): Promise<void> {
    if (control.abandoned.aborted) return;
    const { callId, name } = plan.call;
    const elapsed = stopwatch(plan);
    const executed = await outcomeOf(plan);
    if (executed === ABANDONED) return;
    const durationMs = elapsed();
    writer.append({ type: "toolFinished", runId, callId, name, ...executed, durationMs });
  };

  /** A call that went on while no process watched it counts from its own start, which only the wall clock knows. */
  function stopwatch({ type, call }: CallPlan): () => number {
    if (type === "reconcile" && call.started !== null) {
      const { at } = call.started;
      return () => Math.max(0, clock.now() - at);
    }
    const began = clock.monotonic();
    return () => Math.round(clock.monotonic() - began);
  }

  async function outcomeOf(plan: CallPlan): Promise<Executed | Refused | typeof ABANDONED> {
    switch (plan.type) {
      case "finish":
        return refused(plan.outcome, plan.text);
      case "run":
        return start(plan, operationOf(plan.call), plan.attempt);
      case "reconcile":
        return resume(plan);
    }
  }

  /** Follows from the call, so that it is the same over every attempt, also where the first one's start was not written. */
  function operationOf({ callId, started }: OpenCall): string {
    return started?.operationId ?? `op_${sha256(`${writer.lease.sessionId}\n${callId}`, 32)}`;
  }

  async function start(
    plan: Extract<CallPlan, { type: "run" | "reconcile" }>,
    operationId: string,
    attempt: number,
  ): Promise<Executed | Refused | typeof ABANDONED> {
    if (stop.aborted) return refused("cancelled", "Not started: the run was stopped.");
    const { tool, call, input } = plan;
    const { callId, name } = call;
    writer.append({ type: "toolStarted", runId, callId, operationId, name, effect: tool.effect, attempt });
    // Intent before effect: whatever can change something waits until its start is on disk.
    if (tool.effect !== "readonly") await writer.durable();
    if (control.abandoned.aborted) return ABANDONED;
    if (stop.aborted) return refused("cancelled", "Not started: the run was stopped.");
    return orAbandon(execute(tool, input, contextOf(callId, operationId, attempt)));
  }

  async function resume(plan: Extract<CallPlan, { type: "reconcile" }>) {
    const { call, tool } = plan;
    if (tool.reconcile === undefined || call.started === null)
      throw new Error(`${call.name} cannot be reconciled`);
    const { operationId, attempt } = call.started;
    const asked = { ...tool, reconcile: tool.reconcile };
    const answer = await orAbandon(
      reconcile(asked, plan.input, contextOf(call.callId, operationId, attempt)),
    );
    return answer === "notStarted" ? start(plan, operationId, attempt + 1) : answer;
  }

  function contextOf(callId: string, operationId: string, attempt: number): ToolContext {
    const { sessionId } = writer.lease;
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
}

const ABANDONED = Symbol("abandoned");

interface Refused {
  readonly outcome: "invalid" | "denied" | "cancelled" | "unknown";
  readonly blocks: readonly [{ readonly type: "text"; readonly text: string }];
}

function refused(outcome: Refused["outcome"], text: string): Refused {
  return { outcome, blocks: [{ type: "text", text }] };
}
