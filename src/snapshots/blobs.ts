import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { createDeflate, createInflate, deflate } from "node:zlib";
import type { Clock } from "../lib/clock.ts";
import { AppError, systemErrorCode } from "../lib/errors.ts";
import { newId, sha256 } from "../lib/ids.ts";

/**
 * A folder of contents, each in a file that is named by its SHA-256: "ab/cdef...". The file's first byte says how the rest
 * is kept: "p" as it is, "z" deflated. A content appears whole or not at all, and its file's time is when it was last asked to
 * be kept.
 */
export interface Blobs {
  /** Resolves before a power cut is survived: see `flush`. @throws AppError `corrupt` when it is not what `expected` names */
  put(content: AsyncIterable<Uint8Array>, expected?: string): Promise<{ hash: string; size: number }>;
  /** Everything that was put before it survives a power cut. */
  flush(): Promise<void>;
  /** @throws AppError `corrupt` when it is missing, or at the end, when it is damaged */
  read(hash: string): AsyncGenerator<Uint8Array>;
  has(hash: string): Promise<boolean>;
  /** Asks to keep it on. False when it is not there. */
  touch(hash: string): Promise<boolean>;
  list(): AsyncGenerator<string>;
  /** Removes it, unless somebody asked to keep it after `before` (milliseconds since 1970). */
  removeUnused(hash: string, before: number): Promise<boolean>;
}

export function openBlobs(folder: string, drafts: string, clock: Clock): Blobs {
  /** Folders that got a new name since they were last flushed. */
  let unflushed = new Set<string>();

  const pathOf = (hash: string) => join(folder, hash.slice(0, 2), hash.slice(2));

  async function touch(hash: string): Promise<boolean> {
    const now = clock.now() / 1_000;
    return found(utimes(pathOf(hash), now, now));
  }

  async function settle(draft: string, hash: string): Promise<void> {
    const path = pathOf(hash);
    try {
      await rename(draft, path);
    } catch (error) {
      if (systemErrorCode(error) !== "ENOENT") throw error;
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      unflushed.add(folder);
      await rename(draft, path);
    }
    const now = clock.now() / 1_000;
    await utimes(path, now, now);
    unflushed.add(dirname(path));
  }

  async function putWhole(bytes: Uint8Array, expected: string | undefined) {
    const hash = check(sha256(bytes), expected);
    if (!(await touch(hash))) {
      const kept = await packed(bytes);
      const draft = await writeDraft(drafts, (file) => file.writeFile(kept));
      await settleOrDiscard(draft, () => settle(draft, hash));
    }
    return { hash, size: bytes.length };
  }

  async function putStream(content: AsyncIterable<Uint8Array>, first: Uint8Array, expected?: string) {
    const digest = createHash("sha256");
    let size = 0;
    async function* counted() {
      for await (const chunk of content) {
        digest.update(chunk);
        size += chunk.length;
        yield chunk;
      }
    }
    const deflates = isDeflated(await packed(first));
    const draft = await writeDraft(drafts, async (file) => {
      await file.write(deflates ? "z" : "p");
      const write = (chunks: AsyncIterable<Uint8Array>) => writeChunks(file, chunks);
      if (deflates) await pipeline(counted, createDeflate({ level: 1 }), write);
      else await write(counted());
    });
    return settleOrDiscard(draft, async () => {
      const hash = check(digest.digest("hex"), expected);
      if (await touch(hash)) await unlink(draft);
      else await settle(draft, hash);
      return { hash, size };
    });
  }

  return {
    async put(content, expected) {
      const chunks = content[Symbol.asyncIterator]();
      const first = await nextOf(chunks);
      const second = await nextOf(chunks);
      if (second === undefined) return putWhole(first ?? new Uint8Array(), expected);
      const all = (async function* () {
        if (first !== undefined) yield first;
        yield second;
        for (let chunk = await nextOf(chunks); chunk !== undefined; chunk = await nextOf(chunks)) yield chunk;
      })();
      return putStream(all, first ?? second, expected);
    },

    async flush() {
      const folders = unflushed;
      unflushed = new Set();
      for (const path of folders) await syncFolder(path);
    },

    async *read(hash) {
      const digest = createHash("sha256");
      try {
        for await (const chunk of unpacked(pathOf(hash))) {
          digest.update(chunk);
          yield chunk;
        }
      } catch (error) {
        const code = systemErrorCode(error);
        if (code === "ENOENT") throw new AppError("corrupt", `the content ${hash} is missing`);
        if (code?.startsWith("Z_")) throw damaged(hash, error);
        throw error;
      }
      if (digest.digest("hex") !== hash) throw damaged(hash);
    },

    has: (hash) => found(stat(pathOf(hash))),
    touch,

    async *list() {
      for (const prefix of (await namesIn(folder)).filter((name) => /^[0-9a-f]{2}$/.test(name))) {
        for (const rest of await namesIn(join(folder, prefix))) {
          if (/^[0-9a-f]{62}$/.test(rest)) yield `${prefix}${rest}`;
        }
      }
    },

    async removeUnused(hash, before) {
      const path = pathOf(hash);
      if (!(await isOlder(path, before))) return false;
      // Out of the way first, then looked at again: whoever asked to keep it until now has it back, and whoever asks from now
      // on finds that it is not there and writes it anew.
      const away = join(drafts, newId("d"));
      if (!(await found(rename(path, away)))) return false;
      if (await isOlder(away, before)) {
        await unlink(away);
        return true;
      }
      await rename(away, path);
      return false;
    },
  };
}

