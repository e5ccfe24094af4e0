import { unreachable } from "../../lib/errors.ts";
import type { Permission } from "../../log/entry.ts";
import { type OpenCall, questionAbout, UNNAMED } from "../../log/state.ts";
import type { Decision } from "../../permissions/policy.ts";
import type { Tool } from "../../tools/tool.ts";
import { canBeAnswered, termsOf } from "../approvals/terms.ts";
import { askOf } from "../hooks.ts";
import { type CallPlan, refused, type Situation } from "./call-plan.ts";
import { classifierText, expiredText, nobodyText, rejectedText, respondedText } from "./call-text.ts";
import { bindingOf, decide, holds, permissionOf, situationOf } from "./permit.ts";

/** Whether a call that could start may: what the layers above the arguments say, the strictest first. */
export function permitCall(call: OpenCall, tool: Tool, input: unknown, situation: Situation): CallPlan {
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
export function nobodyFor(call: OpenCall, { run, agent, now }: Situation): CallPlan | null {
  if (canBeAnswered(termsOf(agent, run, call, now))) return null;
  const requesters = run.actors.filter((actor) => actor !== UNNAMED);
  const text = nobodyText(call.name, agent.approvals.approvers, requesters);
  return refused(call, text, { layer: "person", by: "nobody may answer" });
}

/** Mode and rules first: what they deny is not asked about. A hook that wants a person to decide can only make it stricter. */
export function decisionAbout(call: OpenCall, tool: Tool, input: unknown, situation: Situation): Decision {
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
