import type { ContextAdded, PermissionMode } from "../../log/entry.ts";

/** What the model is told when the session goes into plan mode, or leaves it. */
export function noteOfMode(mode: PermissionMode): ContextAdded {
  return { type: "contextAdded", source: "permissions", text: mode === "plan" ? PLANNING : WORKING, mode };
}

const PLANNING =
  "This session is in plan mode: whatever would change anything is refused. Look around, read and search, then say what you would do, step by step. Do not try to get around it.";

const WORKING = "This session is not in plan mode any more: you may carry out what was agreed on.";
