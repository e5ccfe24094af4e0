import type { Agent } from "../agents/agent.ts";
import { messagesOfNextRequest } from "../log/fold.ts";
import type { SessionState } from "../log/state.ts";
import { assemble } from "./assemble.ts";
import { estimateMessage, estimateText, estimateTool, sum } from "./estimate.ts";

export { estimateBlocks, estimateMessage, estimateText } from "./estimate.ts";

/**
 * Tokens of the next request: what a provider counted last, and an estimate of what has come since. Where none has counted
 * (a server that does not, a session that begins), all of it is estimated. @pure
 */
export function contextTokens(state: SessionState, agent: Agent): number {
  const messages = messagesOfNextRequest(state);
  const { measured } = state;
  if (measured === null) return headTokens(state, agent) + sum(messages, estimateMessage);
  return measured.tokens + sum(messages.slice(measured.messages), estimateMessage);
}

function headTokens(state: SessionState, agent: Agent): number {
  const { system, tools } = assemble("", state, agent);
  return estimateText(system) + sum(tools, estimateTool);
}
