import type { Agent } from "../agents/agent.ts";
import type { CompactionPlan } from "../context/compaction.ts";
import { noUsage } from "../log/content.ts";
import type { LoopControl, LoopPorts } from "./loop-ports.ts";
import { currentRun, type SessionWriter } from "./session-writer.ts";

/** Makes the transcript shorter. Appends `resultsCleared`, `compacted` or `compactionFailed`. */
export async function compact(
  plan: CompactionPlan,
  writer: SessionWriter,
  _agent: Agent,
  _ports: LoopPorts,
  _control: LoopControl,
): Promise<void> {
  const { id: runId } = currentRun(writer);
  writer.append({
    type: "compactionFailed",
    runId,
    tier: plan.tier,
    reason: "",
    tokens: 0,
    usage: noUsage,
    costUsd: 0,
  });
}
