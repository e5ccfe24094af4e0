import type { Agent } from "../agents/agent.ts";
import type { PrefixBreak } from "../log/entry.ts";
import type { LoopPorts } from "./loop-ports.ts";
import type { SessionWriter } from "./session-writer.ts";

/** Records what stands before the messages from now on. Appends `contextOpened`. */
export async function openContext(
  cause: PrefixBreak,
  writer: SessionWriter,
  agent: Agent,
  _ports: LoopPorts,
): Promise<void> {
  const tools = [...agent.tools.keys()];
  writer.append({
    type: "contextOpened",
    cause,
    promptHash: "",
    toolsHash: "",
    tools,
    deferred: [],
    sections: [],
  });
}
