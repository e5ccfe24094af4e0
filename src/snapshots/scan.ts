import { isUtf8 } from "node:buffer";
import { type BigIntStats, constants } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { systemErrorCode } from "../lib/errors.ts";
import { at, type OpenDirectory, openDirectoryAt, openFileAt, openRoot } from "../lib/open-directory.ts";
import { forEachBounded } from "../lib/streams.ts";
import { type IgnoreFile, isIgnored, MAX_RULES, parseIgnoreFile } from "./gitignore.ts";
import { isPlainPath } from "./manifest.ts";
import type { ManifestDirectory, ManifestLink, Skipped } from "./snapshot.ts";

/** What is in a workspace, by looking at it without reading it. Follows no link, and cannot be led out by one. */
export interface Scan {
  /** By path. */
  readonly found: readonly Found[];
  readonly skipped: readonly Skipped[];
  /** For people: what is in the snapshot and yet not heeded. */
  readonly notes: readonly Skipped[];
  /** There is more than `maxFiles`. */
  readonly partial: boolean;
}

export type Found = FoundFile | ManifestLink | ManifestDirectory;

export interface FoundFile {
  readonly type: "file";
  readonly path: string;
  readonly mode: number;
  readonly size: number;
  readonly stamp: Stamp;
}

/** Another one means that the content may be another one. */
export interface Stamp {
  /** Of size, times and number of the file. */
  readonly text: string;
  /** When it last changed, in nanoseconds, by the clock of the file system. */
  readonly changedNs: bigint;
}

export interface ScanOptions {
  readonly maxFiles: number;
  /** Names in the top of the workspace that no `.gitignore` hides. */
  readonly kept: readonly string[];
  readonly signal: AbortSignal | undefined;
}

/** Looks at this many files at once; Node has four threads for it. */
const AT_ONCE = 16;
/** One file descriptor is open for each level; nobody means to go this deep. */
const MAX_DEPTH = 64;
/** Bytes. */
export const MAX_IGNORE_FILE = 65_536;

export async function scanWorkspace(workspace: string, options: ScanOptions): Promise<Scan> {
  const found: Found[] = [];
  const skipped: Skipped[] = [];
  const notes: Skipped[] = [];
  let partial = false;

  async function enter(parent: OpenDirectory, names: readonly string[], inherited: readonly IgnoreFile[]) {
    options.signal?.throwIfAborted();
    const listed = await readdir(at(parent, "."), { encoding: "buffer" });
    const rules = [...inherited, ...(await rulesIn(parent, names))];
    const looks = await lookAt(parent, names, listed);
    const kept = looks.filter(({ path, stats }) => {
      const below = path.split("/");
      return isAlwaysKept(below) || !isIgnored(below, stats.isDirectory(), rules);
    });
    for (const look of kept.filter(({ stats }) => !stats.isDirectory())) await note(parent, look);
    // What people work on comes before the history of it, in case there is more than is allowed.
    const directories = kept.filter(({ stats }) => stats.isDirectory());
    for (const look of [...directories.filter(isNoHistory), ...directories.filter((d) => !isNoHistory(d))]) {
      if (partial) return;
      await descend(parent, look, rules);
    }
    if (listed.length === 0 && names.length > 0) {
      add({
        type: "directory",
        path: names.join("/"),
        mode: Number((await parent.handle.stat()).mode) & 0o777,
      });
    }
  }

  async function lookAt(parent: OpenDirectory, names: readonly string[], listed: readonly Buffer[]) {
    const looks: Look[] = [];
    await forEachBounded(listed, AT_ONCE, async (bytes) => {
      const name = bytes.toString("utf8");
      const path = [...names, name].join("/");
      if (!isUtf8(bytes)) skip(path, "its name is not UTF-8");
      else if (!isPlainPath(path)) skip(path.slice(0, 200), "its path is too long");
      else {
        const stats = await lstat(at(parent, name), { bigint: true }).catch(ignoreVanished);
        if (stats !== undefined) looks.push({ name, path, stats });
      }
    });
    return looks.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async function note(parent: OpenDirectory, { name, path, stats }: Look): Promise<void> {
    if (stats.isFile()) add({ type: "file", path, ...factsOf(stats) });
    else if (stats.isSymbolicLink()) {
      const target = await readlink(at(parent, name), { encoding: "buffer" }).catch(ignoreVanished);
      if (target === undefined) return;
      if (isUtf8(target)) add({ type: "link", path, target: target.toString("utf8") });
      else skip(path, "a link whose target is not UTF-8");
    } else skip(path, specialOf(stats));
  }

  async function descend(parent: OpenDirectory, { name, path }: Look, rules: readonly IgnoreFile[]) {
    const names = path.split("/");
    if (names.length > MAX_DEPTH) {
      skip(path, `more than ${MAX_DEPTH} folders deep`);
      return;
    }
    try {
      await using directory = await openDirectoryAt(parent, name);
      await enter(directory, names, rules);
    } catch (error) {
      const why = whyUnreadable(error);
      if (why === undefined) throw error;
      if (why !== null) skip(path, why);
    }
  }

  async function rulesIn(parent: OpenDirectory, names: readonly string[]): Promise<readonly IgnoreFile[]> {
    const text = await readIgnoreFile(parent);
    if (text === undefined) return [];
    const file = text === null ? undefined : parseIgnoreFile(text, names.length);
    if (file !== undefined) return [file];
    const why = `not heeded: longer than ${MAX_IGNORE_FILE / 1_024} KiB or ${MAX_RULES} rules`;
    notes.push({ path: [...names, ".gitignore"].join("/"), why });
    return [];
  }

  function isAlwaysKept([top = ""]: readonly string[]): boolean {
    return options.kept.includes(top);
  }

  function add(entry: Found): void {
    if (found.length < options.maxFiles) found.push(entry);
    else partial = true;
  }

  function skip(path: string, why: string): void {
    skipped.push({ path, why });
  }

  try {
    await using root = await openRoot(workspace);
    await enter(root, [], []);
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  }
  return { found: found.sort(byPath), skipped: skipped.sort(byPath), notes, partial };
}

export function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : 1;
}

