import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { sha256 } from "../lib/ids.ts";
import { type OpenDirectory, openFileAt, walk } from "../lib/open-directory.ts";
import { forEachBounded } from "../lib/streams.ts";
import { formatSize } from "../lib/units.ts";
import { type Blobs, CHUNK } from "./blobs.ts";
import { compareManifests, encodeManifest } from "./manifest.ts";
import { byPath, type Found, type FoundFile, factsOf, scanWorkspace, whyUnreadable } from "./scan.ts";
import type {
  Manifest,
  ManifestEntry,
  ManifestFile,
  Skipped,
  SnapshotLimits,
  Taken,
  TakeOptions,
} from "./snapshot.ts";
import { snapshotLimits } from "./snapshot.ts";
import type { StatIndex } from "./stat-index.ts";

export interface TakePorts {
  readonly objects: Blobs;
  readonly manifests: Blobs;
  readonly index: StatIndex;
  /** Names in the top of a workspace that no `.gitignore` hides. */
  readonly kept: readonly string[];
  /** Undefined where it cannot be had: then there is nothing to compare with. */
  readonly manifest: (id: string) => Promise<Manifest | undefined>;
}

export async function takeSnapshot(
  workspace: string,
  previous: string | null,
  { limits = snapshotLimits, signal }: TakeOptions,
  ports: TakePorts,
): Promise<Taken> {
  const known = await ports.index.load(workspace);
  const scan = await scanWorkspace(workspace, { maxFiles: limits.maxFiles, kept: ports.kept, signal });
  const chosen = chooseByLimits(scan.found, limits);
  const files = chosen.entries.filter((entry) => entry.type === "file");
  const unknown = files.filter((file) => known.hashOf(file) === undefined);
  const read = await readFiles(workspace, unknown, { ports, limits, signal });

  const entries = chosen.entries.flatMap((entry): ManifestEntry[] => {
    if (entry.type !== "file") return [entry];
    const kept = read.files.get(entry.path)?.entry ?? knownFile(entry, known.hashOf(entry));
    return kept === undefined ? [] : [kept];
  });
  const skipped = [...scan.skipped, ...chosen.skipped, ...read.skipped].sort(byPath);
  const manifest: Manifest = {
    version: 1,
    entries,
    skipped: chosen.partial || scan.partial ? [] : skipped.map(({ path }) => path),
    maxFileSize: limits.maxFileSize,
    partial: chosen.partial || scan.partial,
  };
  const text = Buffer.from(encodeManifest(manifest));
  const id = sha256(text);
  const isUnchanged = id === previous && (await ports.manifests.touch(id));
  if (!isUnchanged) {
    await ports.objects.flush();
    await ports.manifests.put(inChunks(text));
    await ports.manifests.flush();
  }
  await known.save(
    id,
    files.map((file) => read.files.get(file.path) ?? { file, hash: known.hashOf(file) }),
  );
  return {
    id,
    ...totalOf(entries),
    ...(isUnchanged ? NO_CHANGE : compareManifests(await entriesOf(previous, ports), entries)),
    skipped: [...skipped, ...overflow(scan.partial, chosen.partial, limits), ...scan.notes],
    unchanged: isUnchanged,
  };
}

const NO_CHANGE = { added: 0, changed: 0, removed: 0 };

async function entriesOf(id: string | null, { manifest }: TakePorts): Promise<readonly ManifestEntry[]> {
  return (id === null ? undefined : await manifest(id))?.entries ?? [];
}

function totalOf(entries: readonly ManifestEntry[]): Pick<Taken, "files" | "bytes"> {
  let files = 0;
  let bytes = 0;
  for (const entry of entries) {
    if (entry.type !== "directory") files += 1;
    if (entry.type === "file") bytes += entry.size;
  }
  return { files, bytes };
}

function knownFile({ type, path, mode, size }: FoundFile, hash: string | undefined) {
  return hash === undefined ? undefined : { type, path, mode, size, hash };
}

// ---- limits ----

interface Choice {
  readonly entries: readonly Found[];
  readonly skipped: readonly Skipped[];
  readonly partial: boolean;
}

