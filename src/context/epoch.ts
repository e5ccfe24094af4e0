import type { Agent } from "../agents/agent.ts";
import type { PrefixBreak } from "../log/entry.ts";
import type { SessionState } from "../log/state.ts";

/** Why what stands before the messages has to be recorded anew before the next request; null when it has not. @pure */
export function contextDue(_state: SessionState, _agent: Agent): PrefixBreak | null {
  return null;
}
