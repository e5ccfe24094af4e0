import type { InterruptRequest } from "../../log/entry.ts";
import { ruleLike } from "../../permissions/rule-like.ts";
import { whyNotAlways } from "../../run/session/answer.ts";

/**
 * The allow rules that "always" writes as the answer to this question; empty where it cannot be approved for good. What a tool says of
 * its own risk plays no part in them, so that they are known without the agent.
 */
export function alwaysRules(request: InterruptRequest): readonly string[] {
  if (request.kind !== "approval" || whyNotAlways(request) !== null) return [];
  const { tool, input } = request.call;
  return ruleLike({ name: tool, input, effect: "reconcile" });
}
