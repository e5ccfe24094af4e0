import type { Agent } from "../../agents/agent.ts";
import { fold } from "../../log/fold.ts";
import type { SessionLog } from "../../log/session-log.ts";
import { modeOf } from "../calls/permit.ts";
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
