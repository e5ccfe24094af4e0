import type { Agent } from "../agents/agent.ts";
import type { CompactionTier, SessionState } from "../log/state.ts";
import type { ModelFacts } from "../models/model.ts";

/** How the transcript is to be made shorter. */
export interface CompactionPlan {
  readonly tier: CompactionTier;
}

/** The compaction that is due before the next request; null when none is, or when none would help. @pure */
export function compactionDue(
  _state: SessionState,
  _agent: Agent,
  _facts: ModelFacts,
  _options: { readonly isOverflow: boolean },
): CompactionPlan | null {
  return null;
}
