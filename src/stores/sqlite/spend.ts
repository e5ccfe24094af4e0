import { noUsage, type Usage } from "../../log/content.ts";
import type { Entry, ModelCalled, Reservation, ReservedBudget } from "../../log/entry.ts";
import { dayOf } from "../../run/turn/budget.ts";
import { budgetExceeded } from "../../run/turn/shared-budget.ts";
import { loadBody } from "./bodies.ts";
import { Undo } from "./commits.ts";
import type { Database } from "./database.ts";

/** Whose account a call goes on. */
export interface Account {
  readonly session: number;
  readonly agent: string;
  readonly tenant: string;
  readonly actor: string | null;
}

/**
 * Reserves for calls and settles those that have ended. Inside the transaction that appends the entries, after they are in.
 * @throws Undo with `budget_exceeded`
 */
export function accountFor(database: Database, account: Account, entries: readonly Entry[]): void {
  let { actor } = account;
  for (const entry of entries) {
    switch (entry.type) {
      case "userMessage":
        actor = entry.actor ?? null;
        break;
      case "modelCalled":
        release(database, account.session);
        if (entry.reservation !== undefined) reserve(database, account.session, entry.reservation);
        break;
      case "modelFailed":
        if (entry.lostCall) settleLost(database, { ...account, actor }, entry);
        else release(database, account.session);
        break;
      case "assistantMessage":
        settle(database, { ...account, actor }, entry);
        break;
      case "compacted":
      case "compactionFailed":
      case "callClassified":
        // Without a call there was nothing to pay.
        if (entry.costUsd !== 0 || hasTokens(entry.usage)) settle(database, { ...account, actor }, entry);
        break;
      case "runResumed":
      case "runFinished":
        if (entry.lostCall) settleLost(database, { ...account, actor }, entry);
        break;
      case "runFailed":
        release(database, account.session);
        break;
    }
  }
  if (actor !== account.actor) {
    database.run("UPDATE session SET actor = ? WHERE key = ?", actor, account.session);
  }
}

function hasTokens({ input, cacheRead, cacheWrite, output }: Usage): boolean {
  return input + cacheRead + cacheWrite + output > 0;
}

/** @throws Undo with `budget_exceeded` */
function reserve(database: Database, session: number, { usd, budgets }: Reservation): void {
  for (const budget of budgets) {
    const shortage = { ...budget, ...standOf(database, budget), neededUsd: usd };
    // What costs nothing fits, also where more is spent than there was.
    if (usd > 0 && shortage.settledUsd + shortage.reservedUsd + usd > shortage.limitUsd + ROUNDING) {
      throw new Undo(budgetExceeded(shortage));
    }
    database.run(
      "INSERT INTO reservation (session, scope, name, day, usd) VALUES (?, ?, ?, ?, ?)",
      session,
      budget.scope,
      budget.key,
      budget.day,
      usd,
    );
  }
}

/** Sums of fractions of a cent are not exact. */
const ROUNDING = 1e-9;

/** By scope: what its calls of a day have cost. One that nobody can tell counts at the most that was reserved for it. */
const SETTLED = {
  agent: "SELECT coalesce(sum(cost_usd + lost_usd), 0) AS usd FROM spend WHERE agent = ?1 AND day = ?2",
  tenant: "SELECT coalesce(sum(cost_usd + lost_usd), 0) AS usd FROM spend WHERE tenant = ?1 AND day = ?2",
};

function standOf(database: Database, { scope, key, day, limitUsd }: ReservedBudget) {
  const settled = database.get<{ usd: number }>(SETTLED[scope], key, day);
  const reserved = database.get<{ usd: number }>(
    "SELECT coalesce(sum(usd), 0) AS usd FROM reservation WHERE scope = ? AND name = ? AND day = ?",
    scope,
    key,
    day,
  );
  const raised = database.get<{ limit_usd: number }>(
    "SELECT limit_usd FROM raised_budget WHERE scope = ? AND name = ? AND day = ?",
    scope,
    key,
    day,
  );
  return {
    limitUsd: Math.max(limitUsd, raised?.limit_usd ?? 0),
    settledUsd: settled?.usd ?? 0,
    reservedUsd: reserved?.usd ?? 0,
  };
}

function release(database: Database, session: number): void {
  database.run("DELETE FROM reservation WHERE session = ?", session);
}

