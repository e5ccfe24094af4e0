import { constants } from "node:fs";
import { type FileHandle, lstat, open, readdir, readlink, rename, rmdir, unlink } from "node:fs/promises";
import { AppError, systemErrorCode } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import {
  at,
  makeDirectoryAt,
  NO_LINK,
  type OpenDirectory,
  openDirectoryAt,
  openFileAt,
  walk,
} from "../lib/open-directory.ts";
import type { SandboxFiles } from "./in-process.ts";
import type { DirectoryEntry, FileStat } from "./sandbox.ts";

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = constants;

/**
 * File operations on a directory of the host that cannot leave it, for drivers without an agent inside.
 *
 * A path is first resolved in the terms of the sandbox to names without links, dots or anything outside. What was resolved is
 * then walked name by name from an open directory without following a link (`lib/open-directory.ts`), so a link that is swapped in
 * between is an error and not a way out.
 */
export interface HostFiles extends SandboxFiles {
  /** The directory's path on the host. @throws AppError `invalid_input` when it is no directory, `forbidden` outside. */
  hostDirectory(path: string): Promise<string>;
}

export interface HostDirectory {
  /** Absolute, without symbolic links. */
  readonly directory: string;
  /** Absolute paths that name `directory` inside the sandbox. */
  readonly roots: readonly string[];
  /**
   * Where new content waits until it is whole, outside of what commands see. Default, and where this is on another file
   * system: beside the file.
   */
  readonly drafts?: string;
}

export function hostFiles(workspace: HostDirectory): HostFiles {
  return {
    readFile: (path, range) =>
      told(path, async () => {
        const { names, name } = await locate(workspace, path);
        if (name === undefined) throw isDirectory(path);
        await using parent = await openParent(workspace, names);
        await using file = await openFileAt(parent, name, O_RDONLY);
        const size = (await regular(file, path)).size;
        const bytes = await readRange(file, range?.offset ?? 0, range?.length ?? size, size);
        return { bytes, size };
      }),

    writeFile: async (path, content, options) => {
      await told(path, async () => {
        const { names, name } = await locate(workspace, path);
        if (name === undefined) throw isDirectory(path);
        await using parent = await makeParent(workspace, names);
        if (options?.append) await append(parent, name, content, path);
        else await replace(parent, name, content, { path, drafts: workspace.drafts });
        return true;
      }).then((done) => {
        if (!done) throw new AppError("invalid_input", `${path}: a part of the path is not a directory.`);
      });
    },

    stat: (path) =>
      told(path, async () => {
        const { names, name } = await locate(workspace, path);
        await using parent = await openParent(workspace, names);
        return fileStat(name === undefined ? await parent.handle.stat() : await lstat(at(parent, name)));
      }),

    listDirectory: (path) =>
      told(path, async () => {
        const { names, name } = await locate(workspace, path);
        await using parent = await openParent(workspace, names);
        if (name === undefined) return await entriesOf(parent);
        await using directory = await openDirectoryAt(parent, name).catch(async (error) => {
          throw systemErrorCode(error) === "ENOTDIR" ? notDirectory(path) : error;
        });
        return await entriesOf(directory);
      }),

    deleteFile: async (path, options) => {
      const deleted = await told(path, async () => {
        const { names, name } = await locate(workspace, path, { followLast: false });
        if (name === undefined) throw new AppError("invalid_input", `${path} is the workspace itself.`);
        await using parent = await openParent(workspace, names);
        const isDir = (await lstat(at(parent, name))).isDirectory();
        if (!isDir) await unlink(at(parent, name));
        else if (options?.recursive) await removeTree(parent, name);
        else await rmdir(at(parent, name));
        return true;
      });
      return deleted ?? false;
    },

    async hostDirectory(path) {
      const found = await told(path, async () => {
        const { names, name } = await locate(workspace, path);
        await using parent = await openParent(workspace, names);
        if (name === undefined) return workspace.directory;
        await using _directory = await openDirectoryAt(parent, name);
        return [workspace.directory, ...names, name].join("/");
      });
      if (found === undefined) throw notDirectory(path);
      return found;
    },
  };
}

