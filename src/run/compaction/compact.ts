import type { Agent } from "../../agents/agent.ts";
import { type CompactionPlan, type DropOldest, SHRINK_TO, type Summarise } from "../../context/compaction.ts";
import { estimateMessage, sum } from "../../context/estimate.ts";
import { omissionMessage } from "../../context/summary.ts";
import { contextTokens } from "../../context/tokens.ts";
import { type Message, noUsage } from "../../log/content.ts";
import type { NewEntry } from "../../log/entry.ts";
import { carriedState, type SessionState } from "../../log/state.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";
import { clearResults } from "./clear-results.ts";
import { type Summary, summarise } from "./summarise.ts";

/**
 * Makes the transcript shorter. Appends `resultsCleared`, `compacted` or `compactionFailed`; when it was stopped or
 * abandoned, nothing of these.
 */
export async function compact(
  plan: CompactionPlan,
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
): Promise<void> {
  switch (plan.tier) {
    case "results":
      await clearResults(plan, writer, ports, control);
      return;
    case "summary": {
      const summary = await summarise(plan, writer, agent, ports, control);
      if (summary !== null) writer.append(afterSummary(plan, summary, writer, agent));
      return;
    }
    case "emergency":
      writer.append(afterOmission(plan, writer, agent));
      return;
  }
}

function afterSummary(plan: Summarise, summary: Summary, writer: SessionWriter, agent: Agent): NewEntry {
  const { usage, costUsd } = summary;
  const failed = (reason: string) => failure(plan, reason, writer, { usage, costUsd });
  if (!summary.ok) return failed(summary.reason);
  const entry = replaced(plan, summary.message, writer, { agent, usage, costUsd });
  return entry.tokensAfter < SHRINK_TO * plan.tokensBefore
    ? entry
    : failed(`the summary and what is put back are not much shorter: ${entry.tokensAfter} tokens`);
}

/** Of the limit: what may be quoted of the messages that are left out. */
const QUOTED = { tokens: 2_000, share: 0.05 };

function afterOmission(plan: DropOldest, writer: SessionWriter, agent: Agent): NewEntry {
  const omitted = writer.state.messages.slice(0, plan.keepFrom);
  const room = Math.min(QUOTED.tokens, QUOTED.share * plan.limit) / plan.scale;
  const entry = replaced(plan, omissionMessage(omitted, room), writer, { agent, usage: noUsage, costUsd: 0 });
  return entry.tokensAfter < plan.tokensBefore
    ? entry
    : failure(plan, "leaving out the oldest messages frees nothing", writer, { usage: noUsage, costUsd: 0 });
}

/** One message in the place of the oldest; what has arrived while it was made stands behind the rest. */
function replaced(
  plan: Summarise | DropOldest,
  head: Message,
  writer: SessionWriter,
  {
    agent,
    usage,
    costUsd,
  }: { readonly agent: Agent } & Pick<Extract<NewEntry, { type: "compacted" }>, "usage" | "costUsd">,
) {
  const { state } = writer;
  return {
    type: "compacted",
    runId: currentRun(writer).id,
    tier: plan.tier,
    messages: [head, ...state.messages.slice(plan.keepFrom)],
    carried: carriedState(state),
    tokensBefore: Math.round(plan.tokensBefore),
    tokensAfter: tokensAfter(plan, head, state, agent),
    usage,
    costUsd,
  } as const satisfies NewEntry;
}

/** Of the transcript alone: what still waits to join it is counted when it does. */
function tokensAfter(
  { keepFrom, scale }: Summarise | DropOldest,
  head: Message,
  state: SessionState,
  agent: Agent,
) {
  const now = contextTokens({ ...state, deferred: [] }, agent);
  const freed = sum(state.messages.slice(0, keepFrom), estimateMessage) - estimateMessage(head);
  return Math.max(0, Math.round(now - scale * freed));
}

function failure(
  { tier, tokensBefore }: CompactionPlan,
  reason: string,
  writer: SessionWriter,
  cost: Pick<Extract<NewEntry, { type: "compactionFailed" }>, "usage" | "costUsd">,
): NewEntry {
  const { id: runId } = currentRun(writer);
  return { type: "compactionFailed", runId, tier, reason, tokens: Math.round(tokensBefore), ...cost };
}
