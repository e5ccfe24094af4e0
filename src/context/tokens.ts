import type { Agent } from "../agents/agent.ts";
import { messagesOfNextRequest } from "../log/fold-messages.ts";
import type { SessionState } from "../log/state.ts";
import { headOfState } from "./epoch.ts";
import { estimateMessage, sum } from "./estimate.ts";

export { estimateBlocks, estimateMessage, estimateText } from "./estimate.ts";

/**
 * Tokens of the next request: what a provider counted last, and an estimate of what has come since. Where none has counted
 * (a server that does not, a session that begins), all of it is estimated. @pure
 */
export function contextTokens(state: SessionState, agent: Agent): number {
  const messages = messagesOfNextRequest(state);
  const { measured } = state;
  if (measured === null) {
    const { systemTokens, toolTokens } = headOfState(state, agent);
    return systemTokens + toolTokens + sum(messages, estimateMessage);
  }
  return measured.tokens + sum(messages.slice(measured.messages), estimateMessage);
}
