import { AppError } from "../../lib/errors.ts";
import type { Entry } from "../../log/entry.ts";
import type { SessionLog, SessionRecord } from "../../log/session-log.ts";
import type { EntryPlace, EntryRef } from "./time-travel.ts";

/** @throws AppError `not_found`, `conflict` for the beginning of several ids, `invalid_input`. */
export async function findEntry(
  log: Pick<SessionLog, "find" | "path">,
  { id: sessionId, headId }: SessionRecord,
  ref: EntryRef | undefined,
): Promise<Entry> {
  if (ref === undefined) return log.find(sessionId, { id: headId ?? "" });
  const [, mark, digits] = /^([#~])(\d{1,15})$/.exec(typeof ref === "number" ? `#${ref}` : ref) ?? [];
  if (mark === "#") return log.find(sessionId, { seq: Number(digits) });
  if (mark === "~") return beforeMessage(await log.path(sessionId), sessionId, Number(digits));
  const id = String(ref);
  const meant = /^\d{1,15}$/.test(id) ? `#${id}` : /^head$/i.test(id) ? "~0" : null;
  if (meant !== null) {
    throw new AppError("not_found", `"${id}" names no entry`, {
      hint: `Did you mean "${meant}"? ${meant === "~0" ? "That is where the session stands." : "That is the entry's number."}`,
    });
  }
  if (/^[A-Za-z0-9._:-]{1,256}$/.test(id)) return log.find(sessionId, { id });
  throw new AppError("invalid_input", `"${id.slice(0, 80)}" names no entry`, {
    hint: "Write its id or the beginning of it, its number like '#12', or '~1' for what stood before the last message.",
  });
}

/** What stood before the `nth` message from the end, so that it can be said differently; 0: where the session stands. */
function beforeMessage(path: readonly Entry[], sessionId: string, nth: number): Entry {
  const last = path.at(-1);
  if (nth === 0 && last !== undefined) return last;
  const messages = path.flatMap(({ type }, i) => (type === "userMessage" ? [i] : []));
  const before = path[(messages.at(-nth) ?? 0) - 1];
  if (before !== undefined) return before;
  throw new AppError("not_found", `the session "${sessionId}" has no ${nth} messages to go back by`, {
    hint: `It has ${messages.length}. \`holdfast sessions tree ${sessionId}\` shows where it can be forked.`,
  });
}

export function placeOf({ id: entryId, seq }: Entry): EntryPlace {
  return { entryId, seq };
}
