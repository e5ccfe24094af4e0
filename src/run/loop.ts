import type { Agent } from "../agents/agent.ts";
import { newId } from "../lib/ids.ts";
import { noUsage } from "../log/content.ts";
import type { LeftMessages } from "../log/entry.ts";
import { isAtRest, leftMessages } from "../log/state.ts";
import { askAboutRun } from "./approvals/ask-about-run.ts";
import { noteOfMode } from "./approvals/mode-note.ts";
import { createCalls } from "./calls/calls.ts";
import { runTools } from "./calls/run-tools.ts";
import { compact } from "./compaction/compact.ts";
import { aboutMoment, askHooks } from "./hooks.ts";
import { knowledgeOf } from "./knowledge.ts";
import type { LoopControl, LoopPorts } from "./loop-ports.ts";
import { nextStep } from "./next-step.ts";
import { openContext, tellDay } from "./open-context.ts";
import { saveWorkspace } from "./save-workspace.ts";
import { currentRun, type SessionWriter } from "./session-writer.ts";
import { withTimeLimit } from "./time-limit.ts";
import { callModel } from "./turn/call-model.ts";

/**
 * The loop: fold, decide, act, append, until there is nothing left to do. The only one; it does not know whether anybody
 * watches, whether the run is new or was left behind by a node that died, or which protocol asked for it.
 *
 * Resolves when the session is idle or waits for a person, or when the control says so (then a run may be unfinished, to be resumed by whoever
 * holds the lease next). Rejects when the log cannot be written.
 */
export async function runLoop(
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  fromOutside: LoopControl,
): Promise<void> {
  using control = withTimeLimit(fromOutside, writer, agent, ports.clock);
  const calls = createCalls(writer, agent, ports, control);
  const files = { seenAt: 0 };
  const known = knowledgeOf(agent, ports, writer.lease, files);
  while (!control.draining() && !control.abandoned.aborted) {
    // Hooks may still be asked about the result of a call that ended before its answer did.
    if (writer.state.openCalls.length === 0) await runTools(calls, writer, control);
    const step = nextStep(writer.state, agent, known);
    switch (step.type) {
      case "wait":
        await writer.durable();
        // What arrived while the last entries were being written has been folded in by now.
        if (isAtRest(writer.state)) return;
        break;
      case "startRun":
        writer.append({ type: "runStarted", runId: newId("run"), model: step.model });
        tellDay(writer, ports);
        break;
      case "openContext":
        await openContext(step.cause, writer, agent, ports);
        break;
      case "askHooks":
        await askHooks(step, aboutMoment(step, writer.state), writer, agent, ports, control);
        break;
      case "compact":
        await compact(step.plan, writer, agent, ports, control);
        break;
      case "callModel":
        await callModel(step, calls, writer, agent, ports, control);
        break;
      case "switchModel": {
        const { id: runId, model: from } = currentRun(writer);
        writer.append({ type: "modelSwitched", runId, from, to: step.to, why: step.why });
        break;
      }
      case "settleAnswer":
        settleAnswer(writer);
        break;
      case "runTools":
        await runTools(calls, writer, control);
        break;
      case "interrupt":
        askAboutRun(step.request, writer, agent, ports);
        break;
      case "saveWorkspace":
        await saveWorkspace(files, writer, agent, ports, control);
        break;
      case "pause":
        writer.append({ type: "runPaused", runId: currentRun(writer).id });
        break;
      case "tellMode":
        writer.append(noteOfMode(step.mode));
        break;
      case "stop": {
        const { id: runId, calling } = currentRun(writer);
        const lost = calling ? { lostCall: true as const } : {};
        writer.append({ type: "runFinished", runId, reason: step.reason, ...lost, ...leaving(writer) });
        break;
      }
      case "fail":
        writer.append({
          type: "runFailed",
          runId: currentRun(writer).id,
          error: step.error,
          ...leaving(writer),
        });
        break;
    }
  }
  // Calls that began while their answer was being written may still be under way: a safe point is behind them.
  await runTools(calls, writer, control);
}

function leaving({ state }: SessionWriter): { readonly left?: LeftMessages } {
  const left = leftMessages(state);
  return left.length === 0 ? {} : { left };
}

/** What was complete of an answer when it broke off; what it cost is not known. */
function settleAnswer(writer: SessionWriter): void {
  const { id: runId, part } = currentRun(writer);
  if (part === null) return;
  const { model, blocks, sidecar } = part;
  writer.append({
    type: "assistantMessage",
    runId,
    model,
    blocks,
    stopReason: "toolCalls",
    usage: noUsage,
    costUsd: null,
    brokeOff: true,
    timing: { firstTokenMs: null, totalMs: 0 },
    ...(sidecar === undefined ? {} : { sidecar }),
  });
}
