import type {
  Entry,
  HeadMoved,
  SessionCreated,
  ToolStarted,
  WorkspaceOrigin,
  WorkspaceSaved,
} from "./entry.ts";
import type { Draft, WorkspaceState } from "./state.ts";

/** What the files of the workspace are known to be. Steps of `fold.ts`. */

export function applyWorkspaceSaved(state: Draft, { snapshot }: WorkspaceSaved): void {
  state.workspace = { snapshot, changedAt: null };
}

/** From the start on: whatever a call that never ended has written is there. */
export function noteChange(state: Draft, { effect, seq }: Entry & ToolStarted): void {
  if (effect !== "readonly") state.workspace = { ...state.workspace, changedAt: seq };
}

/** Forks of earlier releases begin with the agent's workspace, as new sessions do. */
export function beginWorkspace(state: Draft, { files, seq }: Entry & SessionCreated): void {
  state.workspace = workspaceFrom(files ?? { from: "template", skipped: 0 }, seq);
}

export function moveWorkspace(state: Draft, { files, seq }: Entry & HeadMoved): void {
  state.workspace = workspaceFrom(files ?? { from: "now", skipped: 0 }, seq);
}

function workspaceFrom({ from, snapshot }: WorkspaceOrigin, seq: number): WorkspaceState {
  const isKnown = from !== "now" || snapshot !== undefined;
  return { snapshot: snapshot ?? null, changedAt: isKnown ? null : seq };
}
