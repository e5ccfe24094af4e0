import type { Entry } from "../log/entry.ts";
import type { SessionRecord } from "../log/session-log.ts";
import type { Sessions } from "../run/session/sessions.ts";
import { isRunEnd } from "../run/session/watch.ts";

/** The entries of the run that is under way, or was when its process died; none when there is none. */
export async function entriesOfOpenRun(
  sessions: Pick<Sessions, "entries">,
  { id, status, headSeq }: SessionRecord,
): Promise<readonly Entry[]> {
  if (status === "idle") return [];
  const entries: Entry[] = [];
  let isOpen = false;
  for (let after = 0; after < headSeq; ) {
    const page = await sessions.entries(id, after);
    const last = page.at(-1);
    if (last === undefined) break;
    after = last.seq;
    for (const entry of page) {
      if (entry.type === "runStarted") {
        entries.length = 0;
        isOpen = true;
      }
      if (isRunEnd(entry)) isOpen = false;
      entries.push(entry);
    }
  }
  return isOpen ? entries : [];
}

/** A title for a new session: the beginning of its first prompt. */
export function titleOf(prompt: string): string {
  const line = prompt.trim().replaceAll(/\s+/g, " ");
  return line.length <= 60 ? line : `${line.slice(0, 59).trimEnd()}…`;
}
