import type { Agent } from "../../agents/agent.ts";
import { resolveCall, toolNamed } from "../../context/find-tools.ts";
import { errorMessage, unreachable } from "../../lib/errors.ts";
import { nearest } from "../../lib/json.ts";
import type { HookDecided, Permission, PermissionLayer } from "../../log/entry.ts";
import {
  type AddedRule,
  isSteered,
  type OpenCall,
  questionAbout,
  type RunState,
  type SessionState,
  UNNAMED,
} from "../../log/state.ts";
import type { Decision } from "../../permissions/policy.ts";
import { unknownText } from "../../tools/execute.ts";
import type { ParsedInput, Tool } from "../../tools/tool.ts";
import { canBeAnswered, termsOf } from "../approvals/terms.ts";
import { askOf, vetoOf } from "../hooks.ts";
import { isTimeUp } from "../time-limit.ts";
import { doneText, expiredText, rejectedText, respondedText } from "./answer-text.ts";
import { bindingOf, decide, holds, permissionOf, situationOf } from "./permit.ts";

/** What is to be done about one call that has no result. */
export type CallPlan =
  /** Start it: for the first time (`attempt` 1), or again because that is harmless for its effect. */
  | {
      readonly type: "run";
      readonly call: OpenCall;
      readonly tool: Tool;
      readonly input: unknown;
      readonly attempt: number;
      readonly permission: Permission;
    }
  /** It had started when its node died: ask the tool what became of it. */
  | {
      readonly type: "reconcile";
      readonly call: OpenCall;
      readonly tool: Tool;
      readonly input: unknown;
      /** Why it may not begin, should it turn out that it has not; null where it may. */
      readonly denied: string | null;
      readonly permission: Permission;
    }
  /** A classifier, then perhaps a person, decides whether it may start. */
  | {
      readonly type: "ask";
      readonly whom: "classifier" | "person";
      readonly call: OpenCall;
      readonly tool: Tool;
      readonly input: unknown;
      readonly binding: string;
      readonly decision: Decision;
    }
  /** A person decides what became, or is to become, of a call of which nobody knows it. */
  | {
      readonly type: "askOutcome";
      readonly call: OpenCall;
      readonly why: string;
    }
  /** It waits for a person's answer. */
  | { readonly type: "wait"; readonly call: OpenCall }
  /** It gets its result without being started. */
  | {
      readonly type: "finish";
      readonly call: OpenCall;
      readonly outcome: "invalid" | "denied" | "expired" | "answered" | "cancelled" | "unknown";
      readonly text: string;
      /** Which layer refused it, or answered in its place. */
      readonly permission?: Permission;
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
  /** Rules for all sessions of the agent that people have made while they answered. */
  readonly added: readonly AddedRule[];
}

/** What the model is told of a call that came to nothing because of what happened meanwhile. */
export const NOT_STARTED = {
  stopped: "Not started: the run was stopped.",
  timeUp: "Not started: the run has reached its time limit.",
  hook: "Not started: a hook has ended the run.",
  abandoned:
    "Not started: nobody has answered for so long that the run was given up. That is not a refusal: nobody has decided anything.",
  steered: "Not started: the user has sent a message meanwhile. Read it before you go on.",
} as const;

/**
 * Asked right before a call would start, since much can happen while it waits for the calls before it. The layers, none of which
 * trusts another: validation, mode and rules, hooks, a classifier in mode `auto`, a person. docs/permissions.md
 * @pure
 */
export function planCall(called: OpenCall, situation: Situation): CallPlan {
  const { state, run, agent, now } = situation;
  const { name, input } = resolveCall(called);
  const call = { ...called, name, input: called.amended === null ? input : called.amended.input };
  const tool = toolNamed(call.name, agent);
  const cancelled = (text: string): CallPlan => ({ type: "finish", call, outcome: "cancelled", text });
  if (call.suspended && questionAbout(call.callId, run) !== undefined && !isEnding(run)) {
    return { type: "wait", call };
  }
  // What has done nothing but ask is decided about as if it had never started.
  if (call.started !== null && !call.suspended) return planRecovery(call, call.started, tool, situation);
  if (run.stopRequested || isCrashLooping(run)) return cancelled(NOT_STARTED.stopped);
  const veto = vetoOf({ point: "beforeTool", subject: call.callId }, state);
  if (veto !== undefined) return refused(call, vetoText(call.name, veto), { layer: "hook", by: veto.hook });
  if (run.ending === "abandoned") {
    return { type: "finish", call, outcome: "expired", text: NOT_STARTED.abandoned };
  }
  if (run.ending !== null) return cancelled(NOT_STARTED.hook);
  if (isTimeUp(run, agent, now)) return cancelled(NOT_STARTED.timeUp);
  // What a person has been asked about is not skipped because another one has said something meanwhile.
  const isAsked = call.suspended || call.approval !== null || questionAbout(call.callId, run) !== undefined;
  if (isSteered(state) && !isAsked) return cancelled(NOT_STARTED.steered);
  if (tool === undefined) return invalid(call, unknownToolText(call.name, agent));
  if (call.malformed !== undefined) {
    return invalid(
      call,
      `The arguments of ${call.name} were not valid JSON, so it was not started. Send them again as one JSON object.`,
    );
  }
  const parsed = parse(tool, call.input);
  if (!parsed.ok) return invalid(call, misfitText(call, parsed.complaint, state));
  const failed = failedBefore(call, situation, isAsked);
  if (failed !== undefined) return cancelled(failedBeforeText(failed));
  return permit(call, tool, parsed.input, situation);
}

