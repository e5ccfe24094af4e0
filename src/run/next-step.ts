import type { Agent } from "../agents/agent.ts";
import { errorMessage } from "../lib/errors.ts";
import type { ModelFailure, ModelFailureKind, RunEnd, RunFailed } from "../log/entry.ts";
import type { OpenCall, RunState, SessionState } from "../log/state.ts";
import { unknownText } from "../tools/execute.ts";
import type { ParsedInput, Tool } from "../tools/tool.ts";

/** What to do next. The loop performs it, appends what came of it, and asks again. */
export type Step =
  /** Nothing to do until a message arrives. */
  | { readonly type: "wait" }
  | { readonly type: "startRun"; readonly model: string }
  | { readonly type: "callModel"; readonly attempt: number; readonly delayMs: number }
  /** One plan for each call without a result, in the order of the calls. */
  | { readonly type: "runTools"; readonly plans: readonly CallPlan[] }
  | { readonly type: "stop"; readonly reason: RunEnd }
  | { readonly type: "fail"; readonly error: RunFailed["error"] };

export type CallPlan =
  /** Start it: for the first time (`attempt` 1), or again because that is harmless for its effect. */
  | {
      readonly type: "run";
      readonly call: OpenCall;
      readonly tool: Tool;
      readonly input: unknown;
      readonly attempt: number;
    }
  /** It had started when its node died: ask the tool what became of it. */
  | { readonly type: "reconcile"; readonly call: OpenCall; readonly tool: Tool; readonly input: unknown }
  /** It gets its result without being started. */
  | {
      readonly type: "finish";
      readonly call: OpenCall;
      readonly outcome: "invalid" | "denied" | "cancelled" | "unknown";
      readonly text: string;
    };

/** A turn is tried this often before the run fails. */
const MAX_ATTEMPTS = 5;

/**
 * Decides, from the log alone, what to do next. Called only between steps: whatever is marked as started then was left
 * behind by a node that died.
 * @pure
 */
export function nextStep(state: SessionState, agent: Agent, now: number): Step {
  const { run } = state;
  if (run === null) {
    return state.unanswered === null
      ? { type: "wait" }
      : { type: "startRun", model: state.unanswered.model ?? agent.model.id };
  }
  if (state.openCalls.length > 0) {
    const open = state.openCalls.filter((call) => call.result === null);
    return { type: "runTools", plans: open.map((call) => planCall(call, agent, run)) };
  }
  if (run.stopRequested) return { type: "stop", reason: "stopped" };
  if (run.answered !== null) return { type: "stop", reason: endOf(run.answered) };
  return run.failures.length > 0 ? retryOrFail(run) : callWithinLimits(run, agent, now);
}

