import type { Agent } from "../../agents/agent.ts";
import type { OpenCall } from "../../log/state.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";
import { performCall, type ToolPlan } from "./perform-call.ts";
import { type CallPlan, isIndependent, planCall } from "./plan-call.ts";
import { askAfterTool, askBeforeTool, needsAsking } from "./tool-hooks.ts";

/**
 * The calls that this process is performing, and which one may be next. Shared by the steps of a loop, because a call can
 * start while its answer is still being written and then goes on into the step that waits for it. A call that has started
 * according to the log and is not under way here was left behind by a node that died.
 *
 * The order: calls that are independent of others (`isIndependent`) run side by side, `agent.limits.parallelCalls` at most.
 * Any other call waits for all before it, and all behind it wait for it.
 */
export interface Calls {
  /** How many are under way. */
  readonly underWay: number;
  /** What to do about the first of the calls, in their order, that may begin now; null when there is none. */
  next(calls: readonly OpenCall[]): CallPlan | null;
  /** Does what the plan says, beginning at once. Resolves when it is over, however it went. */
  perform(plan: CallPlan): Promise<void>;
  /** Resolves when another call that was under way has ended. Rejects when one could not be performed: a defect. */
  ended(): Promise<void>;
}

export function createCalls(
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
): Calls {
  /** Whether each call that is under way is independent. */
  const underWay = new Map<string, boolean>();
  let bell = newBell();
  let isBroken = false;

  function ring(): void {
    if (isBroken) return;
    bell.resolve();
    bell = newBell();
  }

  function breakOff(error: unknown): void {
    isBroken = true;
    bell.reject(error);
  }

  async function performWithHooks(plan: ToolPlan): Promise<void> {
    // What had started when its node died was asked about before.
    const isNew = plan.type === "run" && plan.call.started === null;
    const asked = isNew ? await afterHooks(plan) : plan;
    if (asked.type === "finish") {
      if (!control.abandoned.aborted) finishUnstarted(asked, writer);
      return;
    }
    const executed = await performCall(asked, writer, ports, control);
    if (executed !== null) await askAfterTool(asked.call, executed, writer, agent, ports, control);
  }

  /**
   * What hooks say is in the log, so that the call is planned anew when one has been asked: the next one is asked about what
   * would run, and only while rules allow it.
   */
  async function afterHooks(asked: Extract<CallPlan, { type: "run" }>): Promise<CallPlan> {
    let plan: CallPlan = asked;
    while (plan.type === "run" && needsAsking(plan.call, plan.tool.name, writer.state, agent)) {
      await askBeforeTool(plan, writer, agent, ports, control);
      plan = planOpen(plan.call);
      // Nothing was asked: the call is not going to start.
      if (control.cancelSignal().aborted) break;
    }
    return plan;
  }

  /** What is to be done about a call by now. */
  function planOpen(call: OpenCall): CallPlan {
    const { state } = writer;
    const now = state.openCalls.find(({ callId }) => callId === call.callId) ?? call;
    return planCall(now, { state, run: currentRun(writer), agent, now: ports.clock.now() });
  }

  return {
    get underWay() {
      return underWay.size;
    },
    next(calls) {
      if (underWay.size >= agent.limits.parallelCalls) return null;
      let isBusy = false;
      for (const call of calls) {
        if (call.result !== null) continue;
        const known = underWay.get(call.callId);
        const mayShare = known ?? isIndependent(call, agent);
        if (known === undefined && (mayShare || !isBusy)) return planOpen(call);
        if (!mayShare) return null;
        isBusy = true;
      }
      return null;
    },
    async perform(plan) {
      if (plan.type === "finish") {
        finishUnstarted(plan, writer);
        return;
      }
      const { callId } = plan.call;
      underWay.set(callId, isIndependent(plan.call, agent));
      try {
        await performWithHooks(plan);
        underWay.delete(callId);
        ring();
      } catch (error) {
        // It stays under way, so that nobody begins it again: the step that waits for it fails.
        breakOff(error);
      }
    },
    ended: () => bell.promise,
  };
}

function newBell(): PromiseWithResolvers<void> {
  const bell = Promise.withResolvers<void>();
  // Nobody may be listening when it is rejected; whoever comes later hears it.
  bell.promise.catch(() => {});
  return bell;
}

function finishUnstarted(
  { call, outcome, text }: Extract<CallPlan, { type: "finish" }>,
  writer: SessionWriter,
): void {
  const { id: runId } = currentRun(writer);
  const { callId, name } = call;
  const blocks = [{ type: "text" as const, text }];
  writer.append({ type: "toolFinished", runId, callId, name, outcome, blocks, durationMs: 0 });
}
