import type { Agent } from "../agents/agent.ts";
import type { Message, ToolResultMessage } from "../log/content.ts";
import type { RunState, SessionState } from "../log/state.ts";
import type { ModelFacts } from "../models/model.ts";
import { estimateBlocks, estimateMessage, sum } from "./estimate.ts";
import { recentGroups } from "./groups.ts";
import { contextTokens } from "./tokens.ts";

/** How the transcript is to be made shorter. Indexes are into `state.messages`, which only grows at its end until it is. */
export type CompactionPlan = ClearResults | Summarise | DropOldest;

/** The first tier, without a model: old results are shown as a marker that names the file with the whole of them. */
export interface ClearResults extends Sizes {
  readonly tier: "results";
  readonly callIds: readonly string[];
}

/** The second: the model writes a summary of what is before `messages[keepFrom]`; the rest stays as it is. */
export interface Summarise extends Sizes {
  readonly tier: "summary";
  readonly keepFrom: number;
  /** The request was refused as too long, so that one with a question at its end would be, too. */
  readonly isOverflow: boolean;
}

/** The last: what is before `messages[keepFrom]` is left out. */
export interface DropOldest extends Sizes {
  readonly tier: "emergency";
  readonly keepFrom: number;
}

interface Sizes {
  /** Tokens of the next request as it is. */
  readonly tokensBefore: number;
  /** What the request may have at most, as far as it is known. */
  readonly limit: number;
  /** Tokens that a provider counts for one that we estimate. */
  readonly scale: number;
}

/** Of the window, where the agent does not say: what fits besides an answer and what its calls bring. */
const SOFT_SHARE = 0.8;
const LOWEST_SOFT_SHARE = 0.5;
/** Answers are rarely as long as a model's limit, so that only so much of it is kept free. An agent's own limit is. */
const USUAL_OUTPUT = 20_000;
/** The calls of one answer and their results: one that is as long as a result can be. */
const USUAL_TURN = 16_000;
/** From here on a request leaves no room for an answer. */
const FULL_SHARE = 0.95;

/** A compaction costs the provider's cache, so it has to free so much (of the window, of the threshold). */
const WORTH_OF_WINDOW = 0.2;
const WORTH_OF_THRESHOLD = 0.25;
/** A summary that leaves more than this of the request has not helped. */
export const SHRINK_TO = 0.7;
/** After a failure the next one is not tried before the transcript has grown by this share of the window. */
const REGROWTH = 0.1;

/** The newest results stay as they are: so many tokens of them, or this share of the window. */
const RECENT_RESULTS = { tokens: 20_000, share: 0.1 };
/** Shorter results are hardly longer than the marker. */
const SHORTEST_CLEARED = 150;
const MARKER_TOKENS = 50;
/** Of the newest groups, what stays word for word behind a summary. */
const RECENT_GROUPS = { tokens: 20_000, share: 0.15 };
/** What a summary may take. */
const SUMMARY = { tokens: 3_000, share: 0.08 };
/** What each emergency leaves of the window; there is none after the last. */
const EMERGENCY_SHARES = [0.5, 0.25, 0.1];
/** What it has to free. More than what is left in the place of the messages (`emergencyNote`). */
const WORTH_OF_EMERGENCY = 0.1;

/**
 * The compaction that is due before the next request; null when none is, or when none would help. Called between turns, so
 * that every call has its result. Each tier is made at most once between two answers, the last at most three times, and none
 * is made that would not be worth it: no sequence of failures makes a loop. @pure
 */
export function compactionDue(
  state: SessionState,
  agent: Agent,
  facts: ModelFacts,
  { isOverflow }: { readonly isOverflow: boolean },
): CompactionPlan | null {
  const { run } = state;
  if (run === null || state.openCalls.length > 0) return null;
  const tokensBefore = contextTokens(state, agent);
  const { contextWindow: window } = facts;
  if (isOverflow) {
    // Whatever the catalogue says of the window: this was too long for it.
    const limit = Math.min(window ?? tokensBefore, tokensBefore);
    const sizes = { tokensBefore, limit, scale: scaleOf(state, agent, tokensBefore) };
    return (
      clearResults(state, run, sizes, { isOverflow, threshold: limit }) ??
      summarise(state, run, sizes, isOverflow) ??
      dropOldest(state, run, sizes)
    );
  }
  if (window === null) return null;
  const threshold = softThreshold(window, agent, facts);
  if (tokensBefore < threshold) return null;
  const sizes = { tokensBefore, limit: window, scale: scaleOf(state, agent, tokensBefore) };
  const failedAt = state.compactionFailedAt;
  if (failedAt !== null && tokensBefore < failedAt + REGROWTH * window) {
    return tokensBefore >= FULL_SHARE * window ? dropOldest(state, run, sizes) : null;
  }
  return (
    clearResults(state, run, sizes, { isOverflow, threshold }) ?? summarise(state, run, sizes, isOverflow)
  );
}

