import { sha256 } from "../../lib/ids.ts";
import type { Database } from "./database.ts";

/** Where a JSON text is: in the row itself, or by its hash in "blob". One of the two is null. */
export interface Body {
  readonly body: string | null;
  readonly blob: string | null;
}

/** Rows above this many bytes would make every scan over their table slow. */
const INLINE_BYTES = 65_536;

/** A value as text, and the hash under which it is to be kept; null where it belongs into its row. */
export function bodyText(value: unknown): { readonly text: string; readonly hash: string | null } {
  const text = JSON.stringify(value);
  return { text, hash: Buffer.byteLength(text) <= INLINE_BYTES ? null : sha256(text) };
}

/** Inside a transaction. */
export function storeBody(database: Database, session: number, value: unknown): Body {
  const { text, hash } = bodyText(value);
  if (hash === null) return { body: text, blob: null };
  database.run(
    "INSERT INTO blob (session, hash, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    session,
    hash,
    text,
  );
  return { body: null, blob: hash };
}

export function loadBody(database: Database, session: number, { body, blob }: Body): unknown {
  if (body !== null) return JSON.parse(body);
  const row = database.get<{ body: string }>(
    "SELECT body FROM blob WHERE session = ? AND hash = ?",
    session,
    blob,
  );
  if (row === undefined) throw new Error(`body ${blob} of session ${session} is missing`);
  return JSON.parse(row.body);
}

/** Inside a transaction: removes a blob that no row refers to any more. */
export function dropBlob(database: Database, session: number, hash: string): void {
  database.run(
    `DELETE FROM blob WHERE session = ?1 AND hash = ?2
       AND NOT EXISTS (SELECT 1 FROM entry WHERE session = ?1 AND blob = ?2)
       AND NOT EXISTS (SELECT 1 FROM inbox WHERE session = ?1 AND blob = ?2 AND moved_seq IS NULL)`,
    session,
    hash,
  );
}
