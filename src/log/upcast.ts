import { ENTRY_VERSION, type Entry } from "./entry.ts";

/** An entry as a store reads it: written by this release, an earlier one, or a later one. */
export interface StoredEntry {
  readonly v: number;
  readonly type: string;
  readonly [field: string]: unknown;
}

/**
 * `upcasters[n]` turns an entry of version n into version n + 1. Never edited once released: old logs pass through all of
 * them. To change the shape of an entry: raise ENTRY_VERSION, add the step here, add a fixture to `test/fixtures/logs/`.
 */
const upcasters: Readonly<Record<number, (entry: StoredEntry) => StoredEntry>> = {};

/**
 * The entry in today's shape. What a later release wrote (a higher version, an unknown type) passes through untouched, so
 * that it is not damaged on its way through this one; readers ignore types that they do not know.
 */
export function upcast(stored: StoredEntry): Entry {
  let entry = stored;
  while (entry.v < ENTRY_VERSION) {
    const step = upcasters[entry.v];
    if (step === undefined) throw new Error(`no way to read entries of version ${entry.v}`);
    entry = { ...step(entry), v: entry.v + 1 };
  }
  return entry as unknown as Entry;
}