type Answer = Extract<
  Entry,
  { readonly type: "assistantMessage" | "compacted" | "compactionFailed" | "callClassified" }
>;

function settle(database: Database, account: Account, entry: Answer): void {
  const { usage, costUsd } = entry;
  if (costUsd !== null && entry.type === "assistantMessage") {
    const day = reservedDay(database, account.session) ?? dayOf(entry.at - entry.timing.totalMs);
    charge(database, account, { day, model: entry.model, usage, costUsd, isLost: false, lostUsd: 0 });
  } else {
    const call = lastCall(database, account.session, entry);
    const isLost = entry.type === "assistantMessage" && entry.brokeOff === true;
    const lostUsd = costUsd === null ? call.reservedUsd : 0;
    charge(database, account, { ...call, usage, costUsd, isLost, lostUsd });
  }
  release(database, account.session);
}

function settleLost(database: Database, account: Account, entry: Entry): void {
  const { reservedUsd, ...call } = lastCall(database, account.session, entry);
  charge(database, account, { ...call, usage: noUsage, costUsd: null, isLost: true, lostUsd: reservedUsd });
  release(database, account.session);
}

/** A call counts for the day on which it was made, also when its answer comes after midnight. */
function reservedDay(database: Database, session: number): string | undefined {
  return database.get<{ day: string }>("SELECT day FROM reservation WHERE session = ? LIMIT 1", session)?.day;
}

interface LastCall {
  readonly day: string;
  readonly model: string;
  readonly reservedUsd: number;
}

/** The request that an entry is about. */
function lastCall(database: Database, session: number, before: Entry): LastCall {
  const row = database.get<{ at: number; body: string | null; blob: string | null }>(
    "SELECT at, body, blob FROM entry WHERE session = ? AND seq < ? AND type = 'modelCalled' ORDER BY seq DESC LIMIT 1",
    session,
    before.seq,
  );
  if (row === undefined) return { day: dayOf(before.at), model: "unknown", reservedUsd: 0 };
  const { model, reservation } = loadBody(database, session, row) as ModelCalled;
  return {
    day: reservation?.budgets[0]?.day ?? dayOf(row.at),
    model,
    reservedUsd: reservation?.usd ?? 0,
  };
}

interface Charge {
  readonly day: string;
  readonly model: string;
  readonly usage: Usage;
  readonly costUsd: number | null;
  readonly isLost: boolean;
  readonly lostUsd: number;
}

function charge(database: Database, account: Account, charged: Charge): void {
  const { usage, costUsd } = charged;
  database.run(
    `INSERT INTO spend (day, agent, tenant, actor, model, calls, usage_input, usage_cache_read, usage_cache_write,
                        usage_output, usage_reasoning, cost_usd, unpriced_calls, lost_calls, lost_usd)
     VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (day, agent, tenant, actor, model) DO UPDATE SET
       calls = calls + 1,
       usage_input = usage_input + excluded.usage_input,
       usage_cache_read = usage_cache_read + excluded.usage_cache_read,
       usage_cache_write = usage_cache_write + excluded.usage_cache_write,
       usage_output = usage_output + excluded.usage_output,
       usage_reasoning = usage_reasoning + excluded.usage_reasoning,
       cost_usd = cost_usd + excluded.cost_usd,
       unpriced_calls = unpriced_calls + excluded.unpriced_calls,
       lost_calls = lost_calls + excluded.lost_calls,
       lost_usd = lost_usd + excluded.lost_usd`,
    charged.day,
    account.agent,
    account.tenant,
    account.actor ?? "",
    charged.model,
    usage.input,
    usage.cacheRead,
    usage.cacheWrite,
    usage.output,
    usage.reasoning,
    costUsd ?? 0,
    costUsd === null ? 1 : 0,
    charged.isLost ? 1 : 0,
    charged.lostUsd,
  );
}

/** For the rest of the day. A budget is never lowered this way. */
export function raiseBudget(
  database: Database,
  { scope, key }: Pick<ReservedBudget, "scope" | "key">,
  limitUsd: number,
  at: number,
): void {
  database.run(
    `INSERT INTO raised_budget (scope, name, day, limit_usd) VALUES (?, ?, ?, ?)
     ON CONFLICT (scope, name, day) DO UPDATE SET limit_usd = max(limit_usd, excluded.limit_usd)`,
    scope,
    key,
    dayOf(at),
    limitUsd,
  );
}
