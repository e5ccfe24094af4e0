import { crc32, deflateSync } from "node:zlib";
import { PhotonImage } from "@silvia-odwyer/photon-node";

/** Images for tests, made of nothing. */

/** Red, green, blue, opacity of the pixel at (x, y); each 0 to 255. */
export type Paint = (x: number, y: number) => readonly [number, number, number, number];

const black: Paint = () => [0, 0, 0, 255];

export function pngImage(width: number, height: number, paint: Paint = black): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 6], 8);
  const pixels = pixelsOf(width, height, paint);
  // Each row begins with the kind of its filter: none.
  const rows = Buffer.alloc(height * (width * 4 + 1));
  for (let y = 0; y < height; y++) {
    rows.set(pixels.subarray(y * width * 4, (y + 1) * width * 4), y * (width * 4 + 1) + 1);
  }
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    pngChunk("IHDR", header),
    pngChunk("IDAT", deflateSync(rows, { level: 1 })),
    pngChunk("IEND", Buffer.alloc(0)),
  ]);
}

function pngChunk(name: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, checksum]);
}

/** `orientation`: how the camera was held, as EXIF has it. */
export function jpegImage(width: number, height: number, paint: Paint = black, orientation?: number): Buffer {
  const jpeg = Buffer.from(new PhotonImage(pixelsOf(width, height, paint), width, height).get_bytes_jpeg(95));
  if (orientation === undefined) return jpeg;
  return Buffer.concat([jpeg.subarray(0, 2), exif(orientation), jpeg.subarray(2)]);
}

function exif(orientation: number): Buffer {
  const tiff = Buffer.from("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0", "latin1");
  tiff.writeUInt16BE(orientation, 18);
  const data = Buffer.concat([Buffer.from("Exif\0\0", "latin1"), tiff]);
  const head = Buffer.from([0xff, 0xe1, 0, 0]);
  head.writeUInt16BE(data.length + 2, 2);
  return Buffer.concat([head, data]);
}

/** One pixel each. */
export const gifImage = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64");
export const webpImage = Buffer.from("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==", "base64");

/** What an image shows, decoded. */
export function pixelAt(image: Uint8Array, x: number, y: number): readonly number[] {
  const decoded = PhotonImage.new_from_byteslice(image);
  const at = (y * decoded.get_width() + x) * 4;
  return [...decoded.get_raw_pixels().subarray(at, at + 4)];
}

function pixelsOf(width: number, height: number, paint: Paint): Uint8Array {
  const pixels = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 4;
      [pixels[at], pixels[at + 1], pixels[at + 2], pixels[at + 3]] = paint(x, y);
    }
  }
  return pixels;
}
