import { crc32 } from "node:zlib";

/** The types that models take. */
export type ImageType = "image/png" | "image/jpeg" | "image/gif" | "image/webp";

export interface ImageHeader {
  /** What the bytes are, whatever the name or the label says. */
  readonly mediaType: ImageType;
  /** In pixels, as stored: a camera's orientation is not applied. */
  readonly width: number;
  readonly height: number;
  /** How a camera was held: 1 to 8 as in EXIF; 1 is upright. */
  readonly orientation: number;
}

export type ExaminedImage =
  | ({ readonly ok: true } & ImageHeader)
  /** `problem` completes "the image ...". */
  | { readonly ok: false; readonly problem: string };

/**
 * Type and size of an image from its bytes, and whether all of it is there. Nothing is decoded, so that it costs next to
 * nothing; what cannot be wrong without decoding (cut off, mangled, mislabelled) is found, since one image that a provider
 * refuses would make it refuse every later request of the session.
 * @pure
 */
export function examineImage(bytes: Uint8Array): ExaminedImage {
  const image = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (image.length === 0) return { ok: false, problem: "is empty" };
  const format = formats.find(({ matches }) => matches(image));
  if (format === undefined) return { ok: false, problem: foreignFormat(image) };
  const { mediaType, read } = format;
  try {
    const size = read(image);
    if (typeof size === "string") return damaged(size);
    if (size.width === 0 || size.height === 0) return damaged("it has no pixels");
    return { ok: true, mediaType, orientation: 1, ...size };
  } catch (error) {
    // Buffer's readers throw for places behind the end.
    if (error instanceof RangeError) return damaged(CUT_OFF);
    throw error;
  }
}

/** The type that the first bytes announce, undefined when it is none that models take. Twelve bytes are enough. */
export function imageTypeOf(start: Uint8Array): ImageType | undefined {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength);
  return formats.find(({ matches }) => matches(bytes))?.mediaType;
}

const CUT_OFF = "its end is missing";

function damaged(why: string): ExaminedImage {
  return { ok: false, problem: `is damaged: ${why}` };
}

type Size = Pick<ImageHeader, "width" | "height"> & Partial<Pick<ImageHeader, "orientation">>;

interface Format {
  readonly mediaType: ImageType;
  readonly matches: (image: Buffer) => boolean;
  /** The size, or what is wrong. May throw RangeError where bytes are missing. */
  readonly read: (image: Buffer) => Size | string;
}

const formats: readonly Format[] = [
  { mediaType: "image/png", matches: startsWith("\x89PNG\r\n\x1a\n"), read: readPng },
  { mediaType: "image/jpeg", matches: startsWith("\xff\xd8\xff"), read: readJpeg },
  { mediaType: "image/gif", matches: startsWith("GIF8"), read: readGif },
  {
    mediaType: "image/webp",
    matches: (image) => startsWith("RIFF")(image) && startsWith("WEBP", 8)(image),
    read: readWebp,
  },
];

function startsWith(signature: string, at = 0): (image: Buffer) => boolean {
  return (image) => image.toString("latin1", at, at + signature.length) === signature;
}

// ---- what models do not take, by name ----

/** The only one of them that is text. */
export const SVG = "an SVG image";

const foreign: readonly (readonly [name: string, matches: (image: Buffer) => boolean])[] = [
  ["a BMP image", startsWith("BM")],
  ["a TIFF image", (image) => startsWith("II*\0")(image) || startsWith("MM\0*")(image)],
  ["an AVIF image", startsWith("ftypavif", 4)],
  ["a HEIC image", (image) => /^ftyp(?:hei|hev|mif|msf)/.test(image.toString("latin1", 4, 12))],
  ["an icon file", startsWith("\0\0\x01\0")],
  ["a PDF", startsWith("%PDF")],
  [SVG, (image) => /^\s*(?:<\?xml.*?|<!--.*?)?<svg\b/is.test(image.toString("utf8", 0, 1024))],
];

/** "a BMP image", for one of those that models do not take; undefined for anything else. 1024 bytes are enough. */
export function foreignImageOf(start: Uint8Array): string | undefined {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength);
  return foreign.find(([, matches]) => matches(bytes))?.[0];
}

function foreignFormat(image: Buffer): string {
  const name = foreignImageOf(image);
  return name === undefined
    ? "is not of a known type; models take PNG, JPEG, GIF and WebP"
    : `is ${name}; models take PNG, JPEG, GIF and WebP`;
}

// ---- PNG: chunks of length, name, data and checksum ----

