import { createHash } from "node:crypto";
import { AppError, systemErrorCode } from "../lib/errors.ts";
import type { FileMember, Member } from "./archive.ts";

/** A member, and where its bytes are. */
export interface Content {
  readonly member: Member;
  read(): AsyncIterable<Uint8Array>;
}

export interface NamedFile extends Pick<Content, "read"> {
  readonly name: string;
  readonly mode: number;
}

/** Reads a file to its end, to know what it is. @throws AppError `conflict` when it vanishes; `forbidden`. */
export async function contentOf({ name, mode, read }: NamedFile): Promise<Content> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const piece of legible(name, read())) {
    hash.update(piece);
    size += piece.length;
  }
  return { member: { type: "file", name, mode, size, sha256: hash.digest("hex") }, read };
}

/** For whoever unpacks it: what is the owner's alone. */
export const PRIVATE = 0o600;

export function bodyless(member: Exclude<Member, FileMember>): Content {
  return { member, read: nothing };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** The bytes of a file as they were when it was looked at. @throws AppError `conflict` as soon as they are not. */
export async function* unchanged(
  { name, size, sha256: expected }: FileMember,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  let read = 0;
  for await (const piece of legible(name, content)) {
    hash.update(piece);
    read += piece.length;
    if (read > size) throw changed(name);
    // What packs it keeps it for a while, and whoever reads it uses its memory again.
    yield Uint8Array.from(piece);
  }
  if (read !== size || hash.digest("hex") !== expected) throw changed(name);
}

/** What the file system says about a file that somebody works on, or keeps to themselves, as an error for people. */
async function* legible(name: string, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* content;
  } catch (error) {
    switch (systemErrorCode(error)) {
      case "ENOENT":
      case "ENOTDIR":
      case "ELOOP":
      case "EINVAL":
        throw changed(name, error);
      case "EACCES":
      case "EPERM":
        throw new AppError("forbidden", `${name} cannot be read: permission denied`, {
          hint: "Make it readable for the user who runs Holdfast, or export with --no-workspace.",
          cause: error,
        });
      default:
        throw error;
    }
  }
}

/** Somebody works on what is being exported. */
export function changed(name: string, cause?: unknown): AppError {
  return new AppError("conflict", `the session changed while it was exported: ${name}`, {
    hint: "Export it again when nothing works on it or its files any more.",
    cause,
  });
}
