import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { gifImage, jpegImage, type Paint, pixelAt, pngImage, webpImage } from "../../test/sample-images.ts";
import type { ImageBlock } from "../log/content.ts";
import { examineImage } from "./image-header.ts";
import { describeImage, imageLimits, prepareImage, prepareImages, presentImages } from "./images.ts";

const block = (bytes: Uint8Array, mediaType = "image/png"): ImageBlock => ({
  type: "image",
  mediaType,
  data: Buffer.from(bytes).toString("base64"),
});

describe("examineImage", () => {
  test.each([
    { what: "PNG", bytes: pngImage(3, 2), mediaType: "image/png", width: 3, height: 2 },
    { what: "JPEG", bytes: jpegImage(30, 20), mediaType: "image/jpeg", width: 30, height: 20 },
    { what: "GIF", bytes: gifImage, mediaType: "image/gif", width: 1, height: 1 },
    { what: "WebP", bytes: webpImage, mediaType: "image/webp", width: 1, height: 1 },
  ])("finds type and size of a $what", ({ what: _, bytes, ...header }) => {
    expect(examineImage(bytes)).toEqual({ ok: true, orientation: 1, ...header });
  });

  test("finds how the camera was held", () => {
    expect(examineImage(jpegImage(30, 20, undefined, 6))).toMatchObject({ width: 30, orientation: 6 });
  });

  test.each([
    { what: "PNG", bytes: pngImage(3, 2) },
    { what: "JPEG", bytes: jpegImage(30, 20) },
    { what: "JPEG of a camera", bytes: jpegImage(30, 20, undefined, 6) },
    { what: "GIF", bytes: gifImage },
    { what: "WebP", bytes: webpImage },
  ])("finds a $what that is cut off, wherever it is cut", ({ bytes }) => {
    for (let length = 12; length < bytes.length; length++) {
      expect(examineImage(bytes.subarray(0, length)), `${length} bytes`).toMatchObject({
        ok: false,
        problem: expect.stringMatching(/^is damaged: /),
      });
    }
  });

  test("finds a PNG in which a byte was changed", () => {
    const png = pngImage(3, 2);
    png[20] = 1;
    expect(examineImage(png)).toEqual({ ok: false, problem: "is damaged: a checksum is wrong" });
  });

  test.each([
    ["", "is empty"],
    ["BM......", "is a BMP image"],
    ["II*\0....", "is a TIFF image"],
    ["MM\0*....", "is a TIFF image"],
    ["\0\0\0\x20ftypheic", "is a HEIC image"],
    ["\0\0\0\x20ftypavif", "is an AVIF image"],
    ['<?xml version="1.0"?>\n<!-- made by hand -->\n<svg xmlns="x">', "is an SVG image"],
    ["<svg>", "is an SVG image"],
    ["%PDF-1.7", "is a PDF"],
    ["hello", "is not of a known type"],
  ])("says what %j is", (bytes, problem) => {
    expect(examineImage(Buffer.from(bytes, "latin1"))).toMatchObject({
      ok: false,
      problem: expect.stringContaining(problem),
    });
  });

  test("survives bytes that only begin like an image", () => {
    for (const start of ["\x89PNG\r\n\x1a\n", "\xff\xd8\xff\xe0", "GIF89a", "RIFF\0\0\0\0WEBP"]) {
      for (const fill of [0x00, 0x01, 0x2c, 0xff]) {
        const bytes = Buffer.concat([Buffer.from(start, "latin1"), Buffer.alloc(500, fill)]);
        expect(examineImage(bytes).ok).toBe(false);
      }
    }
  });
});

