import type { Agent } from "../agents/agent.ts";
import type { AddedRule } from "../log/state.ts";
import type { ModelFacts } from "../models/model.ts";
import type { LoopPorts } from "./loop-ports.ts";
import type { Lease } from "./worker/queue.ts";

/** What a decision needs to know besides log and agent. */
export interface Knowledge {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly facts: (modelId: string) => ModelFacts;
  /** The most that a call can cost, in US dollars; null where the price is not known. */
  readonly worstCase: (modelId: string, inputTokens: number, outputTokens: number) => number | null;
  readonly sessionId: string;
  /** Whose session it is, and what all of theirs may cost in one day (UTC), in US dollars; null: no limit. */
  readonly tenant: { readonly name: string; readonly dailyUsd: number | null };
  readonly addedRules: () => readonly AddedRule[];
  /** The last change of the files, a `seq`, about which nothing more is to be done now: see `save-workspace.ts`. */
  readonly filesSeenAt: number;
}

export function knowledgeOf(
  agent: Agent,
  ports: LoopPorts,
  { sessionId, tenant }: Lease,
  files: { readonly seenAt: number } = { seenAt: 0 },
): Knowledge {
  return {
    get filesSeenAt() {
      return files.seenAt;
    },
    get now() {
      return ports.clock.now();
    },
    facts: (modelId) => ports.facts(agent, modelId),
    worstCase: (modelId, input, output) => ports.worstCase(agent, modelId, input, output),
    addedRules: ports.addedRules,
    sessionId,
    tenant: { name: tenant, dailyUsd: ports.tenantDailyUsd },
  };
}
