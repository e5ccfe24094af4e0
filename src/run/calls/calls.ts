import type { Agent } from "../../agents/agent.ts";
import { neutraliseMarkers } from "../../log/markers.ts";
import { type OpenCall, questionAbout } from "../../log/state.ts";
import { askOutcome, askPerson } from "../approvals/ask-person.ts";
import { classify } from "../approvals/classify.ts";
import { askIfChanged, wasShown } from "../approvals/look-again.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";
import { type CallPlan, isIndependent } from "./call-plan.ts";
import { isForClassifier, nextCall } from "./next-call.ts";
import { performCall } from "./perform-call.ts";
import { planCall } from "./plan-call.ts";
import { askAfterTool, askBeforeTool, needsAsking } from "./tool-hooks.ts";

/**
 * The calls that this process is performing, and which one may be next. Shared by the steps of a loop, because a call can
 * start while its answer is still being written and then goes on into the step that waits for it. A call that has started
 * according to the log and is not under way here was left behind by a node that died.
 *
 * The order is that of `nextCall`, with `agent.limits.parallelCalls` at once at most.
 */
export interface Calls {
  /** How many are under way. */
  readonly underWay: number;
  /** What to do about the first of the calls, in their order, that may begin now; null when there is none. */
  next(calls: readonly OpenCall[]): DuePlan | null;
  /** Does what the plan says, beginning at once. Resolves when it is over, however it went. */
  perform(plan: DuePlan): Promise<void>;
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

  async function performWithHooks(plan: ActivePlan): Promise<void> {
    // What had started when its node died was asked about before; what has only asked may have other arguments by now.
    const isNew = isToStart(plan) && (plan.call.started === null || plan.call.suspended);
    const asked = await afterLook(isNew ? await afterHooks(plan) : plan);
    if (control.abandoned.aborted) return;
    // It was its turn to be asked about. Whether it is its turn to start, too, is for `nextCall` to say.
    if (plan.type === "ask" && asked.type === "run") return;
    switch (asked.type) {
      case "wait":
        return;
      case "finish":
        finishUnstarted(asked, writer);
        return;
      case "ask":
        if (control.cancelSignal().aborted) return;
        // Where it is hooks that have led here, others may be under way: it comes here again when they are not.
        if (asked.whom === "classifier" && underWay.size > 1) return;
        if (asked.whom === "classifier") await classify(asked, writer, agent, ports, control);
        else await askPerson(asked, writer, agent, ports, control);
        return;
      case "askOutcome":
        askOutcome(asked, writer, agent, ports);
        return;
      default: {
        withdrawQuestion(asked, writer);
        const executed = await performCall(asked, writer, agent, ports, control);
        if (executed !== null) await askAfterTool(asked.call, executed, writer, agent, ports, control);
      }
    }
  }

  /**
   * What hooks say is in the log, so that the call is planned anew when one has been asked: the next one is asked about what
   * would run, and only while rules allow it.
   */
  async function afterHooks(asked: Extract<CallPlan, { type: "run" | "ask" }>): Promise<CallPlan> {
    let plan: CallPlan = asked;
    while (isToStart(plan) && needsAsking(plan.call, plan.tool.name, writer.state, agent)) {
      await askBeforeTool(plan, writer, agent, ports, control);
      plan = planOpen(plan.call);
      // Nothing was asked: the call is not going to start.
      if (control.cancelSignal().aborted) break;
    }
    return plan;
  }

  /** What has been approved is looked at again; that takes its time, and rules may have changed meanwhile. */
  async function afterLook(plan: CallPlan): Promise<CallPlan> {
    if (plan.type !== "run" || !wasShown(plan)) return plan;
    await askIfChanged(plan, writer, agent, ports, control);
    return planOpen(plan.call);
  }

  /** What is to be done about a call by now. */
  function planOpen(call: OpenCall): CallPlan {
    const { state } = writer;
    const now = state.openCalls.find(({ callId }) => callId === call.callId) ?? call;
    const [run, added] = [currentRun(writer), ports.addedRules()];
    return planCall(now, { state, run, agent, now: ports.clock.now(), added });
  }

  return {
    get underWay() {
      return underWay.size;
    },
    next(calls) {
      if (underWay.size >= agent.limits.parallelCalls) return null;
      return nextCall(calls, underWay, planOpen, agent);
    },
    async perform(plan) {
      if (plan.type === "finish") {
        finishUnstarted(plan, writer);
        return;
      }
      const { callId } = plan.call;
      underWay.set(callId, isIndependent(plan.call, agent) && !isForClassifier(plan));
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

export type DuePlan = NonNullable<ReturnType<typeof nextCall>>;

/** Plans that lead to something. */
type ActivePlan = Exclude<CallPlan, { type: "wait" | "finish" }>;

function isToStart(plan: CallPlan): plan is Extract<CallPlan, { type: "run" | "ask" }> {
  return plan.type === "run" || plan.type === "ask";
}

function finishUnstarted(plan: Extract<CallPlan, { type: "finish" }>, writer: SessionWriter): void {
  const { call, outcome, text, permission } = plan;
  withdrawQuestion(plan, writer);
  const { id: runId } = currentRun(writer);
  const { callId, name } = call;
  const blocks = [{ type: "text" as const, text: neutraliseMarkers(text) }];
  const details = permission === undefined ? {} : { details: { permission } };
  writer.append({ type: "toolFinished", runId, callId, name, outcome, blocks, ...details, durationMs: 0 });
}

/** What has been decided otherwise meanwhile, by a rule or a stop, nobody has to be asked about any more. */
function withdrawQuestion({ call }: CallPlan, writer: SessionWriter): void {
  const open = questionAbout(call.callId, currentRun(writer));
  if (open === undefined) return;
  const { interruptId } = open;
  writer.append({ type: "interruptResolved", interruptId, answer: { action: "withdrawn" } });
}
