import { createHash } from "node:crypto";
import { pipeline, Readable } from "node:stream";
import { createGunzip, createGzip } from "node:zlib";
import { AppError } from "../lib/errors.ts";

/**
 * The outermost layer: gzip, and behind it a seal, which is a second, empty gzip member whose comment holds the SHA-256 of
 * every byte before it. Tools that unpack gzip read over it. Without it some bytes could change unnoticed: gzip does not
 * check its own header, and the same content can be compressed in more than one way.
 */
export async function* sealed(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  for await (const chunk of through(content, createGzip())) {
    hash.update(chunk);
    yield chunk;
  }
  yield sealOf(hash.digest("hex"));
}

/**
 * The content of what `sealed` made. Ends only when the seal has been found right.
 * @throws AppError `invalid_input` for anything that is not exactly that; `too_large` for more than `limit` bytes.
 */
export async function* unsealed(
  source: AsyncIterable<Uint8Array>,
  limit: number,
): AsyncGenerator<Uint8Array> {
  try {
    yield* through(withoutSeal(source, limit), createGunzip());
  } catch (error) {
    const reason = isZlibError(error) ? zlibReasons[error.code] : undefined;
    if (reason === undefined) throw error;
    throw damaged(reason, error);
  }
}

const SEAL_WORDS = "holdfast sha256 ";
/** gzip: magic, deflate, with a comment, no time, unknown system. */
const SEAL_START = Buffer.from([0x1f, 0x8b, 8, 0x10, 0, 0, 0, 0, 0, 0xff]);
/** An empty stream, its checksum and its length. */
const SEAL_END = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const SEAL_BYTES = SEAL_START.length + SEAL_WORDS.length + 64 + 1 + SEAL_END.length;

function sealOf(digest: string): Uint8Array {
  return Buffer.concat([SEAL_START, Buffer.from(`${SEAL_WORDS}${digest}\0`, "latin1"), SEAL_END]);
}

/** Everything but the seal, which is compared at the end. */
async function* withoutSeal(source: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  let held: Uint8Array = Buffer.alloc(0);
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > limit) throw tooLarge(limit);
    const joined = Buffer.concat([held, chunk]);
    const ready = joined.subarray(0, Math.max(0, joined.length - SEAL_BYTES));
    held = joined.subarray(ready.length);
    if (ready.length === 0) continue;
    hash.update(ready);
    yield ready;
  }
  const seal = sealOf(hash.digest("hex"));
  if (Buffer.compare(held, seal) !== 0) throw damaged("its end is missing, or a part of it was changed");
}

function through(
  source: AsyncIterable<Uint8Array>,
  transform: ReturnType<typeof createGzip | typeof createGunzip>,
): AsyncIterable<Uint8Array> {
  // A failure of the one is a failure of the other, which its reader is told.
  return pipeline(Readable.from(source, { objectMode: false }), transform, () => {});
}

const zlibReasons: Readonly<Record<string, string>> = {
  Z_DATA_ERROR: "its compressed data does not fit together",
  Z_BUF_ERROR: "its end is missing",
  Z_NEED_DICT: "its compressed data does not fit together",
};

function isZlibError(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}

/** What is not, or no longer, a file that an export wrote. */
export function damaged(reason: string, cause?: unknown): AppError {
  return new AppError("invalid_input", `the file is no whole export of a session: ${reason}`, {
    hint: "Nothing was imported. Export the session again, or copy the file again.",
    cause,
  });
}

function tooLarge(limit: number): AppError {
  return new AppError("too_large", `the file is over the limit of ${limit} bytes`, {
    hint: "Raise the limit where it is to be imported, or export the session without its workspace.",
    details: { limitBytes: limit },
  });
}
