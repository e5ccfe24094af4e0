import { AppError } from "../lib/errors.ts";
import type { ImageBlock, ResultBlock, UserBlock } from "../log/content.ts";
import { formatBytes } from "./clean-text.ts";
import { examineImage, type ImageHeader } from "./image-header.ts";

/**
 * Images on their way into the log. What stands there is sent with every later request, so that it has to be something that
 * every provider takes: of a type that they know, whole, and no larger than is looked at anyway. Small images pass as they
 * are; larger ones are scaled down (`resize-image.ts`, loaded when the first one comes).
 */
export const imageLimits = {
  /** Pixels of the longest edge. Providers scale down to about this themselves, after they have counted the bytes. */
  edge: 1568,
  /** Of one image; 5 MB as base64, which is the least that a provider allows. */
  bytes: 3_750_000,
  /** Of all images in one message or result. */
  totalBytes: 15_000_000,
  /** Of an image that is to be scaled down: decoding takes twelve bytes for each. */
  pixels: 40_000_000,
} as const;

export type PreparedImage =
  | {
      readonly ok: true;
      /** With the type that the bytes have. The same object when nothing had to be changed. */
      readonly block: ImageBlock;
      readonly bytes: number;
      /** In pixels. */
      readonly width: number;
      readonly height: number;
      /** What it was before it was scaled down. */
      readonly original?: Pick<ImageHeader, "mediaType" | "width" | "height">;
    }
  /** `problem` completes "the image ...". */
  | { readonly ok: false; readonly problem: string };

/** @throws the signal's reason when it is aborted while an image is scaled down. */
export async function prepareImage(block: ImageBlock, signal?: AbortSignal): Promise<PreparedImage> {
  const bytes = bytesOf(block);
  const image = examineImage(bytes);
  if (!image.ok) return image;
  const { mediaType, width, height, orientation } = image;
  const { edge, bytes: maxBytes, pixels } = imageLimits;
  if (Math.max(width, height) <= edge && bytes.length <= maxBytes) {
    return { ok: true, block: asBlock(mediaType, bytes, block), bytes: bytes.length, width, height };
  }
  if (width * height > pixels) return { ok: false, problem: tooManyPixels(image) };
  const { resizeImage } = await import("./resize-image.ts");
  const small = await resizeImage({ bytes, mediaType, orientation, edge, maxBytes }, signal);
  if (!small.ok) return small;
  return {
    ok: true,
    block: asBlock(small.mediaType, small.bytes),
    bytes: small.bytes.length,
    width: small.width,
    height: small.height,
    original: { mediaType, width, height },
  };
}

/**
 * The images of a tool's result. One that cannot be shown becomes a text that says so: the call has happened, and the rest of
 * its result stands. @throws the signal's reason when it is aborted.
 */
export async function presentImages(
  blocks: readonly ResultBlock[],
  signal?: AbortSignal,
): Promise<readonly ResultBlock[]> {
  const shown: ResultBlock[] = [];
  let room: number = imageLimits.totalBytes;
  for (const block of blocks) {
    const image = block.type === "image" ? await prepareImage(block, signal) : undefined;
    if (image === undefined) shown.push(block);
    else if (!image.ok) shown.push(leftOut(image.problem));
    else if (image.bytes > room) shown.push(leftOut("does not fit into one result with those before it"));
    else {
      room -= image.bytes;
      shown.push(image.block);
    }
  }
  return shown;
}

/** The blocks of a person's message. @throws AppError `invalid_input` that says which image is wrong, and why. */
export async function prepareImages(blocks: readonly UserBlock[]): Promise<readonly UserBlock[]> {
  const prepared: UserBlock[] = [];
  let count = 0;
  let total = 0;
  for (const block of blocks) {
    if (block.type !== "image") {
      prepared.push(block);
      continue;
    }
    count += 1;
    const image = await prepareImage(block);
    if (!image.ok) throw refused(`image ${count} of the message ${image.problem}`, count);
    total += image.bytes;
    if (total > imageLimits.totalBytes) {
      throw refused(
        `the images of the message are over ${formatBytes(imageLimits.totalBytes)} in all`,
        count,
      );
    }
    prepared.push(image.block);
  }
  return prepared;
}

/** "image/png 800x600, 24 KB": an image in words. Size and type are left out where the bytes do not tell. @pure */
export function describeImage(block: ImageBlock): string {
  const bytes = bytesOf(block);
  const image = examineImage(bytes);
  const size = formatBytes(bytes.length);
  return image.ok
    ? `${image.mediaType} ${image.width}x${image.height}, ${size}`
    : `${block.mediaType}, ${size}`;
}

function bytesOf({ data }: ImageBlock): Buffer {
  // What tools hand over is often a whole data URL.
  return Buffer.from(data.replace(/^data:[^,]{0,100},/, ""), "base64");
}

/** Base64 is lenient to read and strict at providers, so that it is written anew where it differs. */
function asBlock(mediaType: string, bytes: Uint8Array, given?: ImageBlock): ImageBlock {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
  if (given !== undefined && given.mediaType === mediaType && given.data === data) return given;
  return { type: "image", mediaType, data };
}

function tooManyPixels({ width, height }: Pick<ImageHeader, "width" | "height">): string {
  const most = imageLimits.pixels / 1_000_000;
  return `has ${width}x${height} pixels; up to ${most} million can be scaled down here`;
}

function leftOut(problem: string): ResultBlock {
  return { type: "text", text: `[An image was left out: it ${problem}.]` };
}

function refused(message: string, image: number): AppError {
  return new AppError("invalid_input", message, {
    hint: "Send whole PNG, JPEG, GIF or WebP images.",
    details: { image },
  });
}
