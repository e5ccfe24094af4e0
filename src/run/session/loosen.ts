import type { Agent, AgentApprovals } from "../../agents/agent.ts";
import { AppError } from "../../lib/errors.ts";
import type { PermissionMode } from "../../log/entry.ts";
import { DEFAULT_TENANT } from "../../log/session-log.ts";
import type { AddedRule } from "../../log/state.ts";
import type { Answerer } from "./answer.ts";

/** Whether it matters who approves calls of the agent. @pure */
export function isApprovedBySome({ approvers, excludeRequester, quorum }: AgentApprovals): boolean {
  return approvers.length > 0 || excludeRequester || quorum > 1;
}

/**
 * Where it matters who approves, nobody else may make it so that nobody is asked: by a mode that asks less than the agent's own, or
 * by a rule that allows. One of the approvers may, and whoever runs the server; where several have to approve, only the latter.
 * @throws AppError `forbidden`
 */
export function checkLoosening(
  change: PermissionMode | AddedRule,
  agent: Agent | undefined,
  { actor, tenant = DEFAULT_TENANT }: Answerer,
): void {
  if (agent === undefined || !isApprovedBySome(agent.approvals) || !isLooser(change, agent)) return;
  const { approvers, quorum } = agent.approvals;
  const runsTheServer = actor === undefined && tenant === DEFAULT_TENANT;
  if (runsTheServer || (actor !== undefined && quorum === 1 && approvers.includes(actor))) return;
  const what = typeof change === "string" ? `the mode ${change}` : "a rule that allows";
  throw new AppError(
    "forbidden",
    `${what} would let calls start that ${agent.name} has to ask some people about`,
    {
      hint:
        quorum === 1 && approvers.length > 0
          ? `Those who may decide this: ${approvers.join(", ")}.`
          : "Ask whoever runs the server.",
    },
  );
}

/** How much of it asks a person: less with each. */
const RANK: Readonly<Record<PermissionMode, number>> = {
  plan: 0,
  dontAsk: 0,
  default: 1,
  acceptEdits: 2,
  auto: 2,
  bypass: 3,
};

function isLooser(change: PermissionMode | AddedRule, { permissions }: Agent): boolean {
  if (typeof change !== "string") return change.list === "allow";
  return change !== permissions.mode && RANK[change] >= Math.max(RANK[permissions.mode], RANK.acceptEdits);
}
