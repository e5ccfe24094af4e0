import type { Agent } from "../../agents/agent.ts";
import type { OpenCall } from "../../log/state.ts";
import { type CallPlan, isIndependent } from "./call-plan.ts";

/**
 * The first of the calls, in their order, that something can be done about now; null when there is none. Calls that are
 * independent of others run side by side. Any other call waits for all before it, and all behind it wait for it.
 *
 * A call that waits for a person holds up those behind it in the same way, with one exception: what has to be asked about them is
 * asked at once, so that a person can answer everything in one go. A classifier is asked when nothing else is under way: a session
 * has one request to a model at a time.
 * @param underWay whether each call that is being performed is independent, by callId.
 * @pure
 */
export function nextCall(
  calls: readonly OpenCall[],
  underWay: ReadonlyMap<string, boolean>,
  plan: (call: OpenCall) => CallPlan,
  agent: Agent,
): Exclude<CallPlan, { type: "wait" }> | null {
  let isBusy = false;
  let isBehindQuestion = false;
  for (const call of calls) {
    if (call.result !== null) continue;
    const known = underWay.get(call.callId);
    const mayShare = known ?? isIndependent(call, agent);
    if (known === undefined && (mayShare || !isBusy)) {
      const planned = plan(call);
      if (isForClassifier(planned) && underWay.size > 0) isBusy ||= !mayShare;
      else if (planned.type === "wait") isBehindQuestion ||= !mayShare;
      else if (mayShare || !isBehindQuestion || planned.type === "ask") return planned;
      continue;
    }
    if (!mayShare) return null;
    isBusy = true;
  }
  return null;
}

export function isForClassifier(plan: CallPlan): boolean {
  return plan.type === "ask" && plan.whom === "classifier";
}
