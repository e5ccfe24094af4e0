import type { Agent } from "../../agents/agent.ts";
import { AppError, isAppError } from "../../lib/errors.ts";
import { sha256 } from "../../lib/ids.ts";
import { raceSignal } from "../../lib/streams.ts";
import type { ToolFinished } from "../../log/entry.ts";
import type { OpenCall, PersonsAnswer } from "../../log/state.ts";
import { execute, reconcile } from "../../tools/execute.ts";
import type { Executed } from "../../tools/present-result.ts";
import type { Answer, ToolContext } from "../../tools/tool.ts";
import { askForTool } from "../approvals/ask-person.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";
import type { CallPlan } from "./call-plan.ts";
import { NOT_STARTED } from "./call-text.ts";
import { modeOf } from "./permit.ts";
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
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
): Promise<Pick<ToolFinished, "outcome" | "blocks"> | null> {
  const { callId, name } = plan.call;
  const { id: runId } = currentRun(writer);
  const elapsed = stopwatch(plan, ports);
  const attempt = beginAttempt(plan, runId, writer, agent, ports, control);
  const executed = await (plan.type === "run" ? attempt.start(plan.attempt) : attempt.resume(plan.denied));
  if (executed === ABANDONED || executed === SUSPENDED) return null;
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
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
) {
  const { call, tool, input, permission } = plan;
  const { callId, name } = call;
  const { sessionId } = writer.lease;
  const operationId = operationOf(call, sessionId);
  const cancel = control.cancelSignal();
  const suspension = new AbortController();

  async function start(attempt: number): Promise<Executed | Unstarted | Left> {
    if (cancel.aborted) return unstarted();
    const { effect } = tool;
    writer.append({ type: "toolStarted", runId, callId, operationId, name, effect, attempt, permission });
    // Intent before effect: whatever can change something waits until its start is on disk.
    if (tool.effect !== "readonly") await writer.durable();
    if (cancel.aborted) return unstarted();
    return orLeave(execute(tool, input, contextOf(attempt)));
  }

  async function resume(denied: string | null): Promise<Executed | Unstarted | Left> {
    if (tool.reconcile === undefined || call.started === null)
      throw new Error(`${name} cannot be reconciled`);
    const { attempt } = call.started;
    const asked = { ...tool, reconcile: tool.reconcile };
    const answer = await orLeave(reconcile(asked, input, contextOf(attempt)));
    if (answer !== "notStarted") return answer;
    return denied === null
      ? start(attempt + 1)
      : { outcome: "denied", blocks: [{ type: "text", text: denied }] };
  }

  function unstarted(): Unstarted | Left {
    if (control.abandoned.aborted) return ABANDONED;
    const text = isAppError(cancel.reason, "timeout") ? NOT_STARTED.timeUp : NOT_STARTED.stopped;
    return { outcome: "cancelled", blocks: [{ type: "text", text }] };
  }

  function contextOf(attempt: number): ToolContext {
    let asked = 0;
    return {
      sessionId,
      runId,
      callId,
      operationId,
      attempt,
      signal: AbortSignal.any([cancel, suspension.signal]),
      ask(question) {
        const answer = call.answers[asked];
        asked += 1;
        if (answer !== undefined) return Promise.resolve(answerOf(answer));
        if (modeOf(writer.state, agent) === "dontAsk") return Promise.resolve({ type: "expired" });
        // The first question is the one that counts: whoever asks several at once asks the next one when it comes here again.
        if (!suspension.signal.aborted && !cancel.aborted) {
          askForTool(call, question, writer, agent, ports);
          suspension.abort(WAITS_FOR_ANSWER);
        }
        const waits = Promise.reject(WAITS_FOR_ANSWER);
        // A tool that does not wait for its answer must not end the process.
        waits.catch(() => {});
        return waits;
      },
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
  async function orLeave<T>(work: Promise<T>): Promise<T | Left> {
    const result = await raceSignal(work, control.abandoned, ABANDONED);
    // Whatever a tool says that has asked a person, it comes here again when there is an answer.
    return suspension.signal.aborted && !control.abandoned.aborted ? SUSPENDED : result;
  }

  return { start, resume };
}

/** Follows from the call, so that it is the same over every attempt, also where the first one's start was not written. */
function operationOf({ callId, started }: OpenCall, sessionId: string): string {
  return started?.operationId ?? `op_${sha256(`${sessionId}\n${callId}`, 32)}`;
}

const ABANDONED = Symbol("abandoned");
const SUSPENDED = Symbol("suspended");
type Left = typeof ABANDONED | typeof SUSPENDED;

const WAITS_FOR_ANSWER = new AppError(
  "cancelled",
  "a person has been asked; the call is started anew when they have answered",
);

function answerOf({ answer, actor }: PersonsAnswer): Answer {
  switch (answer.action) {
    case "respond":
      return { type: "answered", value: answer.value, actor };
    case "reject":
      return { type: "rejected", feedback: answer.feedback ?? null, actor };
    default:
      return { type: "expired" };
  }
}

interface Unstarted {
  readonly outcome: "cancelled" | "denied";
  readonly blocks: readonly [{ readonly type: "text"; readonly text: string }];
}
