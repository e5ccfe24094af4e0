import type { Entry, WorkspaceOrigin, WorkspaceSaved } from "../../log/entry.ts";
import { fold } from "../../log/fold.ts";
import type { SessionLog } from "../../log/session-log.ts";
import type { Taken } from "../../snapshots/snapshot.ts";

/** What the files were at an entry; undefined where calls of earlier turns may have changed them and nothing was kept since. */
export async function originAt(
  log: Pick<SessionLog, "filesAt" | "tail">,
  sessionId: string,
  at: string,
): Promise<WorkspaceOrigin | undefined> {
  const origin = originIn(await log.filesAt(sessionId, at));
  if (origin.from !== "template") return origin;
  const path = await log.tail(sessionId, at);
  const { changedAt } = fold(path).workspace;
  const isKnown = changedAt === null || !path.some(({ type, seq }) => seq >= changedAt && endsTurn[type]);
  return isKnown ? origin : undefined;
}

/** Behind which a snapshot would stand, had one been taken; after a compaction nobody knows what was before. */
const endsTurn: Partial<Record<Entry["type"], true>> = {
  modelCalled: true,
  runPaused: true,
  runFinished: true,
  runFailed: true,
  compacted: true,
  headMoved: true,
};

/** What the files were, by the entry that says so (`filesAt`). @pure */
export function originIn(entry: Entry | undefined): WorkspaceOrigin {
  switch (entry?.type) {
    case "workspaceSaved":
      return { from: "snapshot", snapshot: entry.snapshot, skipped: entry.skipped.length };
    case "headMoved":
    case "sessionCreated": {
      const { files } = entry;
      if (files?.snapshot === undefined || files.from === "template") return BEGINNING;
      return { ...files, from: "snapshot" };
    }
    default:
      return BEGINNING;
  }
}

export const BEGINNING: WorkspaceOrigin = { from: "template", skipped: 0 };

/** What was kept, as the entry says it. @pure */
export function savedAs({ id, unchanged: _, ...taken }: Taken, durationMs: number): WorkspaceSaved {
  return { type: "workspaceSaved", snapshot: id, ...taken, skipped: taken.skipped.slice(0, 100), durationMs };
}
