import { AppError } from "../../lib/errors.ts";
import type { ReservedBudget } from "../../log/entry.ts";
import type { Ceiling } from "./budget.ts";

/** What a store says when a call does not fit into a budget that its session shares with others. */
export interface Shortage extends ReservedBudget {
  /** Of calls that have ended. */
  readonly settledUsd: number;
  /** For calls that are under way, as long as they are. */
  readonly reservedUsd: number;
  readonly neededUsd: number;
}

/** The refusal of an append, with nothing stored. */
export function budgetExceeded(shortage: Shortage): AppError {
  const { scope, key, day } = shortage;
  return new AppError(
    "budget_exceeded",
    `The budget of the ${scope} "${key}" for ${day} has no room for the call.`,
    {
      details: { ...shortage },
    },
  );
}

/** What `budgetExceeded` was told. */
export function shortageOf({ details }: AppError): Shortage {
  return details as unknown as Shortage;
}

/** What is left when the calls under way have ended and, at worst, cost nothing. */
export function settledCeiling({ scope, key, limitUsd, settledUsd }: Shortage): Ceiling {
  return { scope, key, limitUsd, spentUsd: settledUsd };
}

/** What is left while they go on. */
export function reservedCeiling({ scope, key, limitUsd, settledUsd, reservedUsd }: Shortage): Ceiling {
  return { scope, key, limitUsd, spentUsd: settledUsd + reservedUsd };
}
