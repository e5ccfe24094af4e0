import type { FileHandle } from "node:fs/promises";
import { stat } from "node:fs/promises";
import { makeDirectoryAt, type OpenDirectory } from "../lib/open-directory.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Who has to own what is made in a directory. Only for root is that somebody else: its sandboxes have users of their own, who
 * could not change what is root's. Undefined for everybody else, whose files are their own anyway.
 */
export async function ownerOf(directory: string): Promise<Owner | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(directory);
  return uid === 0 && gid === 0 ? undefined : { uid, gid };
}

export async function give(handle: FileHandle, owner: Owner | undefined): Promise<void> {
  if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
}

/** For `walk`: makes what is missing, as the owner's. One that is root's is of an attempt that was broken off. */
export function makeDirectoriesFor(owner: Owner | undefined) {
  return async (parent: OpenDirectory, name: string): Promise<OpenDirectory> => {
    const directory = await makeDirectoryAt(parent, name);
    if (owner !== undefined && (await directory.handle.stat()).uid === 0) await give(directory.handle, owner);
    return directory;
  };
}
