import { realpath } from "node:fs/promises";
import { systemErrorCode } from "../lib/errors.ts";
import { hostFiles } from "./host-files.ts";

/**
 * The start of a text file in a session's workspace, at most `maxBytes` of it, without starting its sandbox: from the first
 * of the directories that exists (the workspace, else what it will be made from). Null when there is no such file.
 * @throws AppError when it is there and cannot be read, or when its link leads out of the directory.
 */
export async function readWorkspaceFile(
  directories: readonly (string | null)[],
  path: string,
  maxBytes: number,
): Promise<string | null> {
  for (const candidate of directories) {
    const directory = candidate === null ? undefined : await realpathIfAny(candidate);
    if (directory === undefined) continue;
    const files = hostFiles({ directory, roots: ["/workspace"] });
    const found = await files.readFile(path, { offset: 0, length: maxBytes });
    return found === undefined ? null : Buffer.from(found.bytes).toString("utf8");
  }
  return null;
}

async function realpathIfAny(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
