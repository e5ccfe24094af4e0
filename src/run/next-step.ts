import type { Agent } from "../agents/agent.ts";
import { type CompactionPlan, compactionDue } from "../context/compaction.ts";
import { contextDue } from "../context/epoch.ts";
import type {
  BudgetRequest,
  HookPoint,
  ModelFailureKind,
  PermissionMode,
  PrefixBreak,
  RunEnd,
  RunFailed,
} from "../log/entry.ts";
import { isWaiting, type RunState, type SessionState } from "../log/state.ts";
import type { ModelFacts } from "../models/model.ts";
import { afterFailure, explainFailure, type RetryDelay } from "./after-failure.ts";
import { isCrashLooping } from "./calls/call-plan.ts";
import { nextCall } from "./calls/next-call.ts";
import { modeOf } from "./calls/permit.ts";
import { planCall } from "./calls/plan-call.ts";
import { hasUnasked, hookDue, turnSubject, vetoOf } from "./hooks.ts";
import type { Knowledge } from "./knowledge.ts";
import { isSaveDue } from "./save-workspace.ts";
import { isTimeUp } from "./time-limit.ts";
import { budgetOf } from "./turn/budget.ts";

/** What to do next. The loop performs it, appends what came of it, and asks again. */
export type Step =
  /** Nothing to do until a message, or a person's answer, arrives. */
  | { readonly type: "wait" }
  | { readonly type: "startRun"; readonly model: string }
  /** Record what stands before the messages from now on. */
  | { readonly type: "openContext"; readonly cause: PrefixBreak }
  | { readonly type: "askHooks"; readonly point: HookPoint; readonly subject: string }
  | { readonly type: "compact"; readonly plan: CompactionPlan }
  | { readonly type: "callModel"; readonly attempt: number; readonly delay: RetryDelay | null }
  | { readonly type: "switchModel"; readonly to: string; readonly why: ModelFailureKind }
  /** An answer broke off behind calls that had been started: what was complete of it is the answer. */
  | { readonly type: "settleAnswer" }
  /** Give each open call its result; what is to be done about it is planned right before (`planCall`). */
  | { readonly type: "runTools" }
  | { readonly type: "interrupt"; readonly request: BudgetRequest }
  /** Keep the files as they are: a call can have changed them. */
  | { readonly type: "saveWorkspace" }
  /** Calls are open, and about each that could be next somebody has been asked. */
  | { readonly type: "pause" }
  /** The model has to know what it may do. */
  | { readonly type: "tellMode"; readonly mode: PermissionMode }
  | { readonly type: "stop"; readonly reason: RunEnd }
  | { readonly type: "fail"; readonly error: RunFailed["error"] };

/** Decides, from the log alone, what to do next. Called only between steps. @pure */
export function nextStep(state: SessionState, agent: Agent, known: Knowledge): Step {
  const { run } = state;
  if (run === null) {
    return state.unanswered === null
      ? { type: "wait" }
      : { type: "startRun", model: state.unanswered.model ?? agent.model.id };
  }
  if (run.part !== null) return { type: "settleAnswer" };
  if (state.openCalls.length > 0) return openCalls(state, run, agent, known);
  if (run.stopRequested) return { type: "stop", reason: "stopped" };
  if (isSaveDue(state, run, agent, known)) return { type: "saveWorkspace" };
  if (run.ending !== null) return { type: "stop", reason: run.ending };
  if (isWaiting(run)) return { type: "wait" };
  if (isCrashLooping(run)) return { type: "fail", error: crashLoop(run) };
  const isOver = isTimeUp(run, agent, known.now);
  if (run.answered !== null) {
    // Out of time nobody is asked any more: a run that may not end would have to end all the same.
    const hook = isOver ? null : askFirst("runEnd", state, run, agent);
    return hook ?? { type: "stop", reason: endOf(run.answered) };
  }
  if (isOver) return { type: "stop", reason: "timeLimit" };
  return run.failures.length > 0 ? recover(state, run, agent, known) : nextTurn(state, run, agent, known);
}

