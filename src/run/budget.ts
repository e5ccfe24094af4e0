import type { Agent } from "../agents/agent.ts";
import type { InterruptRequest, Reservation } from "../log/entry.ts";
import type { RunState, SessionState } from "../log/state.ts";
import type { Knowledge } from "./knowledge.ts";

export interface BudgetCheck {
  /** What has to be kept free for the next call; null when no shared budget is in force. */
  readonly reservation: Reservation | null;
  /** What a person has to be asked before the next call; null when it fits into the budgets of run and session. */
  readonly exceeded: InterruptRequest | null;
}

/** @pure */
export function budgetOf(
  _state: SessionState,
  _agent: Agent,
  _run: RunState,
  _known: Knowledge,
): BudgetCheck {
  return { reservation: null, exceeded: null };
}