describe("prepareImage", () => {
  test("passes a small image on as the same object", async () => {
    const image = block(pngImage(3, 2));
    const prepared = await prepareImage(image);
    expect(prepared).toMatchObject({ ok: true, width: 3, height: 2 });
    expect(prepared.ok && prepared.block).toBe(image);
  });

  test("writes the type that the bytes have, and plain base64", async () => {
    const image = {
      ...block(gifImage, "image/png"),
      data: `data:image/png;base64,${gifImage.toString("base64")}`,
    };
    expect(await prepareImage(image)).toMatchObject({ block: block(gifImage, "image/gif") });
  });

  test("scales a large image down, with its proportions and its colours", async () => {
    const half: Paint = (x) => (x < 1000 ? [255, 0, 0, 255] : [0, 0, 255, 255]);
    const prepared = await prepareImage(block(pngImage(2000, 100, half)));
    expect(prepared).toMatchObject({
      ok: true,
      width: 1568,
      height: 78,
      original: { mediaType: "image/png", width: 2000, height: 100 },
    });
    const bytes = bytesOf(prepared);
    expect(examineImage(bytes)).toMatchObject({ mediaType: "image/png", width: 1568, height: 78 });
    expect([pixelAt(bytes, 10, 40), pixelAt(bytes, 1500, 40)]).toEqual([
      [255, 0, 0, 255],
      [0, 0, 255, 255],
    ]);
  });

  test("keeps what is transparent, where it stays PNG", async () => {
    const prepared = await prepareImage(block(pngImage(2000, 20, () => [0, 0, 0, 0])));
    expect(pixelAt(bytesOf(prepared), 5, 5)[3]).toBe(0);
  });

  test.each([
    // The stored picture is red in its upper left corner: where is the corner after it was turned?
    { orientation: 1, width: 1568, height: 78, red: [50, 10] },
    { orientation: 2, width: 1568, height: 78, red: [1500, 10] },
    { orientation: 3, width: 1568, height: 78, red: [1500, 70] },
    { orientation: 4, width: 1568, height: 78, red: [50, 70] },
    { orientation: 5, width: 78, height: 1568, red: [10, 50] },
    { orientation: 6, width: 78, height: 1568, red: [70, 50] },
    { orientation: 7, width: 78, height: 1568, red: [70, 1500] },
    { orientation: 8, width: 78, height: 1568, red: [10, 1500] },
  ] as const)("turns a photo with orientation $orientation", async ({ orientation, width, height, red }) => {
    const corner: Paint = (x, y) => (x < 200 && y < 40 ? [255, 0, 0, 255] : [0, 0, 255, 255]);
    const prepared = await prepareImage(block(jpegImage(1600, 80, corner, orientation)));
    expect(prepared).toMatchObject({ ok: true, width, height, block: { mediaType: "image/jpeg" } });
    const [r = 0, , b = 255] = pixelAt(bytesOf(prepared), red[0], red[1]);
    expect(r).toBeGreaterThan(200);
    expect(b).toBeLessThan(50);
  });

  test("makes a JPEG of what has the right size and too many bytes, on white where it is transparent", async () => {
    let seed = 1;
    const next = () => {
      seed = (seed * 16_807) % 2_147_483_647;
      return seed & 0xff;
    };
    const noise: Paint = (x, y) => (x < 20 && y < 20 ? [0, 0, 0, 0] : [next(), next(), next(), 255]);
    const png = pngImage(1300, 1000, noise);
    expect(png.length).toBeGreaterThan(imageLimits.bytes);
    const prepared = await prepareImage(block(png));
    expect(prepared).toMatchObject({
      ok: true,
      width: 1300,
      height: 1000,
      block: { mediaType: "image/jpeg" },
    });
    const bytes = bytesOf(prepared);
    expect(bytes.length).toBeLessThanOrEqual(imageLimits.bytes);
    expect(Math.min(...pixelAt(bytes, 5, 5))).toBeGreaterThan(240);
  });

  test("does not decode what would fill memory", async () => {
    const png = pngImage(2, 1);
    const huge = Buffer.concat([png.subarray(0, 8), bombHeader(60_000, 60_000), png.subarray(33)]);
    expect(await prepareImage(block(huge))).toEqual({
      ok: false,
      problem: "has 60000x60000 pixels; up to 40 million can be scaled down here",
    });
  });

  test("says so when a large image turns out to be damaged inside", async () => {
    const jpeg = jpegImage(1600, 100);
    // A coding table that makes no sense, in a segment of the right length.
    const table = jpeg.indexOf(Buffer.from([0xff, 0xc4]));
    jpeg.fill(0xff, table + 5, table + 21);
    expect(await prepareImage(block(jpeg))).toEqual({
      ok: false,
      problem: "is damaged: it cannot be decoded",
    });
  });

  test("ends when it is told to", async () => {
    const signal = AbortSignal.abort(new Error("stopped"));
    await expect(prepareImage(block(pngImage(2000, 1)), signal)).rejects.toThrow("stopped");
    const stop = new AbortController();
    const prepared = prepareImage(block(pngImage(2000, 1)), stop.signal);
    stop.abort(new Error("stopped later"));
    await expect(prepared).rejects.toThrow("stopped later");
    expect(await prepareImage(block(pngImage(2000, 1)))).toMatchObject({ ok: true, width: 1568 });
  });
});

