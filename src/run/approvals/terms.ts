import type { Agent } from "../../agents/agent.ts";
import type { InterruptTerms } from "../../log/entry.ts";
import type { OpenCall, RunState } from "../../log/state.ts";

/** On which terms a person is asked now: who, until when, and what then. @pure */
export function termsOf(
  { approvals }: Agent,
  { actors }: Pick<RunState, "actors">,
  { rounds, askedAt }: Pick<OpenCall, "rounds" | "askedAt">,
  now: number,
): InterruptTerms {
  const { expiresAfterMs, onExpire, escalateTo, excludeRequester, quorum } = approvals;
  const isEscalated = rounds > 0 && onExpire === "escalate";
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
    ...(excludeRequester && actors.length > 0 ? { excluded: actors } : {}),
    ...(quorum > 1 ? { quorum } : {}),
    ...deadline,
    ...(remindAt.length === 0 ? {} : { remindAt }),
    abandonAt: (askedAt ?? now) + approvals.abandonAfterMs,
    ...(rounds === 0 ? {} : { round: rounds }),
  };
}

/** Of what a tool wants to know: nothing is approved of, so that one answer is enough, also of whoever sent the message. @pure */
export function termsOfQuestion(
  agent: Agent,
  run: Pick<RunState, "actors">,
  call: Pick<OpenCall, "rounds" | "askedAt">,
  now: number,
): InterruptTerms {
  const { excluded: _, quorum: __, ...terms } = termsOf(agent, run, call, now);
  return terms;
}