/** Whether a call that could start may: what the layers above the arguments say, the strictest first. */
function permit(call: OpenCall, tool: Tool, input: unknown, situation: Situation): CallPlan {
  const { run, agent } = situation;
  const answered = answeredInstead(call);
  if (answered !== null) return answered;
  const decision = decisionAbout(call, tool, input, situation);
  const start = (permission: Permission): CallPlan => ({
    type: "run",
    call,
    tool,
    input,
    attempt: (call.started?.attempt ?? 0) + 1,
    permission,
  });
  switch (decision.type) {
    case "deny":
      return refused(call, decision.reason, decision.permission);
    case "allow":
      return start(decision.permission);
    case "classify":
    case "ask": {
      const { approval, classified } = call;
      if (approval !== null && holds(approval, call, tool, agent)) return start(permissionOf(approval));
      if (questionAbout(call.callId, run) !== undefined) return { type: "wait", call };
      const binding = bindingOf(tool, call.input, agent);
      const ask = { type: "ask", call, tool, input, binding, decision } as const;
      const askPerson = (why: Decision): CallPlan =>
        nobodyFor(call, situation) ?? { ...ask, whom: "person", decision: why };
      if (decision.type === "ask") return askPerson(decision);
      if (classified?.binding !== binding) return { ...ask, whom: "classifier" };
      const by = { layer: "classifier", by: classified.reason } as const;
      if (classified.decision === "allow") return start(by);
      if (classified.decision === "deny")
        return refused(call, classifierText(call.name, classified.reason), by);
      return askPerson({ ...decision, permission: by, reason: classified.reason });
    }
    default:
      return unreachable(decision.type);
  }
}

/** A question that nobody could answer is not asked. */
function nobodyFor(call: OpenCall, { run, agent, now }: Situation): CallPlan | null {
  if (canBeAnswered(termsOf(agent, run, call, now))) return null;
  const text =
    `${call.name} was not started: a person has to allow it. Those who may are ${agent.approvals.approvers.join(", ")}, ` +
    `and too few of them have not asked for it themselves (${run.actors.filter((actor) => actor !== UNNAMED).join(", ")}). Say what you cannot do.`;
  return refused(call, text, { layer: "person", by: "nobody may answer" });
}

/** Mode and rules first: what they deny is not asked about. A hook that wants a person to decide can only make it stricter. */
function decisionAbout(call: OpenCall, tool: Tool, input: unknown, situation: Situation): Decision {
  const { state, run, agent, added } = situation;
  const policySituation = situationOf(state, run, agent, added);
  const decision = decide(tool, input, agent, policySituation);
  const hook = askOf(call.callId, state);
  if (hook === undefined || decision.type === "deny") return decision;
  const permission = { layer: "hook", by: hook.hook } as const;
  const reason = hook.reason ?? `the hook "${hook.hook}" wants a person to decide`;
  return policySituation.mode === "dontAsk"
    ? {
        ...decision,
        type: "deny",
        permission,
        reason: `${call.name} was not started: ${reason}, and nobody is asked in this session. Say what you cannot do.`,
      }
    : { ...decision, type: "ask", permission, reason };
}

/** A person's answer, or the time for one, that makes an end of the call. */
function answeredInstead(call: OpenCall): CallPlan | null {
  const { approval } = call;
  if (approval === null) return null;
  const { answer, actor } = approval;
  const permission = permissionOf(approval);
  switch (answer.action) {
    case "reject":
      return refused(call, rejectedText(call.name, actor, answer.feedback), permission);
    case "respond":
      return {
        type: "finish",
        call,
        outcome: "answered",
        text: respondedText(actor, answer.value),
        permission,
      };
    case "expired":
      if (answer.onExpire === "approve") return null;
      return { type: "finish", call, outcome: "expired", text: expiredText(call.name), permission: EXPIRED };
    default:
      return null;
  }
}

const EXPIRED: Permission = { layer: "person", by: "nobody in time" };

function refused(call: OpenCall, text: string, permission: Permission): CallPlan {
  return { type: "finish", call, outcome: "denied", text, permission };
}

function invalid(call: OpenCall, text: string): CallPlan {
  return { type: "finish", call, outcome: "invalid", text, permission: VALIDATION };
}

