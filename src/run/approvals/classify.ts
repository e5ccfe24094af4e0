import type { Agent } from "../../agents/agent.ts";
import { noUsage } from "../../log/content.ts";
import type { CallPlan } from "../calls/plan-call.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";

/** Asks a model whether a call that rules leave open may start. Appends `callClassified`; unsure means that a person is asked. */
export async function classify(
  { call, binding }: Extract<CallPlan, { type: "ask" }>,
  writer: SessionWriter,
  _agent: Agent,
  _ports: LoopPorts,
  _control: LoopControl,
): Promise<void> {
  writer.append({
    type: "callClassified",
    runId: currentRun(writer).id,
    callId: call.callId,
    binding,
    decision: "ask",
    reason: "no classifier answers",
    model: null,
    usage: noUsage,
    costUsd: 0,
    durationMs: 0,
  });
}
