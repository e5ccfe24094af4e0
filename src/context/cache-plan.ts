import type { Agent } from "../agents/agent.ts";
import { sha256 } from "../lib/ids.ts";
import type { SessionState } from "../log/state.ts";
import type { CacheBreakpoint, CachePlan } from "../models/model.ts";

/**
 * What the provider is asked to cache of a request with `count` messages: tools and system prompt, which outlive compactions;
 * everything, for the next request; and where the requests before it ended. The latter is what this request reads: providers
 * look for what they have only a little way before a breakpoint (Anthropic: 20 blocks), and a turn can be longer than that.
 * @pure
 */
export function planCache(sessionId: string, state: SessionState, agent: Agent, count: number): CachePlan {
  return {
    key: cacheKey(sessionId),
    lifetime: agent.model.cacheLifetime,
    breakpoints: [{ after: "system" }, ...ends(state, count)],
  };
}

/** At most three. The last request is this one itself when it has been recorded already. */
function ends({ sent }: SessionState, count: number): readonly CacheBreakpoint[] {
  const counts = [...new Set([sent?.before ?? 0, sent?.messages ?? 0, count])];
  return counts
    .filter((end) => end > 0 && end <= count)
    .map((end): CacheBreakpoint => ({ after: "message", index: end - 1 }));
}

const LONGEST_KEY = 64;

function cacheKey(sessionId: string): string {
  return sessionId.length <= LONGEST_KEY ? sessionId : sha256(sessionId, 32);
}
