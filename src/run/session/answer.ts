import { AppError, isAppError } from "../../lib/errors.ts";
import { formatDollars } from "../../lib/units.ts";
import type { InterruptAnswer, InterruptRequest, ReservedBudget } from "../../log/entry.ts";
import { DEFAULT_TENANT } from "../../log/session-log.ts";
import type { Command, RunQueue } from "../worker/queue.ts";
import type { InterruptRecord } from "./interrupts.ts";

/** @throws AppError `not_found` */
export async function interruptOf(
  queue: Pick<RunQueue, "interrupts">,
  sessionId: string,
  interruptId: string,
): Promise<InterruptRecord> {
  const known = await queue.interrupts({ sessionId, limit: 1_000 });
  const interrupt = known.find(({ id }) => id === interruptId);
  if (interrupt !== undefined) return interrupt;
  throw new AppError("not_found", `the session "${sessionId}" has no interrupt "${interruptId}"`, {
    hint: "`holdfast interrupts list` shows what waits for an answer.",
  });
}

/** @throws AppError `invalid_input` for an answer after which the same would be asked again at once. */
export function checkAnswer({ request, status }: InterruptRecord, answer: InterruptAnswer): void {
  if (answer.action !== "raise" || status !== "open") return;
  const { limitUsd, spentUsd } = request.budget;
  const least = Math.max(limitUsd, spentUsd);
  if (Number.isFinite(answer.limitUsd) && answer.limitUsd > least) return;
  throw new AppError(
    "invalid_input",
    `the new limit has to be above ${formatDollars(least)}, which is used up`,
    {
      hint: "It replaces the limit, it is not added to it.",
    },
  );
}

/**
 * What sessions of several tenants share is not a tenant's to raise, nor is the limit that the server sets it. Callers without a
 * tenant of their own are whoever runs the server.
 * @throws AppError `forbidden`
 */
export function checkAuthority(
  { request }: InterruptRecord,
  answer: InterruptAnswer,
  tenant: string = DEFAULT_TENANT,
): void {
  const { scope, key } = request.budget;
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
  const { scope, key } = request.budget;
  const { answer } = command;
  if (answer.action !== "raise" || !isShared(scope)) return;
  const open = await queue.interrupts({ status: "open", limit: MAX_ALIKE });
  const alike = open.filter(
    ({ request: { budget } }) =>
      budget.scope === scope && budget.key === key && budget.limitUsd < answer.limitUsd,
  );
  const answers = alike.map(({ id, sessionId }) =>
    queue.enqueue(sessionId, { ...command, interruptId: id }).catch((error: unknown) => {
      if (!isAppError(error, "conflict") && !isAppError(error, "not_found")) throw error;
    }),
  );
  await Promise.all(answers);
}

function isShared(scope: InterruptRequest["budget"]["scope"]): scope is ReservedBudget["scope"] {
  return scope === "agent" || scope === "tenant";
}
