import type { Agent } from "../agents/agent.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { Usage } from "../log/content.ts";
import type { Model } from "../models/model.ts";
import type { Sandbox } from "../sandboxes/sandbox.ts";
import { callModel } from "./call-model.ts";
import type { Delta } from "./events.ts";
import { nextStep } from "./next-step.ts";
import { runTools } from "./run-tools.ts";
import type { SessionWriter } from "./session-writer.ts";

/** What performing a step needs from outside. */
export interface LoopPorts {
  /** @throws AppError `invalid_config` when the model is not known, or its key is missing. */
  readonly models: (agent: Agent, modelId: string) => Model;
  /** US dollars, or null when the model's price is not known. */
  readonly price: (modelId: string, usage: Usage) => number | null;
  readonly sandbox: (sessionId: string) => Promise<Sandbox>;
  /** Shows a delta to whoever watches. Must not throw, and never waits: readers do not slow a run down. */
  readonly emit: (delta: Delta) => void;
  readonly clock: Clock;
}

/** How the world reaches into a loop that is under way. */
export interface LoopControl {
  /** Aborted by a stop that concerns the step under way; a new one for each step. */
  readonly stopSignal: () => AbortSignal;
  /** Aborted when this process may not go on with the session: it shuts down, or it lost the lease. Nothing is written then. */
  readonly abandoned: AbortSignal;
  /** True when the loop should end at the next boundary between steps. */
  readonly draining: () => boolean;
}

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

/** The run that is under way, where the step could only come from one. */
export function currentRun(writer: SessionWriter): NonNullable<SessionWriter["state"]["run"]> {
  const { run } = writer.state;
  if (run === null) throw new Error(`session ${writer.lease.sessionId} has no run`);
  return run;
}