function callWithinLimits(run: RunState, agent: Agent, now: number): Step {
  if (now - run.startedAt >= agent.limits.durationMs) return { type: "stop", reason: "timeLimit" };
  // A request that was lost in a crash belongs to a turn that has been counted.
  if (run.attempts === 0 && run.turns >= agent.limits.turns) return { type: "stop", reason: "turnLimit" };
  return { type: "callModel", attempt: run.attempts + 1, delayMs: 0 };
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

function planCall(call: OpenCall, agent: Agent, run: RunState): CallPlan {
  const tool = agent.tools.get(call.name);
  if (call.started !== null) return planRecovery(call, call.started, tool, run);
  if (run.stopRequested) {
    return { type: "finish", call, outcome: "cancelled", text: "Not started: the run was stopped." };
  }
  if (tool === undefined) {
    const known = [...agent.tools.keys()].join(", ");
    return {
      type: "finish",
      call,
      outcome: "invalid",
      text: `There is no tool named "${call.name}". Tools: ${known}.`,
    };
  }
  if (call.malformed !== undefined) {
    const text = `The arguments of ${call.name} were not valid JSON, so it was not started. Send them again as one JSON object.`;
    return { type: "finish", call, outcome: "invalid", text };
  }
  const parsed = parse(tool, call.input);
  if (!parsed.ok) {
    const text = `The arguments do not fit ${call.name}, so it was not started:\n${parsed.complaint}`;
    return { type: "finish", call, outcome: "invalid", text };
  }
  const decision = agent.policy({ name: tool.name, input: parsed.input, effect: tool.effect });
  return decision.type === "deny"
    ? { type: "finish", call, outcome: "denied", text: decision.reason }
    : { type: "run", call, tool, input: parsed.input, attempt: 1 };
}

/**
 * The table of docs/design.md, *Effects*. What counts is the effect that was written down when the call started: the tool
 * may have been declared otherwise since.
 */
function planRecovery(
  call: OpenCall,
  started: NonNullable<OpenCall["started"]>,
  tool: Tool | undefined,
  run: RunState,
): CallPlan {
  const unknown = (why: string): CallPlan => ({
    type: "finish",
    call,
    outcome: "unknown",
    text: unknownText(call.name, why),
  });
  const parsed = tool && parse(tool, call.input);
  if (tool === undefined || parsed === undefined || !parsed.ok) {
    return unknown("the tool is not available in the same form any more");
  }
  const { input } = parsed;
  switch (started.effect) {
    case "readonly":
    case "idempotent":
    case "keyed":
      return run.stopRequested
        ? {
            type: "finish",
            call,
            outcome: "cancelled",
            text: "Ended before its result was known: the run was stopped.",
          }
        : { type: "run", call, tool, input, attempt: started.attempt + 1 };
    case "reconcile":
      return tool.reconcile === undefined
        ? unknown("the tool cannot be asked what became of it any more")
        : { type: "reconcile", call, tool, input };
    case "once":
      return unknown("it must not be repeated without knowing");
  }
}

/** A tool of a user that throws here (an asynchronous schema, for example) costs its own calls only. */
function parse(tool: Tool, input: unknown): ParsedInput {
  try {
    return tool.parse(input);
  } catch (error) {
    return { ok: false, complaint: `They could not be checked: ${errorMessage(error)}` };
  }
}

const RETRYABLE: ReadonlySet<ModelFailureKind> = new Set([
  "rateLimited",
  "overloaded",
  "network",
  "timeout",
  "unknown",
]);

function retryOrFail(run: RunState): Step {
  const last = run.failures.at(-1);
  if (last === undefined) return { type: "callModel", attempt: 1, delayMs: 0 };
  const { failure } = last;
  const delayMs = retryDelayMs(run.failures.length, failure);
  if (delayMs !== null) return { type: "callModel", attempt: run.attempts + 1, delayMs };
  return { type: "fail", error: explainFailure(run.model, failure, run.failures.length) };
}

/**
 * How long a turn waits at most before it is tried again; null when the run fails instead. `failures` is the number of
 * failures since the last answer, of which `failure` is the last.
 */
export function retryDelayMs(failures: number, failure: ModelFailure): number | null {
  return RETRYABLE.has(failure.kind) && failures < MAX_ATTEMPTS ? backoff(failures, failure) : null;
}

/** 0.5 s, doubled for each failure up to 16 s, and at least what the provider asked for up to 60 s. The loop adds jitter. */
function backoff(failures: number, failure: ModelFailure): number {
  const exponential = Math.min(500 * 2 ** (failures - 1), 16_000);
  return Math.max(exponential, Math.min(failure.retryAfterMs ?? 0, 60_000));
}

function explainFailure(model: string, failure: ModelFailure, tries: number): RunFailed["error"] {
  const status = failure.status === undefined ? "" : ` (HTTP ${failure.status})`;
  const times = tries > 1 ? ` after ${tries} tries` : "";
  const hint = HINTS[failure.kind];
  return {
    code: `model_${failure.kind}`,
    message: `${model} ${VERBS[failure.kind]}${times}${status}: ${failure.message}`,
    ...(hint === undefined ? {} : { hint }),
  };
}

const VERBS: Readonly<Record<ModelFailureKind, string>> = {
  rateLimited: "limits the rate of requests",
  overloaded: "is overloaded",
  network: "could not be reached",
  timeout: "did not answer in time",
  contextOverflow: "cannot take a request this long",
  refused: "refused the request",
  badRequest: "rejected the request",
  authentication: "did not accept the key",
  quota: "has no quota left",
  unknown: "failed",
};

const HINTS: Readonly<Partial<Record<ModelFailureKind, string>>> = {
  authentication:
    "Check the provider's API key in the environment, then send the next message: the session goes on.",
  quota: "Raise the quota with the provider, or use another model with --model; the session goes on.",
  network: "Check the connection and the model's base URL, then send the next message: the session goes on.",
  contextOverflow: "Start a new session, or use a model with a larger context window.",
};
