import { AppError, isAppError } from "../../lib/errors.ts";
import { formatDollars } from "../../lib/units.ts";
import type { BudgetRequest, InterruptAnswer, ReservedBudget } from "../../log/entry.ts";
import { DEFAULT_TENANT } from "../../log/session-log.ts";
import type { Command, RunQueue } from "../worker/queue.ts";
import type { InterruptRecord } from "./interrupts.ts";

/** @throws AppError `invalid_input` for an answer after which the same would be asked again at once. */
export function checkLimit({ budget: { limitUsd, spentUsd } }: BudgetRequest, answer: InterruptAnswer): void {
  if (answer.action !== "raise") return;
  const least = Math.max(limitUsd, spentUsd);
  if (Number.isFinite(answer.limitUsd) && answer.limitUsd > least) return;
  throw new AppError(
    "invalid_input",
    `the new limit has to be above ${formatDollars(least)}, which is used up`,
    { hint: "It replaces the limit, it is not added to it." },
  );
}

/**
 * What sessions of several tenants share is not a tenant's to raise, nor is the limit that the server sets it. Callers without a
 * tenant of their own are whoever runs the server.
 * @throws AppError `forbidden`
 */
export function checkTenant(
  { budget: { scope, key } }: BudgetRequest,
  answer: InterruptAnswer,
  tenant: string,
): void {
  if (tenant === DEFAULT_TENANT || answer.action !== "raise" || !isShared(scope)) return;
  throw new AppError("forbidden", `today's budget of the ${scope} "${key}" is not the tenant's to raise`, {
    hint: "Ask whoever runs the server to raise it, or end the run.",
  });
}

/** The most sessions that one answer sets going. Those beyond ask again. */
const MAX_ALIKE = 1_000;

/**
 * Sessions that wait for the same budget need not be answered one by one. Somebody else may have been faster with some. Those
 * that ask at the new limit, or above it, ask something else: an answer may be repeated long after it was given.
 */
export async function answerAlike(
  queue: Pick<RunQueue, "interrupts" | "enqueue">,
  { request }: InterruptRecord,
  command: Extract<Command, { readonly type: "answer" }>,
): Promise<void> {
  const { answer } = command;
  if (answer.action !== "raise" || request.kind !== "budget" || !isShared(request.budget.scope)) return;
  const { scope, key } = request.budget;
  const open = await queue.interrupts({ status: "open", limit: MAX_ALIKE });
  const alike = open.filter(
    ({ request: other }) =>
      other.kind === "budget" &&
      other.budget.scope === scope &&
      other.budget.key === key &&
      other.budget.limitUsd < answer.limitUsd,
  );
  const answers = alike.map(({ id, sessionId }) =>
    queue.enqueue(sessionId, { ...command, interruptId: id }).catch((error: unknown) => {
      if (!isAppError(error, "conflict") && !isAppError(error, "not_found")) throw error;
    }),
  );
  await Promise.all(answers);
}

function isShared(scope: BudgetRequest["budget"]["scope"]): scope is ReservedBudget["scope"] {
  return scope === "agent" || scope === "tenant";
}
