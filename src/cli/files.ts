import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { AppError, errorMessage, systemErrorCode } from "../lib/errors.ts";
import type { Sandbox } from "../sandboxes/sandbox.ts";

export interface UploadFile {
  /** On this machine, absolute. */
  readonly path: string;
  /** In the workspace. */
  readonly name: string;
}

/** @throws AppError `not_found` or `invalid_input` for what is not a file, or for two of one name. */
export async function checkUploads(paths: readonly string[], cwd: string): Promise<readonly UploadFile[]> {
  const files = new Map<string, UploadFile>();
  for (const given of paths) {
    const path = resolve(cwd, given);
    const name = basename(path);
    const found = await stat(path).catch((cause: unknown) => {
      const isMissing = systemErrorCode(cause) === "ENOENT";
      const message = isMissing
        ? `there is no file ${path}`
        : `${path} cannot be read: ${errorMessage(cause)}`;
      throw new AppError("not_found", message, { cause });
    });
    if (!found.isFile())
      throw new AppError("invalid_input", `${given} is not a file`, {
        hint: "Name files, one --file for each.",
      });
    if (files.has(name)) {
      throw new AppError("invalid_input", `two files are named ${name}`, {
        hint: "They would overwrite each other in the workspace: rename one.",
      });
    }
    files.set(name, { path, name });
  }
  return [...files.values()];
}

const PIECE_BYTES = 4 * 1_048_576;

/** Copies a file into the workspace, in pieces, so that a big one takes no memory. */
export async function upload(sandbox: Sandbox, { path, name }: UploadFile): Promise<void> {
  let append = false;
  for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES })) {
    await sandbox.writeFile(name, piece, { append });
    append = true;
  }
  if (!append) await sandbox.writeFile(name, new Uint8Array());
}