// ---- resolving ----

interface Location {
  /** The directories on the way, none of them a link when they were looked at. */
  readonly names: readonly string[];
  /** The last name; undefined for the workspace itself. */
  readonly name: string | undefined;
}

/** Linux allows as many. */
const MAX_LINKS = 40;

async function locate(
  { directory, roots }: HostDirectory,
  path: string,
  { followLast = true }: { readonly followLast?: boolean } = {},
): Promise<Location> {
  if (path.includes("\0")) throw new AppError("invalid_input", "A path cannot contain a NUL character.");
  const pending = partsOf(path, roots, path);
  const resolved: string[] = [];
  let links = 0;
  for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      if (resolved.pop() === undefined) throw outside(path);
      continue;
    }
    const isLast = pending.every((later) => later === "" || later === ".");
    const target =
      isLast && !followLast ? undefined : await linkTarget([directory, ...resolved, part].join("/"));
    if (target === undefined) {
      resolved.push(part);
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) throw new AppError("invalid_input", `${path}: too many symbolic links.`);
    if (target.startsWith("/")) resolved.length = 0;
    pending.unshift(...partsOf(target, roots, path));
  }
  return { names: resolved.slice(0, -1), name: resolved.at(-1) };
}

/** The names of a path below the root. @throws AppError `forbidden` for an absolute path elsewhere. */
function partsOf(path: string, roots: readonly string[], asGiven: string): string[] {
  if (!path.startsWith("/")) return path.split("/");
  for (const root of roots) {
    if (path === root || path.startsWith(`${root}/`)) return path.slice(root.length).split("/");
  }
  throw outside(asGiven);
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "EINVAL" || code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

// ---- walking ----

function openParent({ directory }: HostDirectory, names: readonly string[]): Promise<OpenDirectory> {
  return walk(directory, names, openDirectoryAt);
}

function makeParent({ directory }: HostDirectory, names: readonly string[]): Promise<OpenDirectory> {
  return walk(directory, names, makeDirectoryAt);
}

// ---- doing ----

async function regular(file: FileHandle, path: string) {
  const stat = await file.stat();
  if (stat.isDirectory()) throw isDirectory(path);
  if (!stat.isFile()) throw notRegular(path);
  return stat;
}

async function readRange(
  file: FileHandle,
  offset: number,
  length: number,
  size: number,
): Promise<Uint8Array> {
  const buffer = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** By a new file that takes the old one's name: a crash, or a reader in between, sees the one or the other whole. */
async function replace(
  parent: OpenDirectory,
  name: string,
  content: Uint8Array,
  { path, drafts }: { readonly path: string; readonly drafts: string | undefined },
): Promise<void> {
  const old = await lstat(at(parent, name)).catch(ignoreMissing);
  if (old?.isDirectory()) throw isDirectory(path);
  if (old && !old.isFile() && !old.isSymbolicLink()) throw notRegular(path);
  const mode = old?.isFile() ? old.mode & 0o777 : undefined;
  const draft = `.${newId("tmp")}`;
  const target = at(parent, name);
  if (drafts === undefined || !(await movesFrom(`${drafts}/${draft}`, target, content, mode))) {
    await moveInto(at(parent, draft), target, content, mode);
  }
  await parent.handle.sync();
}

/** False when the draft cannot be moved from there: the place is on another file system, or was removed. */
async function movesFrom(...draft: Parameters<typeof moveInto>): Promise<boolean> {
  try {
    await moveInto(...draft);
    return true;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "EXDEV" || code === "ENOENT") return false;
    throw error;
  }
}

async function moveInto(
  draft: string,
  target: string,
  content: Uint8Array,
  mode: number | undefined,
): Promise<void> {
  try {
    await using file = await open(draft, O_WRONLY | O_CREAT | O_EXCL | NO_LINK, 0o666);
    if (mode !== undefined) await file.chmod(mode);
    await writeAll(file, content);
    await file.sync();
    await rename(draft, target);
  } catch (error) {
    await unlink(draft).catch(() => undefined);
    throw error;
  }
}

async function append(parent: OpenDirectory, name: string, content: Uint8Array, path: string): Promise<void> {
  await using file = await openFileAt(parent, name, O_WRONLY | O_APPEND | O_CREAT, 0o666);
  const { size } = await regular(file, path);
  try {
    await writeAll(file, content);
  } catch (error) {
    await file.truncate(size).catch(() => undefined);
    throw error;
  }
}

async function writeAll(file: FileHandle, content: Uint8Array): Promise<void> {
  let written = 0;
  while (written < content.length) {
    written += (await file.write(content, written, content.length - written)).bytesWritten;
  }
}

async function entriesOf(directory: OpenDirectory): Promise<readonly DirectoryEntry[]> {
  const names = (await readdir(at(directory, "."))).sort();
  const entries = await Promise.all(
    names.map(async (name) => {
      const stat = await lstat(at(directory, name)).catch(ignoreMissing);
      return (
        stat && { name, type: stat.isSymbolicLink() ? ("symlink" as const) : typeOf(stat), size: stat.size }
      );
    }),
  );
  return entries.filter((entry) => entry !== undefined);
}

/** Deletes a directory with everything in it. A link is deleted itself, also one that is swapped in meanwhile. */
async function removeTree(parent: OpenDirectory, name: string): Promise<void> {
  {
    await using directory = await openDirectoryAt(parent, name);
    for (const entry of await entriesOf(directory)) {
      if (entry.type === "directory") await removeTree(directory, entry.name);
      else await unlink(at(directory, entry.name)).catch(ignoreMissing);
    }
  }
  await rmdir(at(parent, name));
}

type Stats = Awaited<ReturnType<typeof lstat>>;

function typeOf(stat: Stats): FileStat["type"] {
  if (stat.isFile()) return "file";
  return stat.isDirectory() ? "directory" : "other";
}

function fileStat(stat: Stats): FileStat {
  return { type: typeOf(stat), size: Number(stat.size), modifiedAt: Math.round(Number(stat.mtimeMs)) };
}

function ignoreMissing(error: unknown): undefined {
  if (systemErrorCode(error) !== "ENOENT") throw error;
}

// ---- telling ----

/** Runs file-system work and translates its errors. Undefined when there is nothing at the path. */
async function told<T>(path: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    switch (systemErrorCode(error)) {
      case "ENOENT":
      case "ENOTDIR":
        return undefined;
      case "EISDIR":
        throw isDirectory(path);
      case "ENOTEMPTY":
        throw new AppError("invalid_input", `The directory ${path} is not empty.`, {
          hint: "Delete it recursively.",
        });
      case "ELOOP":
      case "EMLINK":
        throw new AppError("forbidden", `${path}: a symbolic link appeared in the path while it was used.`);
      case "ENXIO":
        throw notRegular(path);
      case "ENAMETOOLONG":
        throw new AppError("invalid_input", `The path is too long: ${path.slice(0, 80)}...`);
      case "EACCES":
      case "EPERM":
      case "EROFS":
        throw new AppError("forbidden", `${path}: permission denied.`, { cause: error });
      case "ENOSPC":
      case "EDQUOT":
        throw new AppError("no_space", `No space is left to write ${path}.`, { cause: error });
      case "EFBIG":
        throw new AppError("too_large", `${path} would become too large.`, { cause: error });
      default:
        throw error;
    }
  }
}

const outside = (path: string) =>
  new AppError("forbidden", `${path} is outside the workspace.`, {
    hint: "Use a path in the workspace.",
  });
const isDirectory = (path: string) => new AppError("invalid_input", `${path} is a directory, not a file.`);
const notDirectory = (path: string) => new AppError("invalid_input", `${path} is not a directory.`);
const notRegular = (path: string) =>
  new AppError("invalid_input", `${path} is not a regular file (a FIFO, socket or device).`);
