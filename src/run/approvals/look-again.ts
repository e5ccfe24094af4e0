import type { Agent } from "../../agents/agent.ts";
import { riskOf } from "../../permissions/risk.ts";
import type { CallPlan } from "../calls/call-plan.ts";
import { bindingOf, policyCall } from "../calls/permit.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import type { SessionWriter } from "../session-writer.ts";
import { askPerson, previewOf } from "./ask-person.ts";

type RunPlan = Extract<CallPlan, { type: "run" }>;

/** Whether a person has approved what they were shown. Arguments that they have written are theirs to answer for. @pure */
export function wasShown({ call: { approval, started } }: RunPlan): boolean {
  return started === null && approval?.answer.action === "approve" && approval.basis !== null;
}

/**
 * What a person has approved was shown to them as it was then: what has changed since they have to see, and what cannot be shown
 * any more may have changed. Then `interrupted` is appended.
 */
export async function askIfChanged(
  { call, tool, input, permission }: RunPlan,
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
): Promise<void> {
  const preview = await previewOf(tool, input, writer, ports, control);
  if (preview?.basis === call.approval?.basis) return;
  const risk = riskOf(policyCall(tool, input));
  const reason = "the approval was for something else";
  const decision = { type: "ask", permission, risk, reason } as const;
  const binding = bindingOf(tool, call.input, agent);
  const plan = { type: "ask", whom: "person", call, tool, input, binding, decision } as const;
  await askPerson(plan, writer, agent, ports, control, true);
}