const VALIDATION: Permission = { layer: "validation" satisfies PermissionLayer, by: "tool and arguments" };

function isEnding({ stopRequested, ending }: RunState): boolean {
  return stopRequested || ending !== null;
}

function vetoText(name: string, { hook, reason = "it gave no reason" }: HookDecided): string {
  return `${name} was not started: the hook "${hook}" does not allow it (${reason}). Do not try it again in another way; say what you cannot do.`;
}

function classifierText(name: string, reason: string): string {
  return `${name} was not started: a check of what it would do does not allow it (${reason}). Do not try it again in another way; say what you cannot do, or ask the user.`;
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
function failedBefore(
  { callId }: OpenCall,
  { state: { openCalls }, agent }: Situation,
  isAsked: boolean,
): OpenCall | undefined {
  const index = openCalls.findIndex((call) => call.callId === callId);
  const before = index === -1 ? openCalls : openCalls.slice(0, index);
  return before.find(
    (call) =>
      call.result?.isError === true &&
      !isIndependent(call, agent) &&
      // Whoever has been asked about both has decided about this one, too.
      !(isAsked && call.approval !== null && call.started === null),
  );
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
  if (changed === undefined) {
    return `${name} was not started: a person has changed your arguments to ${JSON.stringify(input)}, and these do not fit any more:\n${complaint}`;
  }
  const by = `the hook "${changed.hook}"`;
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
  situation: Situation,
): CallPlan {
  const { run, agent, now } = situation;
  const unknown = (why: string) => unknownOutcome(call, why, started.attempt, tool, situation);
  const parsed = tool && parse(tool, call.input);
  if (tool === undefined || parsed === undefined || !parsed.ok) {
    return unknown("the tool is not available in the same form any more");
  }
  if (isCrashLooping(run)) return unknown("whoever asked what became of it was ended, too");
  const { input } = parsed;
  const decision = decisionAbout(call, tool, input, situation);
  const denied = decision.type === "deny" ? decision.reason : null;
  const permission = permissionAgain(call, tool, decision, agent);
  const again = { type: "run", call, tool, input, attempt: started.attempt + 1, permission } as const;
  switch (started.effect) {
    case "readonly":
    case "idempotent":
    case "keyed":
      if (run.stopRequested || isTimeUp(run, agent, now)) {
        const why = run.stopRequested ? "the run was stopped" : "the run has reached its time limit";
        const text = `Ended before its result was known: ${why}.`;
        return { type: "finish", call, outcome: "cancelled", text };
      }
      if (denied === null) return again;
      return started.effect === "readonly"
        ? refused(call, denied, permission)
        : unknown(`it may not be run again: ${denied}`);
    case "reconcile":
      return tool.reconcile === undefined
        ? unknown("the tool cannot be asked what became of it any more")
        : { type: "reconcile", call, tool, input, denied, permission };
    case "once":
      return unknown("it must not be repeated without knowing");
  }
}

/** What had let it start lets it start again, as far as it still counts. */
function permissionAgain(call: OpenCall, tool: Tool, decision: Decision, agent: Agent): Permission {
  const { approval, classified } = call;
  if (decision.type === "allow" || decision.type === "deny") return decision.permission;
  if (approval !== null && holds(approval, call, tool, agent)) return permissionOf(approval);
  return classified?.decision === "allow"
    ? { layer: "classifier", by: classified.reason }
    : decision.permission;
}

/** Nobody can tell what became of a call. The model is told so, or a person first, where the agent says so. */
function unknownOutcome(
  call: OpenCall,
  why: string,
  attempt: number,
  tool: Tool | undefined,
  situation: Situation,
): CallPlan {
  const { run, agent } = situation;
  const text = unknownText(call.name, why);
  const unknown: CallPlan = { type: "finish", call, outcome: "unknown", text };
  if (agent.approvals.unknownOutcome === "tell" || isEnding(run) || isCrashLooping(run)) return unknown;
  const { approval } = call;
  if (approval === null || approval.binding !== null) {
    if (questionAbout(call.callId, run) !== undefined) return { type: "wait", call };
    return nobodyFor(call, situation) === null ? { type: "askOutcome", call, why } : unknown;
  }
  const permission = permissionOf(approval);
  const parsed = tool && parse(tool, call.input);
  switch (approval.answer.action) {
    case "done":
      return { type: "finish", call, outcome: "answered", text: doneText(call.name, approval), permission };
    case "retry": {
      if (tool === undefined || parsed === undefined || !parsed.ok) return unknown;
      const { input } = parsed;
      const decision = decisionAbout(call, tool, input, situation);
      if (decision.type !== "deny")
        return { type: "run", call, tool, input, attempt: attempt + 1, permission };
      const but = `a person wants it tried again, which is not allowed: ${decision.reason}`;
      return { ...unknown, text: unknownText(call.name, but), permission: decision.permission };
    }
    default:
      return unknown;
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