describe("presentImages", () => {
  test("puts a text in the place of an image that cannot be shown", async () => {
    const blocks = [
      { type: "text", text: "before" },
      block(Buffer.from("<svg></svg>")),
      block(pngImage(1, 1)),
    ] as const;
    expect(await presentImages(blocks)).toEqual([
      blocks[0],
      {
        type: "text",
        text: "[An image was left out: it is an SVG image; models take PNG, JPEG, GIF and WebP.]",
      },
      blocks[2],
    ]);
  });

  test("leaves out what is too much for one result", async () => {
    // A comment makes the file large and the picture no larger.
    const large = block(padded(gifImage, 3_700_000), "image/gif");
    const shown = await presentImages([large, large, large, large, large]);
    expect(shown.map(({ type }) => type)).toEqual(["image", "image", "image", "image", "text"]);
  });
});

describe("prepareImages", () => {
  test("leaves text alone", async () => {
    const blocks = [{ type: "text", text: "look" } as const, block(pngImage(1, 1))];
    expect(await prepareImages(blocks)).toEqual(blocks);
  });

  test("refuses a message with an image that cannot be shown, and says which", async () => {
    const blocks = [
      block(pngImage(1, 1)),
      { type: "text", text: "and" } as const,
      block(Buffer.from("BM1234")),
    ];
    await expect(prepareImages(blocks)).rejects.toMatchObject({
      code: "invalid_input",
      message: "image 2 of the message is a BMP image; models take PNG, JPEG, GIF and WebP",
      details: { image: 2 },
    });
  });

  test("refuses more than a request can carry", async () => {
    const large = block(padded(gifImage, 3_700_000), "image/gif");
    await expect(prepareImages([large, large, large, large, large])).rejects.toMatchObject({
      code: "invalid_input",
      message: "the images of the message are over 15 MB in all",
    });
  });
});

test.each([
  [block(pngImage(3, 2)), /^image\/png 3x2, \d+ bytes$/],
  [block(gifImage, "image/png"), /^image\/gif 1x1, 42 bytes$/],
  [block(Buffer.from("none"), "image/x-odd"), /^image\/x-odd, 4 bytes$/],
])("an image in words", (image, expected) => expect(describeImage(image)).toMatch(expected));

function bytesOf(prepared: Awaited<ReturnType<typeof prepareImage>>): Buffer {
  if (!prepared.ok) throw new Error(prepared.problem);
  return Buffer.from(prepared.block.data, "base64");
}

/** A PNG's header chunk that promises a size, with its checksum. */
function bombHeader(width: number, height: number): Buffer {
  const other = pngImage(1, 1);
  const header = Buffer.from(other.subarray(8, 33));
  header.writeUInt32BE(width, 8);
  header.writeUInt32BE(height, 12);
  header.writeUInt32BE(crc32(header.subarray(4, 21)), 21);
  return header;
}

/** A GIF with a comment of so many bytes before its picture. */
function padded(gif: Buffer, bytes: number): Buffer {
  const block = Buffer.concat([Buffer.from([255]), Buffer.alloc(255, 0x20)]);
  const comment = Array.from({ length: Math.floor(bytes / block.length) }, () => block);
  return Buffer.concat([
    gif.subarray(0, 19),
    Buffer.from([0x21, 0xfe]),
    ...comment,
    Buffer.from([0]),
    gif.subarray(19),
  ]);
}
