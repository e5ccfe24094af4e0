import { AppError } from "../lib/errors.ts";
import type { SessionPosition, SessionRecord } from "../log/session-log.ts";

/** A place in the list of sessions as one word that may stand in an address. Callers give it back as it was. */
export function sessionCursor({ updatedAt, id }: SessionPosition): string {
  return `${updatedAt}.${id}`;
}

/** What to ask for the page after this one; null when this is the last. */
export function nextSessionCursor(page: readonly SessionRecord[], limit: number): string | null {
  const last = page.at(-1);
  return last === undefined || page.length < limit ? null : sessionCursor(last);
}

/** @throws AppError `invalid_input` */
export function readSessionCursor(cursor: string): SessionPosition {
  const [, updatedAt, id] = /^(\d{1,15})\.([A-Za-z0-9][A-Za-z0-9._:-]{0,255})$/.exec(cursor) ?? [];
  if (updatedAt !== undefined && id !== undefined) return { updatedAt: Number(updatedAt), id };
  throw new AppError(
    "invalid_input",
    `after: ${JSON.stringify(cursor)} is no place in the list of sessions`,
    {
      hint: "Take `next` of the page before as it is, or leave it out for the first page.",
    },
  );
}
