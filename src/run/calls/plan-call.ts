import type { Agent } from "../../agents/agent.ts";
import { resolveCall, toolNamed } from "../../context/find-tools.ts";
import { errorMessage } from "../../lib/errors.ts";
import { nearest } from "../../lib/json.ts";
import { FIND_TOOLS } from "../../log/call-tool.ts";
import type { HookDecided } from "../../log/entry.ts";
import { isSteered, type OpenCall, type RunState, type SessionState } from "../../log/state.ts";
import type { Decision } from "../../permissions/policy.ts";
import { unknownText } from "../../tools/execute.ts";
import type { ParsedInput, Tool } from "../../tools/tool.ts";
import { vetoOf } from "../hooks.ts";
import { isTimeUp } from "../time-limit.ts";

/** What is to be done about one call that has no result. */
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
  | {
      readonly type: "reconcile";
      readonly call: OpenCall;
      readonly tool: Tool;
      readonly input: unknown;
      /** Why it may not begin, should it turn out that it has not; null where it may. */
      readonly denied: string | null;
    }
  /** It gets its result without being started. */
  | {
      readonly type: "finish";
      readonly call: OpenCall;
      readonly outcome: "invalid" | "denied" | "cancelled" | "unknown";
      readonly text: string;
    };

/** A run that is taken up this often without getting any further kills whoever does it. */
const MAX_RESUMES = 20;

export function isCrashLooping({ resumes }: RunState): boolean {
  return resumes >= MAX_RESUMES;
}

