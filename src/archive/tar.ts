import { createTarDecoder, createTarPacker, type TarHeader } from "modern-tar";
import { isAppError } from "../lib/errors.ts";
import type { Member } from "./archive.ts";
import { damaged } from "./seal.ts";

/** A member on its way into a file. */
export interface Packed {
  readonly member: Member;
  /** Exactly as many bytes as `member` says. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** A tar of the members, each of which is opened when its turn comes. */
export async function* packed(members: AsyncIterable<Packed>, at: number): AsyncGenerator<Uint8Array> {
  const { readable, controller } = createTarPacker();
  const packing = pack(members, controller, new Date(at));
  // Told through the stream; whoever stops reading has no use for it.
  packing.catch((error: unknown) => controller.error(error));
  try {
    yield* readable;
  } finally {
    await packing.catch(() => {});
  }
}

async function pack(
  members: AsyncIterable<Packed>,
  controller: ReturnType<typeof createTarPacker>["controller"],
  mtime: Date,
): Promise<void> {
  for await (const { member, content } of members) {
    const writer = controller.add(headerOf(member, mtime)).getWriter();
    // Each write and the closing reject for the same reason, of which one is enough.
    writer.closed.catch(() => {});
    for await (const piece of content) await writer.write(piece);
    await writer.close();
  }
  controller.finalize();
}

function headerOf(member: Member, mtime: Date): TarHeader {
  switch (member.type) {
    case "file":
      return { name: member.name, type: "file", size: member.size, mode: member.mode, mtime };
    case "directory":
      return { name: `${member.name}/`, type: "directory", size: 0, mode: member.mode, mtime };
    case "link":
      return { name: member.name, type: "symlink", linkname: member.target, size: 0, mode: 0o777, mtime };
  }
}

/** A member as it stands in a file, before anything about it is believed. */
export interface Unpacked {
  readonly header: TarHeader;
  /** To be read to its end before the next member is asked for. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** The members of a tar, in order. @throws AppError `invalid_input` for what is no tar. */
export async function* unpacked(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Unpacked> {
  // One error is told twice, by what goes in and by what comes out; and what went in may say better what is wrong.
  let cause: unknown;
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      yield* tar;
    } catch (error) {
      cause = error;
      throw error;
    }
  }
  try {
    const members = ReadableStream.from(watched()).pipeThrough(createTarDecoder({ strict: true }));
    for await (const { header, body } of members) yield { header, content: told(body) };
  } catch (error) {
    throw meaning(error);
  }

  async function* told(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      throw meaning(error);
    }
  }
  function meaning(error: unknown): unknown {
    return cause ?? (isAppError(error) ? error : damaged("its parts do not fit together", error));
  }
}

/** Whether a member is the one that the manifest says stands here. */
export function isAs(header: TarHeader, member: Member): boolean {
  switch (member.type) {
    case "file":
      return header.type === "file" && header.name === member.name && header.size === member.size;
    case "directory":
      return header.type === "directory" && header.name === `${member.name}/`;
    case "link":
      return header.type === "symlink" && header.name === member.name && header.linkname === member.target;
  }
}
