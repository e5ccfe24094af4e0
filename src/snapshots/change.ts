import { constants } from "node:fs";
import { copyFile, lchown, lstat, open, rename, rmdir, symlink, unlink } from "node:fs/promises";
import { systemErrorCode } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { at, NO_LINK, type OpenDirectory, openDirectoryAt, walk } from "../lib/open-directory.ts";
import { forEachBounded } from "../lib/streams.ts";
import { parentsOf } from "./manifest.ts";
import { give, makeDirectoriesFor, type Owner } from "./owner.ts";
import type { Found } from "./scan.ts";
import type { ManifestEntry, Skipped } from "./snapshot.ts";

/** The last step of restoring a snapshot: what is to be written has been fetched and checked. */
export interface ChangePlan {
  /** What the snapshot would hold and does not. */
  readonly remove: readonly Found[];
  /** What is not there as it was. */
  readonly write: readonly ManifestEntry[];
  /** Whether what is at a path now can be had again; what cannot stays. */
  readonly isHeld: (path: string) => boolean;
}

export interface ChangeMaterial {
  /** Where the contents of the files to write wait, by path. */
  readonly staged: ReadonlyMap<string, string>;
  readonly owner: Owner | undefined;
}

/** Folders that are changed at once. */
const AT_ONCE = 4;

/** Removes, then writes, folder by folder. Says what it had to leave; nothing is read here any more, so that little can fail. */
export async function changeFiles(
  into: string,
  { remove, write, isHeld }: ChangePlan,
  material: ChangeMaterial,
): Promise<readonly Skipped[]> {
  const kept: Skipped[] = [];
  const going = remove.filter(({ path }) => isHeld(path));
  for (const { path } of remove) if (!isHeld(path)) kept.push({ path, why: NOWHERE_ELSE });
  await forEachBounded([...byFolder(going)], AT_ONCE, ([folder, found]) =>
    orKeep(folder, kept, () => removeIn(into, folder, found, kept)),
  );
  await removeEmptied(into, going, kept);
  await forEachBounded([...byFolder(write)], AT_ONCE, async ([folder, entries]) => {
    const whyNone = await orWhy(async () => {
      await using parent = await walk(into, namesOf(folder), makeDirectoriesFor(material.owner));
      await using _ = await madeWritable(parent);
      for (const entry of entries) {
        await orKeep(entry.path, kept, () => writeOne(parent, entry, isHeld(entry.path), material));
      }
      await parent.handle.sync();
    });
    if (whyNone !== undefined) kept.push(...entries.map(({ path }) => ({ path, why: whyNone })));
  });
  return kept;
}

function byFolder<T extends { readonly path: string }>(entries: readonly T[]): ReadonlyMap<string, T[]> {
  return Map.groupBy(entries, ({ path }) => path.slice(0, Math.max(0, path.lastIndexOf("/"))));
}

function namesOf(folder: string): readonly string[] {
  return folder === "" ? [] : folder.split("/");
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

// ---- what cannot be done ----

/** One file that cannot be changed does not leave the rest half done. */
async function orKeep(path: string, kept: Skipped[], work: () => Promise<void>): Promise<void> {
  const why = await orWhy(work);
  if (why !== undefined) kept.push({ path, why });
}

async function orWhy(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    const why = whyKept(error);
    if (why === undefined) throw error;
    return why;
  }
}

const NOWHERE_ELSE = "no snapshot holds it as it is now";

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

/** Package managers like to make directories read-only. What is disposed of makes it so again. */
async function madeWritable({ handle }: OpenDirectory): Promise<AsyncDisposable> {
  const mode = (await handle.stat()).mode & 0o777;
  const isWritable = (mode & 0o300) === 0o300;
  if (!isWritable) await handle.chmod(mode | 0o300);
  return {
    async [Symbol.asyncDispose]() {
      if (!isWritable) await handle.chmod(mode);
    },
  };
}

// ---- writing ----

async function writeOne(
  parent: OpenDirectory,
  entry: ManifestEntry,
  mayReplace: boolean,
  { staged, owner }: ChangeMaterial,
): Promise<void> {
  const path = at(parent, nameOf(entry.path));
  if (!mayReplace && entry.type !== "directory" && (await isThere(path))) throw nowhereElse(path);
  switch (entry.type) {
    case "file": {
      const draft = staged.get(entry.path);
      if (draft === undefined) throw new Error(`${entry.path} was not fetched`);
      await moveTo(draft, parent, path, { mode: entry.mode, owner });
      return;
    }
    case "link": {
      const beside = at(parent, `.${newId("tmp")}`);
      await symlink(entry.target, beside);
      if (owner !== undefined) await lchown(beside, owner.uid, owner.gid);
      await replaceBy(beside, path);
      return;
    }
    case "directory": {
      await using directory = await makeDirectoriesFor(owner)(parent, nameOf(entry.path));
      await directory.handle.chmod(entry.mode);
      return;
    }
  }
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error) => {
      if (systemErrorCode(error) === "ENOENT") return false;
      throw error;
    },
  );
}

function nowhereElse(path: string): Error {
  return Object.assign(new Error(`${path} stays`), { code: "EEXIST" });
}

async function moveTo(
  draft: string,
  parent: OpenDirectory,
  path: string,
  { mode, owner }: { readonly mode: number; readonly owner: Owner | undefined },
): Promise<void> {
  try {
    await rename(draft, path);
  } catch (error) {
    if (systemErrorCode(error) !== "EXDEV") throw error;
    const beside = at(parent, `.${newId("tmp")}`);
    await copyFile(draft, beside, constants.COPYFILE_EXCL);
    await using file = await open(beside, constants.O_RDONLY | NO_LINK);
    await give(file, owner);
    await file.chmod(mode);
    await file.sync();
    await replaceBy(beside, path);
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

// ---- removing ----

async function removeIn(
  into: string,
  folder: string,
  found: readonly Found[],
  kept: Skipped[],
): Promise<void> {
  try {
    await using parent = await walk(into, namesOf(folder), openDirectoryAt);
    await using _ = await madeWritable(parent);
    for (const { path, type } of found) {
      await orKeep(path, kept, () => removeOne(at(parent, nameOf(path)), type));
    }
    await parent.handle.sync();
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  }
}

async function removeOne(path: string, type: Found["type"]): Promise<void> {
  try {
    await (type === "directory" ? rmdir(path) : unlink(path));
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  }
}

/** Directories that held nothing else. Those that the snapshot has are made again with what is in them. */
async function removeEmptied(into: string, removed: readonly Found[], kept: Skipped[]): Promise<void> {
  const folders = new Set(removed.flatMap(({ path }) => parentsOf(path)));
  const deepestFirst = [...folders].sort((a, b) => b.split("/").length - a.split("/").length);
  for (const path of deepestFirst) await orKeep(path, kept, () => removeIfEmpty(into, path));
}

async function removeIfEmpty(into: string, path: string): Promise<void> {
  try {
    await using parent = await walk(into, namesOf(path).slice(0, -1));
    await using _ = await madeWritable(parent);
    await rmdir(at(parent, nameOf(path)));
  } catch (error) {
    const code = systemErrorCode(error);
    if (code !== "ENOTEMPTY" && code !== "EEXIST" && code !== "ENOENT") throw error;
  }
}
