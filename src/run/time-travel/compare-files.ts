import { unifiedDiff } from "../../lib/unified-diff.ts";
import type { ManifestEntry, Snapshots } from "../../snapshots/snapshot.ts";
import type { FileChange, FileDifferences } from "./time-travel.ts";

const MAX_CHANGES = 500;
/** Of one file, and of all diffs together; in bytes and characters. */
const MAX_FILE = 262_144;
const MAX_DIFFS = 1_048_576;

/** What has to change in one snapshot to get the other. */
export async function compareFiles(
  one: string,
  other: string,
  snapshots: Pick<Snapshots, "manifest" | "readObject">,
): Promise<Omit<FileDifferences, "skipped">> {
  const [before, after] = [await entriesOf(one, snapshots), await entriesOf(other, snapshots)];
  const paths = [...new Set([...before.keys(), ...after.keys()])].toSorted();
  const different = paths.filter((path) => !isSame(before.get(path), after.get(path)));
  const changes: FileChange[] = [];
  let room = MAX_DIFFS;
  for (const path of different.slice(0, MAX_CHANGES)) {
    const [from, to] = [before.get(path), after.get(path)];
    const diff = room > 0 ? await diffOf(path, from, to, snapshots) : null;
    room -= diff?.length ?? 0;
    const change = from === undefined ? "added" : to === undefined ? "removed" : "changed";
    changes.push({ path, change, diff: room < 0 ? null : diff });
  }
  return { changes, omitted: different.length - changes.length };
}

async function entriesOf(
  id: string,
  snapshots: Pick<Snapshots, "manifest">,
): Promise<ReadonlyMap<string, ManifestEntry>> {
  const { entries } = await snapshots.manifest(id);
  // Nobody misses an empty directory.
  return new Map(entries.filter(({ type }) => type !== "directory").map((entry) => [entry.path, entry]));
}

function isSame(one: ManifestEntry | undefined, other: ManifestEntry | undefined): boolean {
  return markOf(one) === markOf(other);
}

function markOf(entry: ManifestEntry | undefined): string {
  if (entry?.type === "file") return `${entry.hash} ${entry.mode}`;
  return entry?.type === "link" ? `-> ${entry.target}` : "";
}

async function diffOf(
  path: string,
  from: ManifestEntry | undefined,
  to: ManifestEntry | undefined,
  snapshots: Pick<Snapshots, "readObject">,
): Promise<string | null> {
  const [before, after] = [await textOf(from, snapshots), await textOf(to, snapshots)];
  return before === undefined || after === undefined ? null : unifiedDiff(path, before, after);
}

/** Null: there is no such file. Undefined: it cannot be shown as text. */
async function textOf(
  entry: ManifestEntry | undefined,
  snapshots: Pick<Snapshots, "readObject">,
): Promise<string | null | undefined> {
  if (entry === undefined) return null;
  if (entry.type !== "file" || entry.size > MAX_FILE) return undefined;
  const bytes = Buffer.concat(await Array.fromAsync(snapshots.readObject(entry.hash)));
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