/** Shorter ones take a block of the disk anyway. */
const WORTH_DEFLATING = 4_096;
const deflateAll = promisify(deflate);

/** Deflated where that saves an eighth. */
async function packed(bytes: Uint8Array): Promise<Uint8Array> {
  if (bytes.length > WORTH_DEFLATING) {
    const shorter = await deflateAll(bytes, { level: 1 });
    if (shorter.length < bytes.length * 0.875) return Buffer.concat([Buffer.from("z"), shorter]);
  }
  return Buffer.concat([Buffer.from("p"), bytes]);
}

function isDeflated(kept: Uint8Array): boolean {
  return kept[0] === "z".charCodeAt(0);
}

async function* unpacked(path: string): AsyncGenerator<Uint8Array> {
  await using file = await open(path, "r");
  const chunks = chunksOf(file);
  const first = (await nextOf(chunks)) ?? new Uint8Array();
  async function* rest() {
    yield first.subarray(1);
    yield* chunks;
  }
  yield* isDeflated(first) ? inflated(rest()) : rest();
}

async function* chunksOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
    // Nobody writes to it, so that is its end.
    if (bytesRead < CHUNK) return;
  }
}

async function* inflated(deflated: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const inflate = createInflate();
  const pumping = pipeline(deflated, inflate);
  // A reader hears of its failure from what it reads.
  pumping.catch(() => {});
  try {
    yield* inflate as AsyncIterable<Uint8Array>;
  } finally {
    inflate.destroy();
    await pumping.catch(() => {});
  }
}

async function writeChunks(file: FileHandle, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) await writeAll(file, chunk);
}

export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written)).bytesWritten;
  }
}

/** Bytes that are read, and hashed, at once. */
export const CHUNK = 256 * 1_024;

/** A file that is whole on disk, under a name that means nothing. */
async function writeDraft(drafts: string, write: (file: FileHandle) => Promise<unknown>): Promise<string> {
  const draft = join(drafts, newId("d"));
  const file = await open(draft, "wx", 0o600);
  return settleOrDiscard(draft, async () => {
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    return draft;
  });
}

async function settleOrDiscard<T>(draft: string, settle: () => Promise<T>): Promise<T> {
  try {
    return await settle();
  } catch (error) {
    await unlink(draft).catch(() => {});
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function check(hash: string, expected: string | undefined): string {
  if (expected === undefined || expected === hash) return hash;
  throw new AppError("corrupt", `the content that is to be ${expected} is ${hash}`);
}

function damaged(hash: string, cause?: unknown): AppError {
  return new AppError("corrupt", `the content ${hash} is damaged`, { cause });
}

async function nextOf(chunks: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
  const { done, value } = await chunks.next();
  return done ? undefined : value;
}

async function isOlder(path: string, before: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && found.mtimeMs < before;
}

async function found(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return false;
    throw error;
  }
}

/** None of a folder that does not exist. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error) => {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  });
}
