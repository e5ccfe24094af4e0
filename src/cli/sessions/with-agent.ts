import type { Agent } from "../../agents/agent.ts";
import { isAppError } from "../../lib/errors.ts";
import type { SessionRecord } from "../../log/session-log.ts";
import { openRuntime } from "../../runtime.ts";
import { createNotices } from "../notices.ts";
import type { Terminal } from "../terminal.ts";
import { harnessOf, type Place } from "./session.ts";

export interface PlaceWithAgent extends AsyncDisposable {
  readonly sessions: Place["sessions"];
  /** Null on a server, which has it, and where it is not found on this machine. */
  readonly agent: Agent | null;
  /** Its harness.json; null with the agent. */
  readonly file: string | null;
}

/**
 * The same place with the session's agent at hand, where it is found: so that arguments are checked, and rules are known. Nothing is
 * worked on.
 */
export async function withAgent(
  { local, sessions }: Place,
  session: SessionRecord,
  terminal: Terminal,
  json: boolean,
): Promise<PlaceWithAgent> {
  const asItIs = { sessions, agent: null, file: null, async [Symbol.asyncDispose]() {} };
  if (local === null) return asItIs;
  const file = await harnessOf(session, local).catch((error: unknown) => {
    if (isAppError(error, "not_found")) return null;
    throw error;
  });
  if (file === null) return asItIs;
  const { config, dataDir } = local;
  const notify = createNotices(terminal, { json }).tell;
  const runtime = await openRuntime({ agents: [file], work: "none", config, dataDir, notify });
  return {
    sessions: runtime.sessions,
    agent: runtime.agents.get(session.agent),
    file,
    [Symbol.asyncDispose]: () => runtime[Symbol.asyncDispose](),
  };
}