function openCalls(state: SessionState, run: RunState, agent: Agent, known: Knowledge): Step {
  if (isWaiting(run)) return { type: "wait" };
  if (run.interrupts.length === 0) return { type: "runTools" };
  const situation = { state, run, agent, now: known.now, added: known.addedRules() };
  const due = nextCall(state.openCalls, new Map(), (call) => planCall(call, situation), agent);
  if (due !== null) return { type: "runTools" };
  return isSaveDue(state, run, agent, known) ? { type: "saveWorkspace" } : { type: "pause" };
}

function nextTurn(state: SessionState, run: RunState, agent: Agent, known: Knowledge): Step {
  // A request that was lost in a crash belongs to a turn that has been counted.
  if (run.attempts === 0 && run.turns >= agent.limits.turns) return { type: "stop", reason: "turnLimit" };
  return request(state, run, agent, known, null);
}

function recover(state: SessionState, run: RunState, agent: Agent, known: Knowledge): Step {
  const last = run.failures.at(-1)?.failure;
  if (last === undefined) return nextTurn(state, run, agent, known);
  const after = afterFailure(run, last, agent);
  switch (after.type) {
    case "retry":
      return request(state, run, agent, known, after.delay);
    case "compact": {
      const step = compactFirst(state, run, agent, known.facts(run.model), { isOverflow: true });
      return step ?? { type: "fail", error: explainFailure(run, last) };
    }
    case "switch":
      return { type: "switchModel", to: after.to, why: after.why };
    case "fail":
      return after;
  }
}

/** Everything that has to be in order before a request is sent, and then the request. */
function request(
  state: SessionState,
  run: RunState,
  agent: Agent,
  known: Knowledge,
  delay: RetryDelay | null,
): Step {
  const hook = hookDue(state, agent);
  if (hook !== null) return { type: "askHooks", ...hook };
  const mode = modeToTell(state, agent);
  if (mode !== null) return { type: "tellMode", mode };
  const cause = contextDue(state, agent);
  if (cause !== null) return { type: "openContext", cause };
  const compaction = compactFirst(state, run, agent, known.facts(run.model), { isOverflow: false });
  if (compaction !== null) return compaction;
  const exceeded = budgetOf(state, agent, run, known).exceeded;
  if (exceeded !== null) return { type: "interrupt", request: exceeded };
  return { type: "callModel", attempt: run.attempts + 1, delay };
}

/** In plan mode the model must know it, and when it is over. What other modes ask or refuse it is told call by call. */
function modeToTell(state: SessionState, agent: Agent): PermissionMode | null {
  const mode = modeOf(state, agent);
  const isPlanning = mode === "plan";
  return isPlanning === (state.toldMode === "plan") ? null : mode;
}

/** A compaction that is due and that no hook has forbidden. */
function compactFirst(
  state: SessionState,
  run: RunState,
  agent: Agent,
  facts: ModelFacts,
  options: { readonly isOverflow: boolean },
): Step | null {
  const plan = compactionDue(state, agent, facts, options);
  if (plan === null || vetoOf({ point: "beforeCompact", subject: turnSubject(run) }, state)) return null;
  return askFirst("beforeCompact", state, run, agent) ?? { type: "compact", plan };
}

function askFirst(point: HookPoint, state: SessionState, run: RunState, agent: Agent): Step | null {
  const moment = { point, subject: turnSubject(run) };
  return hasUnasked(moment, state, agent) ? { type: "askHooks", ...moment } : null;
}

function crashLoop({ resumes }: RunState): RunFailed["error"] {
  return {
    code: "crash_loop",
    message: `the run was taken up ${resumes} times without getting any further`,
    hint: "Something in its next step ends the process, or it is restarted too often. Look into the process's own log, then send the next message: the session goes on.",
  };
}

function endOf(stopReason: NonNullable<RunState["answered"]>): RunEnd {
  switch (stopReason) {
    case "maxTokens":
      return "maxTokens";
    case "refused":
      return "refused";
    case "endTurn":
    case "toolCalls":
    case "other":
      return "endTurn";
  }
}
