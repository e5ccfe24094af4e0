import type { Agent } from "../../agents/agent.ts";
import type { Permission } from "../../log/entry.ts";
import { type OpenCall, questionAbout } from "../../log/state.ts";
import type { Decision } from "../../permissions/policy.ts";
import { unknownText } from "../../tools/execute.ts";
import type { Tool } from "../../tools/tool.ts";
import { isTimeUp } from "../time-limit.ts";
import { type CallPlan, isCrashLooping, isEnding, parseInput, refused, type Situation } from "./call-plan.ts";
import { doneText } from "./call-text.ts";
import { holds, permissionOf } from "./permit.ts";
import { decisionAbout, nobodyFor } from "./permit-call.ts";

/**
 * The table of docs/design.md, *Effects*. What counts is the effect that was written down when the call started: the tool
 * may have been declared otherwise since. The rules that count are those of today: what they deny does not begin again.
 */
export function planRecovery(
  call: OpenCall,
  started: NonNullable<OpenCall["started"]>,
  tool: Tool | undefined,
  situation: Situation,
): CallPlan {
  const { run, agent, now } = situation;
  const unknown = (why: string) => unknownOutcome(call, why, started.attempt, tool, situation);
  const parsed = tool && parseInput(tool, call.input);
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
  const parsed = tool && parseInput(tool, call.input);
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
