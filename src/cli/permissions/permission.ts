import { isAppError } from "../../lib/errors.ts";
import type { AddedRule } from "../../log/state.ts";
import type { Sessions } from "../../run/session/sessions.ts";
import { userName } from "../sending.ts";
import type { Place } from "../sessions/session.ts";

/** What the commands about modes and rules share: see `explain.ts`, `rules.ts`, `mode.ts`. */

/** Rules for all sessions of an agent that people have made. A tenant is not told of them. */
export async function addedRules(
  agent: string,
  sessions: Pick<Sessions, "agentRules">,
): Promise<readonly AddedRule[]> {
  return sessions.agentRules(agent).catch((error: unknown) => {
    if (isAppError(error, "forbidden")) return [];
    throw error;
  });
}

/** Who changes something: whoever is named, or sits here. A server knows its callers by their tokens. */
export function actorFor({ local }: Place, named: string | undefined): string | undefined {
  return named ?? (local === null ? undefined : userName());
}
