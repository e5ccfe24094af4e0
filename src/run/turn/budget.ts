import type { Agent } from "../../agents/agent.ts";
import { contextTokens } from "../../context/tokens.ts";
import { formatDollars } from "../../lib/units.ts";
import type { BudgetRequest, Reservation, ReservedBudget } from "../../log/entry.ts";
import type { RunState, SessionState } from "../../log/state.ts";
import type { Knowledge } from "../knowledge.ts";

/** Whether the next call may be made, as far as its own session can tell. docs/costs.md says it for users. */
export interface BudgetCheck {
  /** What the call may cost; null when no budget is in force, or its price is not known. */
  readonly reservation: Reservation | null;
  /** What a person has to be asked before the call; null when it fits. */
  readonly exceeded: BudgetRequest | null;
  /** A budget is in force that cannot be kept, because nobody knows what the model costs. */
  readonly unpriced: boolean;
}

/** How long a call can become, tokens. */
export interface CallSize {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** A limit in US dollars, and what of it is gone. */
export interface Ceiling extends Pick<BudgetRequest["budget"], "scope" | "key" | "limitUsd" | "spentUsd"> {}

/** How long an answer can become where neither the agent nor the catalogue says it. */
export const ASSUMED_OUTPUT_TOKENS = 8_192;
/** What a provider has not counted yet is estimated; a budget had better be left a little than be exceeded. */
const INPUT_MARGIN = 1.1;
/** An answer may be held shorter to fit into what is left, as long as it can say something; thinking takes room, too. */
const SHORTEST_ANSWER = { plain: 1_024, thinking: 4_096, share: 0.25 };

const UNLIMITED: BudgetCheck = { reservation: null, exceeded: null, unpriced: false };

/**
 * What the next call can cost at most, against the budgets of its run and session. Those that sessions share are only named
 * here, for the store to decide on; `full` are those of them of which it has said how much is left.
 * @pure
 */
export function budgetOf(
  state: SessionState,
  agent: Agent,
  run: RunState,
  known: Knowledge,
  { size, full = [] }: { readonly size?: CallSize; readonly full?: readonly Ceiling[] } = {},
): BudgetCheck {
  const own = [...ownCeilings(state, agent, run, known), ...full];
  const budgets = sharedBudgets(agent, known);
  if (own.length === 0 && budgets.length === 0) return UNLIMITED;

  const call = size ?? nextCall(state, agent, run, known);
  const usd = known.worstCase(run.model, call.inputTokens, call.outputTokens);
  if (usd === null) return { ...UNLIMITED, unpriced: true };

  const [tightest] = own.toSorted((a, b) => leftOf(a) - leftOf(b));
  if (tightest === undefined || usd === 0 || usd <= leftOf(tightest)) {
    return { ...UNLIMITED, reservation: { usd, ...heldToAssumption(usd, call, agent, run, known), budgets } };
  }
  const maxOutputTokens = affordableOutput(leftOf(tightest), { ...call, usd }, agent, run, known);
  if (maxOutputTokens === null) {
    return { ...UNLIMITED, exceeded: askForMore(tightest, usd, known.sessionId) };
  }
  return { ...UNLIMITED, reservation: { usd: leftOf(tightest), maxOutputTokens, budgets } };
}

function leftOf({ limitUsd, spentUsd }: Ceiling): number {
  return limitUsd - spentUsd;
}

/**
 * A call whose cost nobody can tell any more counts at the most that it can have been. What a person raised holds for good, but
 * not against an agent that is given more since.
 */
function ownCeilings(
  state: SessionState,
  { limits }: Agent,
  run: RunState,
  { sessionId }: Knowledge,
): readonly Ceiling[] {
  const ofRun = limits.costUsd === null ? null : Math.max(limits.costUsd, run.raisedUsd ?? 0);
  const ofSession =
    limits.sessionCostUsd === null ? null : Math.max(limits.sessionCostUsd, state.raisedUsd ?? 0);
  return [
    ...(ofRun === null
      ? []
      : [{ scope: "run", key: run.id, limitUsd: ofRun, spentUsd: run.costUsd + run.lostUsd } as const]),
    ...(ofSession === null
      ? []
      : [
          {
            scope: "session",
            key: sessionId,
            limitUsd: ofSession,
            spentUsd: state.costUsd + state.lostUsd,
          } as const,
        ]),
  ];
}

function sharedBudgets({ name, limits }: Agent, { now, tenant }: Knowledge): readonly ReservedBudget[] {
  if (limits.dailyCostUsd === null && tenant.dailyUsd === null) return [];
  const day = dayOf(now);
  return [
    ...(limits.dailyCostUsd === null
      ? []
      : [{ scope: "agent", key: name, day, limitUsd: limits.dailyCostUsd } as const]),
    ...(tenant.dailyUsd === null
      ? []
      : [{ scope: "tenant", key: tenant.name, day, limitUsd: tenant.dailyUsd } as const]),
  ];
}

/** The day (UTC) on which a call counts: "2026-01-31". */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

function nextCall(state: SessionState, agent: Agent, run: RunState, known: Knowledge): CallSize {
  return {
    inputTokens: Math.ceil(contextTokens(state, agent) * INPUT_MARGIN),
    outputTokens: agent.model.maxOutputTokens ?? known.facts(run.model).maxOutput ?? ASSUMED_OUTPUT_TOKENS,
  };
}

/** Where nobody knows how long an answer can become, it must not become longer than was reserved for it. */
function heldToAssumption(
  usd: number,
  { outputTokens }: CallSize,
  { model }: Agent,
  run: RunState,
  known: Knowledge,
): Pick<Reservation, "maxOutputTokens"> {
  const isBounded = (model.maxOutputTokens ?? known.facts(run.model).maxOutput ?? null) !== null;
  return usd === 0 || isBounded ? {} : { maxOutputTokens: outputTokens };
}

/** The longest answer that what is left can pay for; null when that is too short to be of use. */
function affordableOutput(
  leftUsd: number,
  { inputTokens, outputTokens, usd }: CallSize & { readonly usd: number },
  { model }: Agent,
  run: RunState,
  known: Knowledge,
): number | null {
  const inputUsd = known.worstCase(run.model, inputTokens, 0) ?? usd;
  const affordable = Math.floor(((leftUsd - inputUsd) / (usd - inputUsd)) * outputTokens);
  const isThinking = model.reasoning !== undefined && model.reasoning !== "none";
  const shortest = isThinking ? SHORTEST_ANSWER.thinking : SHORTEST_ANSWER.plain;
  return affordable >= Math.min(shortest, outputTokens * SHORTEST_ANSWER.share) ? affordable : null;
}

/** The question to a person: what happened, and what they can do about it. */
export function askForMore(
  { scope, key, limitUsd, spentUsd }: Ceiling,
  usd: number,
  sessionId: string,
): BudgetRequest {
  const whose = {
    run: "the budget of this run",
    session: "the budget of this session",
    agent: `today's budget of the agent ${key}`,
    tenant: `today's budget of the tenant ${key}`,
  }[scope];
  const budget = { scope, key, limitUsd, spentUsd, neededUsd: usd };
  return {
    kind: "budget",
    message: `${formatDollars(spentUsd)} of ${formatDollars(limitUsd)} is spent, ${whose}, and the next call may cost up to ${formatDollars(usd)}. Raise it: holdfast interrupts answer ${sessionId} --raise ${enoughFor(budget)}; or end the run: --end`,
    budget,
  };
}

/** A new limit with which the run gets on for a while. */
export function enoughFor({ limitUsd, spentUsd, neededUsd }: BudgetRequest["budget"]): number {
  return roundUp(Math.max(limitUsd * 2, spentUsd + neededUsd));
}

/** To two digits, so that it can be read: 0.12, 1.3, 47. */
function roundUp(usd: number): number {
  const unit = 10 ** (Math.floor(Math.log10(usd)) - 1);
  return Number((Math.ceil(usd / unit) * unit).toPrecision(2));
}

/** What a person should know before the agent runs: its budgets cannot be kept where a price is not known. @pure */
export function unpricedBudgets(
  agent: Agent,
  worstCase: Knowledge["worstCase"],
  tenantDailyUsd: number | null = null,
): readonly string[] {
  const { costUsd, sessionCostUsd, dailyCostUsd } = agent.limits;
  if ([costUsd, sessionCostUsd, dailyCostUsd, tenantDailyUsd].every((limit) => limit === null)) return [];
  return [agent.model.id, ...agent.model.fallback]
    .filter((id) => worstCase(id, 1_000, 1_000) === null)
    .map((id) => unpricedText(id, agent));
}

export function unpricedText(modelId: string, { model }: Agent): string {
  const where = model.fallback.includes(modelId)
    ? `write { "id": "${modelId}", "prices": { ... } } in model.fallback`
    : modelId === model.id
      ? "set model.prices"
      : "set model.prices of an agent whose model it is";
  return `the price of ${modelId} is not known, so its calls do not count against any budget: ${where} in harness.json`;
}
