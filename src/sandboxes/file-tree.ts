import { constants } from "node:fs";
import { type FileHandle, lstat, readdir, readlink } from "node:fs/promises";
import { systemErrorCode } from "../lib/errors.ts";
import { at, type OpenDirectory, openDirectoryAt, openFileAt, walk } from "../lib/open-directory.ts";

/** What is below a directory of the host, for whoever has to copy it. No link is followed on the way. */
export interface TreeNode {
  /** Below the directory, with slashes: "src/main.ts". */
  readonly path: string;
  /** `unnamable`: its name is not valid UTF-8; `path` is what can be shown of it. */
  readonly type: "file" | "directory" | "link" | "other" | "unnamable";
  /** The permission bits, without set-user-ID and the like. */
  readonly mode: number;
  /** Where a link points, as it says; null for others, and where that is not valid UTF-8. */
  readonly target: string | null;
}

/** Everything below a directory, each directory before what is in it, by the bytes of the names: always in the same order. */
export async function* walkTree(directory: string): AsyncGenerator<TreeNode> {
  await using root = await walk(directory, [], openDirectoryAt);
  yield* nodesIn(root, "");
}

/** What vanishes meanwhile is left out. */
async function* nodesIn(parent: OpenDirectory, prefix: string): AsyncGenerator<TreeNode> {
  const names = await readdir(at(parent, "."), { encoding: "buffer" });
  for (const bytes of names.sort(Buffer.compare)) {
    const name = bytes.toString("utf8");
    const path = `${prefix}${name}`;
    if (!Buffer.from(name).equals(bytes)) {
      yield { path, type: "unnamable", mode: 0, target: null };
      continue;
    }
    const node = await nodeAt(parent, name, path).catch(ignoreMissing);
    if (node === undefined) continue;
    yield node;
    if (node.type !== "directory") continue;
    const opened = await openDirectoryAt(parent, name).catch(ignoreMissing);
    if (opened === undefined) continue;
    await using inside = opened;
    yield* nodesIn(inside, `${path}/`);
  }
}

async function nodeAt(parent: OpenDirectory, name: string, path: string): Promise<TreeNode> {
  const stat = await lstat(at(parent, name));
  const mode = stat.mode & 0o777;
  if (stat.isFile()) return { path, type: "file", mode, target: null };
  if (stat.isDirectory()) return { path, type: "directory", mode, target: null };
  if (!stat.isSymbolicLink()) return { path, type: "other", mode, target: null };
  const bytes = await readlink(at(parent, name), { encoding: "buffer" });
  const target = bytes.toString("utf8");
  return { path, type: "link", mode, target: Buffer.from(target).equals(bytes) ? target : null };
}

const PIECE_BYTES = 256 * 1024;

/**
 * The bytes of a regular file below a directory, at the path that `walkTree` gave. A piece is valid until the next.
 * @throws What the system says when it is not there any more, or a link or something else is in its place.
 */
export async function* readTreeFile(directory: string, path: string): AsyncGenerator<Uint8Array> {
  await using file = await openTreeFile(directory, path);
  const buffer = Buffer.allocUnsafe(PIECE_BYTES);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function openTreeFile(directory: string, path: string): Promise<FileHandle> {
  const names = path.split("/");
  const name = names.pop() ?? "";
  await using parent = await walk(directory, names, openDirectoryAt);
  const file = await openFileAt(parent, name, constants.O_RDONLY);
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw Object.assign(new Error(`${path} is no regular file any more`), { code: "EINVAL" });
}

function ignoreMissing(error: unknown): undefined {
  const code = systemErrorCode(error);
  if (code !== "ENOENT" && code !== "ENOTDIR" && code !== "ELOOP") throw error;
}
