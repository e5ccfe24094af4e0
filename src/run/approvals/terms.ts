import type { Agent } from "../../agents/agent.ts";
import type { InterruptTerms } from "../../log/entry.ts";
import { type OpenCall, type RunState, UNNAMED } from "../../log/state.ts";

/** On which terms a person is asked now: who, until when, and what then. @pure */
export function termsOf(
  { approvals }: Pick<Agent, "approvals">,
  { actors }: Pick<RunState, "actors">,
  { rounds, askedAt }: Pick<OpenCall, "rounds" | "askedAt">,
  now: number,
): InterruptTerms {
  const { expiresAfterMs, onExpire, escalateTo, excludeRequester, quorum } = approvals;
  const excluded = excludeRequester ? actors.filter((actor) => actor !== UNNAMED) : [];
  const who = { approvers: approvals.approvers, excluded, quorum };
  // Nobody waits for the time of those who may not answer.
  const isEscalated = onExpire === "escalate" && (rounds > 0 || !isEnough(who));
  const approvers = isEscalated ? escalateTo : approvals.approvers;
  const deadline =
    expiresAfterMs === null
      ? {}
      : {
          expiresAt: now + expiresAfterMs,
          // There is nobody above those that it was escalated to.
          onExpire: isEscalated ? ("deny" as const) : onExpire,
          ...(onExpire === "escalate" && !isEscalated ? { escalateTo } : {}),
        };
  const remindAt = approvals.remindAfterMs.map((ms) => now + ms);
  return {
    ...(approvers.length === 0 ? {} : { approvers }),
    ...(excluded.length > 0 ? { excluded } : {}),
    ...(quorum > 1 ? { quorum } : {}),
    ...deadline,
    ...(remindAt.length === 0 ? {} : { remindAt }),
    abandonAt: (askedAt ?? now) + approvals.abandonAfterMs,
    ...(rounds === 0 ? {} : { round: rounds }),
  };
}

/** Whether the people who may answer are enough to answer it, or time answers in their place. @pure */
export function canBeAnswered({
  approvers = [],
  excluded = [],
  quorum = 1,
  onExpire,
}: InterruptTerms): boolean {
  return onExpire === "approve" || isEnough({ approvers, excluded, quorum });
}

/** Where nobody is named there are others. */
function isEnough({
  approvers,
  excluded,
  quorum,
}: Required<Pick<InterruptTerms, "approvers" | "excluded" | "quorum">>) {
  const left = new Set(approvers.filter((name) => !excluded.includes(name)));
  return approvers.length === 0 || left.size >= quorum;
}

/** Of what a tool wants to know: nothing is approved of, so that one answer is enough, also of whoever sent the message. @pure */
export function termsOfQuestion(
  agent: Agent,
  run: Pick<RunState, "actors">,
  call: Pick<OpenCall, "rounds" | "askedAt">,
  now: number,
): InterruptTerms {
  const approvals = { ...agent.approvals, excludeRequester: false, quorum: 1 };
  return termsOf({ approvals }, run, call, now);
}