/** What a plan depends on besides the call. */
export interface Situation {
  readonly state: SessionState;
  readonly run: RunState;
  readonly agent: Agent;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What the model is told of a call that came to nothing because of what happened meanwhile. */
export const NOT_STARTED = {
  stopped: "Not started: the run was stopped.",
  timeUp: "Not started: the run has reached its time limit.",
  hook: "Not started: a hook has ended the run.",
  steered: "Not started: the user has sent a message meanwhile. Read it before you go on.",
} as const;

/**
 * Asked right before a call would start, since much can happen while it waits for the calls before it.
 * @pure
 */
export function planCall(called: OpenCall, situation: Situation): CallPlan {
  const { state, run, agent, now } = situation;
  const { name, input } = resolveCall(called);
  const call = { ...called, name, input: called.amended === null ? input : called.amended.input };
  const tool = toolNamed(call.name, agent);
  const cancelled = (text: string): CallPlan => ({ type: "finish", call, outcome: "cancelled", text });
  if (call.started !== null) return planRecovery(call, call.started, tool, situation);
  if (run.stopRequested || isCrashLooping(run)) return cancelled(NOT_STARTED.stopped);
  const veto = vetoOf({ point: "beforeTool", subject: call.callId }, state);
  if (veto !== undefined) return { type: "finish", call, outcome: "denied", text: vetoText(call.name, veto) };
  if (run.ending !== null) return cancelled(NOT_STARTED.hook);
  if (isTimeUp(run, agent, now)) return cancelled(NOT_STARTED.timeUp);
  if (isSteered(state)) return cancelled(NOT_STARTED.steered);
  if (tool === undefined) {
    return { type: "finish", call, outcome: "invalid", text: unknownToolText(call.name, agent) };
  }
  if (call.malformed !== undefined) {
    const text = `The arguments of ${call.name} were not valid JSON, so it was not started. Send them again as one JSON object.`;
    return { type: "finish", call, outcome: "invalid", text };
  }
  const parsed = parse(tool, call.input);
  if (!parsed.ok) {
    return { type: "finish", call, outcome: "invalid", text: misfitText(call, parsed.complaint, state) };
  }
  const decision = decide(tool, parsed.input, agent);
  if (decision.type === "deny") return { type: "finish", call, outcome: "denied", text: decision.reason };
  const failed = failedBefore(call, state, agent);
  return failed === undefined
    ? { type: "run", call, tool, input: parsed.input, attempt: 1 }
    : cancelled(failedBeforeText(failed));
}

/** What shows the model its own tools needs no rule: what it finds does. */
function decide({ name, effect }: Tool, input: unknown, { policy }: Agent): Decision {
  return name === FIND_TOOLS ? { type: "allow" } : policy({ name, input, effect });
}

function vetoText(name: string, { hook, reason = "it gave no reason" }: HookDecided): string {
  return `${name} was not started: the hook "${hook}" does not allow it (${reason}). Do not try it again in another way; say what you cannot do.`;
}

/**
 * Whether a call may run beside others of its answer: it changes nothing, or its tool says that what it changes is its own
 * affair. Any other call waits for those before it, and those behind it wait for it. Counts as what it was started as.
 * @pure
 */
export function isIndependent(call: OpenCall, agent: Agent): boolean {
  const tool = toolNamed(resolveCall(call).name, agent);
  return (call.started?.effect ?? tool?.effect) === "readonly" || tool?.parallel === true;
}

/**
 * The call before this one on whose success it may rely, and that had none: one that writes (of an unknown tool nobody can
 * say that it does not), however it came to nothing. Who writes "build, then publish" into one answer must not get the second
 * without the first.
 */
function failedBefore({ callId }: OpenCall, { openCalls }: SessionState, agent: Agent): OpenCall | undefined {
  const index = openCalls.findIndex((call) => call.callId === callId);
  const before = index === -1 ? openCalls : openCalls.slice(0, index);
  return before.find((call) => call.result?.isError === true && !isIndependent(call, agent));
}

function failedBeforeText({ name, callId }: OpenCall): string {
  return (
    `Not started: ${name} (${callId}), which stands before it in the same answer, did not succeed. ` +
    "Look at its result, then send this call again if it is still right."
  );
}

/** The model does not know what a hook has made of its arguments, and must not be blamed for it. */
function misfitText(
  { callId, name, input, amended }: OpenCall,
  complaint: string,
  state: SessionState,
): string {
  if (amended === null) return `The arguments do not fit ${name}, so it was not started:\n${complaint}`;
  const changed = [...state.hooks.values()].findLast(
    ({ point, subject, decision }) => point === "beforeTool" && subject === callId && decision === "change",
  );
  const by = changed === undefined ? "a hook" : `the hook "${changed.hook}"`;
  return (
    `${name} was not started: ${by} has changed your arguments to ${JSON.stringify(input)}, and these do not fit:\n` +
    `${complaint}\nThe mistake is the hook's, not yours. Say so to the user if you cannot go on without this call.`
  );
}

/** Names a few that could be meant instead of all: there may be hundreds. */
function unknownToolText(name: string, agent: Agent): string {
  const names = [...agent.tools.keys()];
  const near = nearest(name, names);
  const hint = near === undefined ? `Tools: ${names.slice(0, 40).join(", ")}.` : `Did you mean "${near}"?`;
  return `There is no tool named "${name}". ${hint}`;
}

/**
 * The table of docs/design.md, *Effects*. What counts is the effect that was written down when the call started: the tool
 * may have been declared otherwise since. The rules that count are those of today: what they deny does not begin again.
 */
function planRecovery(
  call: OpenCall,
  started: NonNullable<OpenCall["started"]>,
  tool: Tool | undefined,
  { run, agent, now }: Situation,
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
  if (isCrashLooping(run)) return unknown("whoever asked what became of it was ended, too");
  const { input } = parsed;
  const decision = decide(tool, input, agent);
  const denied = decision.type === "deny" ? decision.reason : null;
  switch (started.effect) {
    case "readonly":
    case "idempotent":
    case "keyed":
      if (run.stopRequested || isTimeUp(run, agent, now)) {
        const why = run.stopRequested ? "the run was stopped" : "the run has reached its time limit";
        const text = `Ended before its result was known: ${why}.`;
        return { type: "finish", call, outcome: "cancelled", text };
      }
      if (denied === null) return { type: "run", call, tool, input, attempt: started.attempt + 1 };
      return started.effect === "readonly"
        ? { type: "finish", call, outcome: "denied", text: denied }
        : unknown(`it may not be run again: ${denied}`);
    case "reconcile":
      return tool.reconcile === undefined
        ? unknown("the tool cannot be asked what became of it any more")
        : { type: "reconcile", call, tool, input, denied };
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
