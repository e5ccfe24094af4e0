import type { Agent } from "../agents/agent.ts";
import { newId } from "../lib/ids.ts";
import { callModel } from "./call-model.ts";
import type { LoopControl, LoopPorts } from "./loop-ports.ts";
import { nextStep } from "./next-step.ts";
import { runTools } from "./run-tools.ts";
import { currentRun, type SessionWriter } from "./session-writer.ts";

/**
 * The loop: fold, decide, act, append, until there is nothing left to do. The only one; it does not know whether anybody
 * watches, whether the run is new or was left behind by a node that died, or which protocol asked for it.
 *
 * Resolves when the session is idle, or when the control says so (then a run may be unfinished, to be resumed by whoever
 * holds the lease next). Rejects when the log cannot be written.
 */
export async function runLoop(
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
): Promise<void> {
  while (!control.draining() && !control.abandoned.aborted) {
    const step = nextStep(writer.state, agent, ports.clock.now());
    switch (step.type) {
      case "wait":
        await writer.durable();
        // What arrived while the last entries were being written has been folded in by now.
        if (writer.state.unanswered === null) return;
        break;
      case "startRun":
        writer.append({ type: "runStarted", runId: newId("run"), model: step.model });
        break;
      case "callModel":
        await callModel(step, writer, agent, ports, control);
        break;
      case "runTools":
        await runTools(step.plans, writer, agent, ports, control);
        break;
      case "stop":
        writer.append({ type: "runFinished", runId: currentRun(writer).id, reason: step.reason });
        break;
      case "fail":
        writer.append({ type: "runFailed", runId: currentRun(writer).id, error: step.error });
        break;
    }
  }
}
