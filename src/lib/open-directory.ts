import { constants } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { systemErrorCode } from "./errors.ts";

/**
 * Walking a tree name by name, from one open directory to the next, without following a link: one that is swapped in on
 * the way is an error (`ELOOP`, `ENOTDIR`) and not a way out. On Linux the walk goes through `/proc/self/fd`. Elsewhere
 * reading is as safe (`O_NOFOLLOW_ANY` on macOS), but creating and deleting go by path, and somebody who swaps a directory
 * in that moment could redirect them.
 */
export interface OpenDirectory extends AsyncDisposable {
  readonly handle: FileHandle;
  /** The path by which it was reached, for systems without `/proc/self/fd`. */
  readonly path: string;
}

const { O_DIRECTORY, O_NOCTTY, O_NONBLOCK, O_NOFOLLOW, O_RDONLY } = constants;

/** For `open`. macOS: no component of the path may be a link. Node does not name it. */
export const NO_LINK = process.platform === "darwin" ? 0x2000_0000 : O_NOFOLLOW;

/** The top of a walk. Links in its own path are followed: it is the caller's. */
export async function openRoot(directory: string): Promise<OpenDirectory> {
  return opened(await open(directory, O_RDONLY | O_DIRECTORY), directory);
}

/** A path for functions of `node:fs` that names an entry of the directory, wherever that has been moved to. */
export function at(parent: OpenDirectory, name: string): string {
  return process.platform === "linux"
    ? `/proc/self/fd/${parent.handle.fd}/${name}`
    : `${parent.path}/${name}`;
}

export async function openDirectoryAt(parent: OpenDirectory, name: string): Promise<OpenDirectory> {
  const handle = await open(at(parent, name), O_RDONLY | O_DIRECTORY | NO_LINK);
  return opened(handle, `${parent.path}/${name}`);
}

/** The same, made where it does not exist. */
export async function makeDirectoryAt(parent: OpenDirectory, name: string): Promise<OpenDirectory> {
  await mkdir(at(parent, name)).catch((error) => {
    if (systemErrorCode(error) !== "EEXIST") throw error;
  });
  return openDirectoryAt(parent, name);
}

/** Never waits for the other end of a FIFO, never takes a terminal. */
export function openFileAt(
  parent: OpenDirectory,
  name: string,
  flags: number,
  mode?: number,
): Promise<FileHandle> {
  return open(at(parent, name), flags | NO_LINK | O_NONBLOCK | O_NOCTTY, mode);
}

/** The directory below `root` that the names lead to; `enter` is `openDirectoryAt` or `makeDirectoryAt`. */
export async function walk(
  root: string,
  names: readonly string[],
  enter: (parent: OpenDirectory, name: string) => Promise<OpenDirectory> = openDirectoryAt,
): Promise<OpenDirectory> {
  let current = await openRoot(root);
  for (const name of names) {
    await using parent = current;
    current = await enter(parent, name);
  }
  return current;
}

function opened(handle: FileHandle, path: string): OpenDirectory {
  return { handle, path, [Symbol.asyncDispose]: () => handle.close() };
}
