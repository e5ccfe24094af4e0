import type { Agent } from "../../agents/agent.ts";
import { AppError } from "../../lib/errors.ts";
import { fold } from "../../log/fold.ts";
import type { SessionLog } from "../../log/session-log.ts";
import { modeOf } from "../calls/permit.ts";
import type { RuleBook } from "../worker/queue.ts";
import { type CallExplanation, explainPastCall } from "./explain-call.ts";
import type { SessionPermissions } from "./sessions.ts";

/** What a session works in now, by its log. */
export async function readPermissions(
  sessionId: string,
  agent: Agent,
  log: Pick<SessionLog, "tail">,
): Promise<SessionPermissions> {
  const state = fold(await log.tail(sessionId));
  return { mode: modeOf(state, agent), rules: state.rules.filter(({ scope }) => scope === "session") };
}

/** Why a call of a session was decided as it was, and would be now. @throws AppError `not_found` */
export async function readExplanation(
  sessionId: string,
  callId: string,
  agent: Agent,
  log: Pick<SessionLog, "path"> & Pick<RuleBook, "rules">,
): Promise<CallExplanation> {
  const [entries, added] = await Promise.all([log.path(sessionId), log.rules(agent.name)]);
  const explained = explainPastCall(callId, entries, { agent, state: fold(entries), added });
  if (explained !== null) return explained;
  throw new AppError("not_found", `the session "${sessionId}" has no call "${callId}"`, {
    hint: "Calls are in its log: `callId` of what the model answered.",
  });
}
