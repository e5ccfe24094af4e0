import type { Agent } from "../agents/agent.ts";
import { AppError } from "../lib/errors.ts";
import type { InterruptRequest } from "../log/entry.ts";
import { DEFAULT_TENANT } from "../log/session-log.ts";
import { isApprovedBySome } from "../run/session/loosen.ts";
import type { Call } from "./route.ts";

/**
 * Who acts: the person that the token belongs to; else whom the caller names. Callers with a token that is nobody's in particular
 * may name whoever they act for, as an application does for its users.
 * @throws AppError `forbidden` for another name than the token's.
 */
export function actorOf(c: Call, claimed: string | undefined): string | undefined {
  const own = c.get("actor");
  if (own === undefined || claimed === undefined || claimed === own) return own ?? claimed;
  throw new AppError("forbidden", `the token belongs to ${own}, not to "${claimed}"`, {
    hint: "Leave `actor` out, or send the token of whoever acts.",
  });
}

/**
 * Who answers a question. Where it matters who does (it names approvers, excludes those who asked, or several have to approve), a
 * tenant's word is not enough: somebody in it might give any name. Whoever runs the server, and a token of a person, are believed.
 * @throws AppError `forbidden`
 */
export function answererOf(
  c: Call,
  claimed: string | undefined,
  request: InterruptRequest,
): string | undefined {
  const actor = actorOf(c, claimed);
  const tenant = tenantInGeneral(c);
  if (tenant === undefined || !isForSome(request)) return actor;
  const isTenantItself = (claimed ?? tenant) === tenant && request.approvers?.includes(tenant) === true;
  if (isTenantItself) return tenant;
  throw new AppError("forbidden", "not everybody may answer this, and the token does not say who you are", {
    hint: "It takes a token of a person (HOLDFAST_TOKENS=tenant/name=TOKEN), or the link that was sent to them.",
  });
}

/**
 * Who changes what a session may do without asking. Where it matters who approves, a tenant's word is not enough for that either:
 * it is the tenant itself then. @throws AppError `forbidden`
 */
export function changerOf(
  c: Call,
  claimed: string | undefined,
  agent: Agent | undefined,
): string | undefined {
  const actor = actorOf(c, claimed);
  const tenant = tenantInGeneral(c);
  return tenant !== undefined && agent !== undefined && isApprovedBySome(agent.approvals) ? tenant : actor;
}

/** The tenant of a token that is nobody's in particular. Undefined for those who are believed: the operator, and people. */
function tenantInGeneral(c: Call): string | undefined {
  const tenant = c.get("tenant");
  return tenant === DEFAULT_TENANT || c.get("actor") !== undefined ? undefined : tenant;
}

function isForSome({ approvers, excluded = [], quorum = 1 }: InterruptRequest): boolean {
  return approvers !== undefined || excluded.length > 0 || quorum > 1;
}
