import { constants } from "node:fs";
import { copyFile, open, rename, rmdir, symlink, unlink } from "node:fs/promises";
import { systemErrorCode } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { at, makeDirectoryAt, NO_LINK, type OpenDirectory, walk } from "../lib/open-directory.ts";
import { parentsOf } from "./manifest.ts";
import type { Found } from "./scan.ts";
import type { ManifestEntry, Skipped } from "./snapshot.ts";

/** The last step of restoring a snapshot: what is to be written has been fetched and checked. */
export interface ChangePlan {
  /** What the snapshot would hold and does not. */
  readonly remove: readonly Found[];
  /** What is not there as it was. */
  readonly write: readonly ManifestEntry[];
}

/** Removes, then writes. Says what it had to leave; nothing is read here any more, so that little can fail. */
export async function changeFiles(
  into: string,
  { remove, write }: ChangePlan,
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