/** By path, so that the same files are chosen each time; the history of a repository comes last. */
function chooseByLimits(found: readonly Found[], { maxFileSize, maxSize }: SnapshotLimits): Choice {
  const entries: Found[] = [];
  const skipped: Skipped[] = [];
  let total = 0;
  let partial = false;
  for (const entry of [...found.filter((f) => !isHistory(f)), ...found.filter(isHistory)]) {
    if (entry.type !== "file") entries.push(entry);
    else if (entry.size > maxFileSize) {
      skipped.push({ path: entry.path, why: `larger than ${formatSize(maxFileSize)}` });
    } else if (total + entry.size > maxSize) partial = true;
    else {
      total += entry.size;
      entries.push(entry);
    }
  }
  return { entries: entries.sort(byPath), skipped, partial };
}

function isHistory({ path }: Found): boolean {
  return path.startsWith(".git/") || path.includes("/.git/");
}

function overflow(
  tooMany: boolean,
  tooMuch: boolean,
  { maxFiles, maxSize }: SnapshotLimits,
): readonly Skipped[] {
  return [
    ...(tooMany ? [{ path: ".", why: `more than ${maxFiles} files: the rest is left out` }] : []),
    ...(tooMuch ? [{ path: ".", why: `more than ${formatSize(maxSize)}: the rest is left out` }] : []),
  ];
}

// ---- reading ----

interface ReadFile {
  readonly file: FoundFile;
  readonly hash: string;
  readonly entry: ManifestFile;
}

interface Reading {
  readonly ports: TakePorts;
  readonly limits: SnapshotLimits;
  readonly signal: AbortSignal;
}

/** Files that are read at once; each takes `CHUNK` of memory. */
const AT_ONCE = 8;
/** A file that is written to all the time is left out in the end. */
const TRIES = 3;

async function readFiles(
  workspace: string,
  files: readonly FoundFile[],
  reading: Reading,
): Promise<{ readonly files: ReadonlyMap<string, ReadFile>; readonly skipped: readonly Skipped[] }> {
  const read = new Map<string, ReadFile>();
  const skipped: Skipped[] = [];
  await forEachBounded([...byDirectory(files)], 2, async ([directory, inIt]) => {
    await orSkip(directory, skipped, async () => {
      await using parent = await walk(workspace, directory === "" ? [] : directory.split("/"));
      await forEachBounded(inIt, AT_ONCE / 2, (file) =>
        orSkip(file.path, skipped, async () => {
          const result = await readSteadily(parent, file, reading);
          if (typeof result === "string") skipped.push({ path: file.path, why: result });
          else read.set(file.path, result);
        }),
      );
    });
  });
  return { files: read, skipped };
}

function byDirectory(files: readonly FoundFile[]): ReadonlyMap<string, readonly FoundFile[]> {
  return Map.groupBy(files, ({ path }) => path.slice(0, Math.max(0, path.lastIndexOf("/"))));
}

async function orSkip(path: string, skipped: Skipped[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const why = whyUnreadable(error);
    if (why === undefined) throw error;
    // What is gone was never there; a directory that was swapped holds nothing that is known.
    if (why !== null) skipped.push({ path, why });
  }
}

/** The file as it is; or why it cannot be had. */
async function readSteadily(
  parent: OpenDirectory,
  { path }: FoundFile,
  { ports, limits, signal }: Reading,
): Promise<ReadFile | string> {
  const name = path.slice(path.lastIndexOf("/") + 1);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    await using handle = await openFileAt(parent, name, constants.O_RDONLY);
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile()) break;
    const before = factsOf(stats);
    if (before.size > limits.maxFileSize) return `larger than ${formatSize(limits.maxFileSize)}`;
    const { hash, size } = await ports.objects.put(contentOf(handle, before.size, signal));
    const after = factsOf(await handle.stat({ bigint: true }));
    if (after.stamp.text !== before.stamp.text || size !== before.size) continue;
    const file: FoundFile = { type: "file", path, ...before };
    return { file, hash, entry: { type: "file", path, mode: before.mode, size, hash } };
  }
  return "it changed while it was read";
}

/** At most one byte more than it is said to have: a file that grows is noticed by that, and not read for ever. */
async function* contentOf(handle: FileHandle, size: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let position = 0; position <= size; ) {
    signal.throwIfAborted();
    const wanted = Math.min(CHUNK, size + 1 - position);
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(wanted), 0, wanted, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
    // Of a file that is its end; asking once more costs as much as reading a small one.
    if (bytesRead < wanted) return;
  }
}

async function* inChunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += CHUNK) yield bytes.subarray(from, from + CHUNK);
}
