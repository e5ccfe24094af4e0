import { constants } from "node:fs";
import { copyFile, mkdir, open, rename, rm, rmdir, symlink, unlink } from "node:fs/promises";
import { join } from "node:path";
import { AppError, systemErrorCode } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { at, makeDirectoryAt, NO_LINK, type OpenDirectory, walk } from "../lib/open-directory.ts";
import { forEachBounded } from "../lib/streams.ts";
import { type Blobs, writeAll } from "./blobs.ts";
import { type IgnoreFile, isIgnored, parseIgnoreFile } from "./gitignore.ts";
import { parentsOf } from "./manifest.ts";
import { type Found, MAX_IGNORE_FILE, scanWorkspace } from "./scan.ts";
import type { Manifest, ManifestEntry, ManifestFile, Restored, Skipped } from "./snapshot.ts";
import type { KnownFiles } from "./stat-index.ts";

export interface RestorePorts {
  readonly objects: Blobs;
  readonly known: KnownFiles;
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
  const staging = join(ports.drafts, newId("d"));
  await mkdir(staging, { mode: 0o700 });
  try {
    const staged = await stage(plan.write, staging, ports, signal);
    signal?.throwIfAborted();
    const kept = await change(into, plan, staged);
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

interface Plan {
  /** What the snapshot would hold and does not. */
  readonly remove: readonly Found[];
  /** What is not there as it was. */
  readonly write: readonly ManifestEntry[];
}

async function planRestore(
  manifest: Manifest,
  into: string,
  { objects, known, kept }: RestorePorts,
  signal: AbortSignal | undefined,
): Promise<Plan> {
  const scan = await scanWorkspace(into, { maxFiles: Number.MAX_SAFE_INTEGER, kept, signal });
  const there = new Map(scan.found.map((found) => [found.path, found]));
  const wanted = new Map(manifest.entries.map((entry) => [entry.path, entry]));
  const isCovered = await coverage(manifest, objects, kept);
  const remove = scan.found.filter((found) => {
    const entry = wanted.get(found.path);
    // A file is replaced by a file or a link in one step; nothing is without either for a moment.
    if (entry !== undefined) return (entry.type === "directory") !== (found.type === "directory");
    return isCovered(found);
  });
  const write = manifest.entries.filter((entry) => !isThere(entry, there.get(entry.path), known));
  return { remove, write };
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
  staging: string,
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

// ---- changing ----

async function change(
  into: string,
  { remove, write }: Plan,
  staged: ReadonlyMap<string, string>,
): Promise<readonly Skipped[]> {
  const kept: Skipped[] = [];
  const touched = new Set<string>();
  for (const found of remove) await orKeep(found.path, kept, () => removeOne(into, found));
  await removeEmptied(into, remove, kept);
  for (const entry of write) {
    const names = entry.path.split("/");
    const name = names.pop() ?? "";
    await orKeep(entry.path, kept, async () => {
      await using parent = await walk(into, names, makeDirectoryAt);
      await whileWritable(parent, () => writeOne(parent, name, entry, staged.get(entry.path)));
      touched.add(names.join("/"));
    });
  }
  for (const folder of touched) {
    await using directory = await walk(into, folder === "" ? [] : folder.split("/"));
    await directory.handle.sync();
  }
  return kept;
}

/** One file that cannot be changed does not leave the rest half done. */
async function orKeep(path: string, kept: Skipped[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const why = whyKept(error);
    if (why === undefined) throw error;
    kept.push({ path, why });
  }
}

function whyKept(error: unknown): string | undefined {
  switch (systemErrorCode(error)) {
    case "EISDIR":
    case "ENOTDIR":
    case "EEXIST":
    case "ENOTEMPTY":
    case "ELOOP":
    case "EMLINK":
      return "something that no snapshot holds is in its place";
    case "EACCES":
    case "EPERM":
      return "it may not be changed";
    default:
      return undefined;
  }
}

/** Package managers like to make directories read-only. */
async function whileWritable(directory: OpenDirectory, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (systemErrorCode(error) !== "EACCES") throw error;
    const { mode } = await directory.handle.stat();
    await directory.handle.chmod((mode & 0o777) | 0o300);
    await work();
    await directory.handle.chmod(mode & 0o777);
  }
}

async function writeOne(
  parent: OpenDirectory,
  name: string,
  entry: ManifestEntry,
  draft: string | undefined,
): Promise<void> {
  switch (entry.type) {
    case "file":
      if (draft === undefined) throw new Error(`${entry.path} was not fetched`);
      await moveTo(draft, parent, name, entry.mode);
      return;
    case "link": {
      const beside = at(parent, `.${newId("tmp")}`);
      await symlink(entry.target, beside);
      await replaceBy(beside, at(parent, name));
      return;
    }
    case "directory": {
      await using directory = await makeDirectoryAt(parent, name);
      await directory.handle.chmod(entry.mode);
      return;
    }
  }
}

async function moveTo(draft: string, parent: OpenDirectory, name: string, mode: number): Promise<void> {
  try {
    await rename(draft, at(parent, name));
  } catch (error) {
    if (systemErrorCode(error) !== "EXDEV") throw error;
    const beside = at(parent, `.${newId("tmp")}`);
    await copyFile(draft, beside, constants.COPYFILE_EXCL);
    await using file = await open(beside, constants.O_RDONLY | NO_LINK);
    await file.chmod(mode);
    await file.sync();
    await replaceBy(beside, at(parent, name));
  }
}

async function replaceBy(beside: string, path: string): Promise<void> {
  try {
    await rename(beside, path);
  } catch (error) {
    await unlink(beside).catch(() => {});
    throw error;
  }
}

async function removeOne(into: string, { path, type }: Found): Promise<void> {
  const names = path.split("/");
  const name = names.pop() ?? "";
  try {
    await using parent = await walk(into, names);
    await whileWritable(parent, () =>
      type === "directory" ? rmdir(at(parent, name)) : unlink(at(parent, name)),
    );
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  }
}

/** Directories that held nothing else. Those that the snapshot has are made again with what is in them. */
async function removeEmptied(into: string, removed: readonly Found[], kept: Skipped[]): Promise<void> {
  const folders = new Set(removed.flatMap(({ path }) => parentsOf(path)));
  const deepestFirst = [...folders].sort((a, b) => b.split("/").length - a.split("/").length);
  for (const path of deepestFirst) {
    await orKeep(path, kept, () =>
      removeOne(into, { type: "directory", path, mode: 0 }).catch((error) => {
        const code = systemErrorCode(error);
        if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
      }),
    );
  }
}
