import type { Agent } from "../../agents/agent.ts";
import { newId } from "../../lib/ids.ts";
import type { BudgetRequest } from "../../log/entry.ts";
import type { LoopPorts } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";

/** Asks what the run as a whole waits for, which somebody has to answer and nobody has to approve of: appends `interrupted`. */
export function askAboutRun(
  question: BudgetRequest,
  writer: SessionWriter,
  { approvals }: Agent,
  { clock }: Pick<LoopPorts, "clock">,
): void {
  const { id: runId } = currentRun(writer);
  const now = clock.now();
  const remindAt = approvals.remindAfterMs.map((ms) => now + ms);
  const request = {
    ...question,
    ...(remindAt.length === 0 ? {} : { remindAt }),
    abandonAt: now + approvals.abandonAfterMs,
  };
  writer.append({ type: "interrupted", runId, interruptId: newId("int"), request });
}
