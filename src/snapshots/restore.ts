import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { AppError, systemErrorCode } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { forEachBounded } from "../lib/streams.ts";
import { type Blobs, writeAll } from "./blobs.ts";
import { type ChangePlan, changeFiles } from "./change.ts";
import { type IgnoreFile, isIgnored, parseIgnoreFile } from "./gitignore.ts";
import { parentsOf } from "./manifest.ts";
import { give, type Owner, ownerOf } from "./owner.ts";
import { type Found, MAX_IGNORE_FILE, scanWorkspace } from "./scan.ts";
import type { Manifest, ManifestEntry, ManifestFile, Restored } from "./snapshot.ts";
import type { KnownFiles } from "./stat-index.ts";

export interface RestorePorts {
  readonly objects: Blobs;
  readonly known: KnownFiles;
  /** What is there now and can be had again; undefined where nobody misses what is there. */
  readonly present: Manifest | undefined;
  readonly drafts: string;
  readonly kept: readonly string[];
}

/**
 * In three steps: find out what is to be done, fetch all that is needed (whatever is missing, damaged or does not fit on the
 * disk shows here), and only then change the directory.
 */
export async function restoreSnapshot(
  manifest: Manifest,
  into: string,
  ports: RestorePorts,
  signal: AbortSignal | undefined,
): Promise<Restored> {
  await mkdir(into, { recursive: true, mode: 0o700 });
  const plan = await planRestore(manifest, into, ports, signal);
  const owner = await ownerOf(into);
  const staging = join(ports.drafts, newId("d"));
  await mkdir(staging, { mode: 0o700 });
  try {
    const staged = await stage(plan.write, { staging, owner }, ports, signal);
    signal?.throwIfAborted();
    const kept = await changeFiles(into, plan, { staged, owner });
    const files = manifest.entries.filter(({ type }) => type !== "directory").length;
    return { files, written: plan.write.length, removed: plan.remove.length, kept };
  } catch (error) {
    const code = systemErrorCode(error);
    if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
    throw new AppError("no_space", "the disk is full: the files cannot be restored", { cause: error });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

// ---- planning ----

async function planRestore(
  manifest: Manifest,
  into: string,
  { objects, known, present, kept }: RestorePorts,
  signal: AbortSignal | undefined,
): Promise<ChangePlan> {
  const scan = await scanWorkspace(into, { maxFiles: Number.MAX_SAFE_INTEGER, kept, signal });
  const there = new Map(scan.found.map((found) => [found.path, found]));
  const wanted = new Map(manifest.entries.map((entry) => [entry.path, entry]));
  const isCovered = await coverage(manifest, objects, kept);
  const isToGo = (found: Found) => {
    const entry = wanted.get(found.path);
    // A file is replaced by a file or a link in one step; nothing is without either for a moment.
    if (entry !== undefined) return (entry.type === "directory") !== (found.type === "directory");
    return isCovered(found);
  };
  const write = manifest.entries.filter((entry) => !isThere(entry, there.get(entry.path), known));
  const held = present && new Set(present.entries.map(({ path }) => path));
  return { remove: scan.found.filter(isToGo), write, isHeld: (path) => held?.has(path) ?? true };
}

function isThere(entry: ManifestEntry, found: Found | undefined, known: KnownFiles): boolean {
  switch (entry.type) {
    case "file":
      return found?.type === "file" && found.mode === entry.mode && known.hashOf(found) === entry.hash;
    case "link":
      return found?.type === "link" && found.target === entry.target;
    case "directory":
      return found?.type === "directory" && found.mode === entry.mode;
  }
}

/** Whether the snapshot would hold it, had it been there. */
async function coverage(
  { entries, skipped, maxFileSize, partial }: Manifest,
  objects: Blobs,
  kept: readonly string[],
): Promise<(found: Found) => boolean> {
  const left = new Set(skipped);
  const rules = await ignoreFiles(entries, objects);
  const isHidden = (path: string, isDirectory: boolean) => {
    const parents = parentsOf(path);
    const files = ["", ...parents.toReversed()].flatMap((folder) => rules.get(folder) ?? []);
    return isIgnored(path.split("/"), isDirectory, files);
  };
  return (found) => {
    if (partial) return false;
    const { path, type } = found;
    const parents = parentsOf(path);
    if (left.has(path) || parents.some((parent) => left.has(parent))) return false;
    if (kept.includes(path.split("/", 1)[0] ?? "")) return true;
    if (isHidden(path, type === "directory") || parents.some((parent) => isHidden(parent, true)))
      return false;
    return found.type !== "file" || found.size <= maxFileSize;
  };
}

async function ignoreFiles(
  entries: readonly ManifestEntry[],
  objects: Blobs,
): Promise<ReadonlyMap<string, IgnoreFile>> {
  const files = new Map<string, IgnoreFile>();
  for (const entry of entries) {
    const isRules = entry.path === ".gitignore" || entry.path.endsWith("/.gitignore");
    if (!isRules || entry.type !== "file" || entry.size > MAX_IGNORE_FILE) continue;
    const chunks: Uint8Array[] = [];
    for await (const chunk of contentOf(entry, objects)) chunks.push(chunk);
    const folder = entry.path.slice(0, -"/.gitignore".length);
    const depth = folder === "" ? 0 : folder.split("/").length;
    const file = parseIgnoreFile(Buffer.concat(chunks).toString("utf8"), depth);
    if (file !== undefined) files.set(folder, file);
  }
  return files;
}

// ---- fetching ----

const AT_ONCE = 8;

/** Where each file waits, by path. @throws AppError `corrupt` that names the file whose content is missing or damaged */
async function stage(
  entries: readonly ManifestEntry[],
  { staging, owner }: { readonly staging: string; readonly owner: Owner | undefined },
  { objects }: RestorePorts,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, string>> {
  const staged = new Map<string, string>();
  const files = entries.filter((entry) => entry.type === "file");
  await forEachBounded(files, AT_ONCE, async (entry) => {
    signal?.throwIfAborted();
    const draft = join(staging, newId("d"));
    await using file = await open(draft, "wx", 0o600);
    for await (const chunk of contentOf(entry, objects)) await writeAll(file, chunk);
    await give(file, owner);
    await file.chmod(entry.mode);
    await file.sync();
    staged.set(entry.path, draft);
  });
  return staged;
}

/** @throws AppError `corrupt` that names the file */
async function* contentOf({ path, hash, size }: ManifestFile, objects: Blobs): AsyncGenerator<Uint8Array> {
  let length = 0;
  try {
    for await (const chunk of objects.read(hash)) {
      length += chunk.length;
      if (length > size) break;
      yield chunk;
    }
  } catch (cause) {
    if (!(cause instanceof AppError)) throw cause;
    throw new AppError(cause.code, `${path} cannot be restored: ${cause.message}`, { cause });
  }
  if (length === size) return;
  throw new AppError("corrupt", `${path} cannot be restored: the content ${hash} is not ${size} bytes long`);
}
