import type { Agent } from "../agents/agent.ts";
import { errorMessage, isAppError } from "../lib/errors.ts";
import { isWaiting, type RunState, type SessionState } from "../log/state.ts";
import { isCrashLooping } from "./calls/call-plan.ts";
import type { Knowledge } from "./knowledge.ts";
import type { LoopControl, LoopPorts } from "./loop-ports.ts";
import type { SessionWriter } from "./session-writer.ts";

/**
 * The files are kept at the end of each turn whose calls can have changed them, before the next request or the run's end, and
 * before a pause for people. Never while it is asked to stop: whoever wants the files then (a fork, a move of the head) keeps
 * them, and otherwise the next run begins with it.
 *
 * That nothing has changed, or that it failed, is not in the log: the change stays open there, and is looked at once more by
 * whoever takes the session up next. So a full disk costs a snapshot and not the run, and is made good when there is room.
 * @pure
 */
export function isSaveDue(state: SessionState, run: RunState, agent: Agent, known: Knowledge): boolean {
  const { changedAt } = state.workspace;
  if (!agent.snapshots.enabled || changedAt === null || changedAt <= known.filesSeenAt) return false;
  return !run.stopRequested && !isWaiting(run) && !isCrashLooping(run);
}

/** What is left out of an entry, for its length; the snapshot knows. */
const MAX_SKIPPED = 100;

/** `files.seenAt`: the last change that was looked at. */
export async function saveWorkspace(
  files: { seenAt: number },
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
): Promise<void> {
  const { workspace, run } = writer.state;
  const began = ports.clock.monotonic();
  files.seenAt = workspace.changedAt ?? files.seenAt;
  const cancel = control.cancelSignal();
  // A run whose time is up is cancelled, and its files are kept all the same.
  const signal = cancel.aborted ? control.abandoned : cancel;
  try {
    const taken = await ports.saveFiles(writer.lease.sessionId, agent, workspace.snapshot, signal);
    if (taken === null || taken.unchanged || control.abandoned.aborted) return;
    const { id: snapshot, unchanged: _, skipped, ...counts } = taken;
    writer.append({
      type: "workspaceSaved",
      ...(run === null ? {} : { runId: run.id }),
      snapshot,
      ...counts,
      skipped: skipped.slice(0, MAX_SKIPPED),
      durationMs: Math.round(ports.clock.monotonic() - began),
    });
  } catch (error) {
    if (signal.aborted) return;
    const code = isAppError(error) ? error.code : "internal";
    const message = `the files are not kept as they are after this turn: ${errorMessage(error)}`;
    ports.emit({ type: "notice", code, message });
  }
}