interface Look {
  readonly name: string;
  readonly path: string;
  readonly stats: BigIntStats;
}

function isNoHistory({ name }: Look): boolean {
  return name !== ".git";
}

export function factsOf(stats: BigIntStats): Pick<FoundFile, "mode" | "size" | "stamp"> {
  const { size, mtimeNs, ctimeNs, ino } = stats;
  return {
    // Set-user-ID and the like would come back as somebody else's.
    mode: Number(stats.mode) & 0o777,
    size: Number(size),
    stamp: {
      text: `${size}.${mtimeNs}.${ctimeNs}.${ino}`,
      changedNs: mtimeNs > ctimeNs ? mtimeNs : ctimeNs,
    },
  };
}

/** Undefined when there is none, null when it is too long. A link is not followed, which git does not either. */
async function readIgnoreFile(parent: OpenDirectory): Promise<string | null | undefined> {
  try {
    await using file = await openFileAt(parent, ".gitignore", constants.O_RDONLY);
    const stats = await file.stat();
    if (!stats.isFile()) return undefined;
    if (stats.size > MAX_IGNORE_FILE) return null;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_IGNORE_FILE + 1));
    return bytesRead > MAX_IGNORE_FILE ? null : buffer.toString("utf8", 0, bytesRead);
  } catch (error) {
    if (systemErrorCode(error) === "ENXIO" || whyUnreadable(error) !== undefined) return undefined;
    throw error;
  }
}

function ignoreVanished(error: unknown): undefined {
  const code = systemErrorCode(error);
  if (code !== "ENOENT" && code !== "EINVAL") throw error;
}

/** Null when it is gone; undefined when it is something else that went wrong. */
export function whyUnreadable(error: unknown): string | null | undefined {
  switch (systemErrorCode(error)) {
    case "ENOENT":
      return null;
    case "EACCES":
    case "EPERM":
      return "it may not be read";
    case "ENOTDIR":
    case "ELOOP":
    case "EMLINK":
    case "ENXIO":
    case "EISDIR":
      return "it changed while it was read";
    case "EIO":
    case "ESTALE":
      return "it cannot be read";
    default:
      return undefined;
  }
}

function specialOf(stats: BigIntStats): string {
  if (stats.isSocket()) return "a socket";
  if (stats.isFIFO()) return "a FIFO";
  return "a device";
}