function readPng(image: Buffer): Size | string {
  if (image.toString("latin1", 12, 16) !== "IHDR") return "it has no header";
  const size = { width: image.readUInt32BE(16), height: image.readUInt32BE(20) };
  let hasPixels = false;
  for (let at = 8; ; ) {
    const end = at + 8 + image.readUInt32BE(at);
    const name = image.toString("latin1", at + 4, at + 8);
    if (crc32(image.subarray(at + 4, end)) !== image.readUInt32BE(end)) return "a checksum is wrong";
    if (name === "IDAT") hasPixels = true;
    if (name === "IEND") return hasPixels ? size : "it has no pixels";
    at = end + 4;
  }
}

// ---- JPEG: segments of marker and length, then the coded picture up to its end marker ----

const START_OF_SCAN = 0xda;
const APP1 = 0xe1;
const END_OF_IMAGE = Buffer.from([0xff, 0xd9]);

function readJpeg(image: Buffer): Size | string {
  let size: Size | undefined;
  let orientation = 1;
  for (let at = 2; ; ) {
    if (image.readUInt8(at) !== 0xff) return "a segment does not begin where the one before it ends";
    const marker = image.readUInt8(at + 1);
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const length = image.readUInt16BE(at + 2);
    if (length < 2) return "a segment has no length";
    const segment = image.subarray(at + 4, at + 2 + length);
    if (isFrame(marker)) size = { height: segment.readUInt16BE(1), width: segment.readUInt16BE(3) };
    if (marker === APP1) orientation = orientationOf(segment) ?? orientation;
    at += 2 + length;
    if (marker !== START_OF_SCAN) continue;
    if (size === undefined) return "it does not say its size";
    // A preview in the segments before has an end marker of its own.
    return image.includes(END_OF_IMAGE, at) ? { ...size, orientation } : CUT_OFF;
  }
}

/** The markers that begin a frame, of which some numbers between mean something else. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

const ORIENTATION = 0x0112;

/** From the EXIF data of a camera: a little TIFF file whose first directory is searched. */
function orientationOf(segment: Buffer): number | undefined {
  if (segment.toString("latin1", 0, 6) !== "Exif\0\0") return undefined;
  const tiff = segment.subarray(6);
  const isLittle = tiff.toString("latin1", 0, 2) === "II";
  const two = (at: number) => (isLittle ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at));
  const four = (at: number) => (isLittle ? tiff.readUInt32LE(at) : tiff.readUInt32BE(at));
  try {
    const directory = four(4);
    for (let i = 0; i < two(directory); i++) {
      const field = directory + 2 + i * 12;
      if (two(field) !== ORIENTATION) continue;
      const value = two(field + 8);
      return value >= 1 && value <= 8 ? value : undefined;
    }
  } catch {
    // Metadata that cannot be read is not worth the picture.
  }
  return undefined;
}

// ---- GIF: a screen, then extensions and images of blocks with their lengths, then a trailer ----

function readGif(image: Buffer): Size | string {
  const size = { width: image.readUInt16LE(6), height: image.readUInt16LE(8) };
  let hasImage = false;
  for (let at = 13 + colourTable(image.readUInt8(10)); ; ) {
    const introducer = image.readUInt8(at);
    if (introducer === 0x3b) return hasImage ? size : "it has no picture";
    if (introducer === 0x21) at = behindBlocks(image, at + 2);
    else if (introducer === 0x2c) {
      hasImage = true;
      at = behindBlocks(image, at + 11 + colourTable(image.readUInt8(at + 9)));
    } else return "a block is of no known kind";
  }
}

/** Bytes of the colour table that the flags announce. */
function colourTable(flags: number): number {
  return flags & 0x80 ? 3 * 2 ** ((flags & 0x07) + 1) : 0;
}

function behindBlocks(image: Buffer, start: number): number {
  let at = start;
  for (let length = image.readUInt8(at); length > 0; length = image.readUInt8(at)) at += 1 + length;
  return at + 1;
}

// ---- WebP: one of three kinds of first chunk ----

function readWebp(image: Buffer): Size | string {
  if (image.readUInt32LE(4) + 8 > image.length) return CUT_OFF;
  switch (image.toString("latin1", 12, 16)) {
    case "VP8 ":
      return { width: image.readUInt16LE(26) & 0x3fff, height: image.readUInt16LE(28) & 0x3fff };
    case "VP8L": {
      const bits = image.readUInt32LE(21);
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case "VP8X":
      return { width: image.readUIntLE(24, 3) + 1, height: image.readUIntLE(27, 3) + 1 };
    default:
      return "it has no picture";
  }
}