/** Tokens of a request at which the transcript is compacted before anybody complains. @pure */
export function softThreshold(window: number, agent: Agent, { maxOutput }: ModelFacts): number {
  const { compactAt } = agent.context;
  if (compactAt !== null) return compactAt * window;
  const output = agent.model.maxOutputTokens ?? Math.min(maxOutput ?? USUAL_OUTPUT, USUAL_OUTPUT);
  const fitting = window - output - USUAL_TURN;
  return Math.max(LOWEST_SOFT_SHARE * window, Math.min(SOFT_SHARE * window, fitting));
}

/** Estimates are for proportions: this is how far they are off what providers have counted of this transcript. */
function scaleOf(state: SessionState, agent: Agent, tokens: number): number {
  return tokens / Math.max(1, contextTokens({ ...state, measured: null }, agent));
}

// ---- old results ----

function clearResults(
  { messages }: SessionState,
  run: RunState,
  sizes: Sizes,
  { isOverflow, threshold }: { readonly isOverflow: boolean; readonly threshold: number },
): ClearResults | null {
  if (run.compactions.includes("results")) return null;
  const clearable = oldResults(messages, sizes, isOverflow);
  const freed = sizes.scale * sum(clearable, (result) => tokensOf(result) - MARKER_TOKENS);
  const worth = Math.min(WORTH_OF_WINDOW * sizes.limit, WORTH_OF_THRESHOLD * threshold);
  // Where it would not be enough, the summary would follow at once, and the cache would be lost twice.
  if (freed < worth || sizes.tokensBefore - freed >= threshold) return null;
  return { tier: "results", callIds: clearable.map(({ callId }) => callId), ...sizes };
}

/**
 * The results that are worth clearing, without the newest ones. What the model has not seen yet is one of them, except when
 * it is what made the request too long.
 */
function oldResults(
  messages: readonly Message[],
  { limit, scale }: Sizes,
  isOverflow: boolean,
): readonly ToolResultMessage[] {
  let recent = Math.min(RECENT_RESULTS.tokens, RECENT_RESULTS.share * limit) / scale;
  const clearable: ToolResultMessage[] = [];
  const last = messages.findLast(({ role }) => role !== "user");
  for (const message of messages.toReversed()) {
    if (message.role !== "tool") continue;
    const isUnseen = message === last;
    for (const result of message.results.toReversed()) {
      const tokens = tokensOf(result);
      recent -= tokens;
      if (recent >= 0 || (isUnseen && !isOverflow) || tokens < SHORTEST_CLEARED) continue;
      clearable.push(result);
    }
  }
  return clearable.reverse();
}

function tokensOf({ blocks }: ToolResultMessage): number {
  return estimateBlocks(blocks);
}

// ---- whole groups ----

function summarise(
  { messages }: SessionState,
  run: RunState,
  sizes: Sizes,
  isOverflow: boolean,
): Summarise | null {
  if (run.compactions.includes("summary")) return null;
  const { tokensBefore, limit, scale } = sizes;
  const keepFrom = recentGroups(messages, bounded(RECENT_GROUPS, limit) / scale, { last: !isOverflow });
  const removed = scale * sum(messages.slice(0, keepFrom), estimateMessage);
  const expected = tokensBefore - removed + bounded(SUMMARY, limit);
  if (expected >= SHRINK_TO * tokensBefore) return null;
  return { tier: "summary", keepFrom, isOverflow, ...sizes };
}

/** As we estimate tokens. @pure */
export function roomForSummary({ limit, scale }: Summarise): number {
  return bounded(SUMMARY, limit) / scale;
}

function dropOldest({ messages }: SessionState, run: RunState, sizes: Sizes): DropOldest | null {
  const tried = run.compactions.filter((tier) => tier === "emergency").length;
  const { tokensBefore, limit, scale } = sizes;
  const head = tokensBefore - scale * sum(messages, estimateMessage);
  for (const [nth, share] of EMERGENCY_SHARES.entries()) {
    if (nth < tried) continue;
    const keepFrom = recentGroups(messages, (share * limit - head) / scale, { last: nth === 0 });
    const removed = scale * sum(messages.slice(0, keepFrom), estimateMessage);
    if (removed >= WORTH_OF_EMERGENCY * limit) return { tier: "emergency", keepFrom, ...sizes };
  }
  return null;
}

function bounded({ tokens, share }: { readonly tokens: number; readonly share: number }, limit: number) {
  return Math.min(tokens, share * limit);
}
