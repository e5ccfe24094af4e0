import type { Agent } from "../agents/agent.ts";
import { newContext } from "../context/epoch.ts";
import { dateText, PROJECT_FILES, type ProjectFile } from "../context/sections.ts";
import { errorMessage } from "../lib/errors.ts";
import { utcDay } from "../lib/units.ts";
import type { PrefixBreak } from "../log/entry.ts";
import type { LoopPorts } from "./loop-ports.ts";
import type { SessionWriter } from "./session-writer.ts";

/** Records what stands before the messages from now on. Appends `contextOpened`. */
export async function openContext(
  cause: PrefixBreak,
  writer: SessionWriter,
  agent: Agent,
  ports: Pick<LoopPorts, "projectFile" | "clock">,
): Promise<void> {
  const project = await readProject(writer.lease.sessionId, agent, ports);
  const moment = { now: ports.clock.now(), project };
  writer.append(newContext(cause, writer.state, agent, moment));
}

/** The first of the files that tell about a project. One that cannot be read is told of instead: it is there for a reason. */
export async function readProject(
  sessionId: string,
  agent: Agent,
  { projectFile }: Pick<LoopPorts, "projectFile">,
): Promise<ProjectFile | null> {
  for (const name of PROJECT_FILES) {
    const text = await projectFile(sessionId, agent, name).catch(
      (error: unknown) => `(${name} could not be read: ${errorMessage(error)})`,
    );
    if (text !== null) return { name, text };
  }
  return null;
}

/** Tells the model that it is another day, where it was told of one. Appends `contextAdded`, or nothing. */
export function tellDay(writer: SessionWriter, { clock }: Pick<LoopPorts, "clock">): void {
  const { toldDay } = writer.state;
  const now = clock.now();
  if (toldDay === null || toldDay === utcDay(now)) return;
  writer.append({ type: "contextAdded", source: "environment", text: `The date is now ${dateText(now)}.` });
}
