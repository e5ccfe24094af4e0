import type { Agent } from "../../agents/agent.ts";
import { type ContextView, viewContext } from "../../context/view.ts";
import { fold } from "../../log/fold.ts";
import type { SessionLog } from "../../log/session-log.ts";
import type { LoopPorts } from "../loop-ports.ts";
import { readProject } from "../open-context.ts";

/** What a look at the next request needs from outside. */
export type ContextPorts = Pick<LoopPorts, "facts" | "projectFile" | "clock">;

/** The next request of a session, as it would be sent now. Nothing is written, and nothing started. */
export async function readContext(
  sessionId: string,
  agent: Agent,
  log: Pick<SessionLog, "path">,
  ports: ContextPorts,
  { request = false }: { readonly request?: boolean } = {},
): Promise<ContextView> {
  const [entries, project] = await Promise.all([log.path(sessionId), readProject(sessionId, agent, ports)]);
  return viewContext(sessionId, fold(entries), agent, {
    facts: (model) => ports.facts(agent, model),
    moment: { now: ports.clock.now(), project },
    request,
  });
}
