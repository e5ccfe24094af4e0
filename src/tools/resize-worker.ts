import { parentPort, workerData } from "node:worker_threads";
import { PhotonImage, resize, SamplingFilter } from "@silvia-odwyer/photon-node";
import { fitInto, type ResizeOrder, type ResizeReport } from "./resize-image.ts";

/** A picture is sent with every later request, so that lossless is worth no more than this. */
const MAX_PNG_BYTES = 1_000_000;
const JPEG_QUALITIES = [85, 65, 45];

/** The thread in which one image is made smaller. It holds the library's memory, which never shrinks, and then ends. */
parentPort?.postMessage(perform(workerData));

function perform(order: ResizeOrder): ResizeReport {
  try {
    return encode(shrink(order), order);
  } catch (error) {
    if (!(error instanceof Error && error.name === "RuntimeError")) throw error;
    // The library's own word ("unreachable") says nothing; what can be told was found before it was started.
    return { ok: false, problem: "is damaged: it cannot be decoded" };
  }
}

/** Four bytes for each pixel: red, green, blue, opacity. */
interface Pixels {
  readonly bytes: Uint8Array;
  readonly width: number;
  readonly height: number;
}

function shrink({ bytes, edge, orientation }: ResizeOrder): Pixels {
  const whole = PhotonImage.new_from_byteslice(bytes);
  const from = { width: whole.get_width(), height: whole.get_height() };
  const to = fitInto(from, edge);
  const isSmall = to.width === from.width && to.height === from.height;
  const image = isSmall ? whole : resize(whole, to.width, to.height, SamplingFilter.Lanczos3);
  return upright({ bytes: image.get_raw_pixels(), ...to }, orientation);
}

/** Turns a picture as the camera was held: what is encoded anew loses the note that says so. */
function upright(pixels: Pixels, orientation: number): Pixels {
  if (orientation === 1) return pixels;
  const { width: w, height: h } = pixels;
  const [width, height] = orientation >= 5 ? [h, w] : [w, h];
  const source = new Uint32Array(pixels.bytes.slice().buffer);
  const turned = new Uint32Array(source.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [fromX, fromY] = origin(orientation, { x, y, right: w - 1, bottom: h - 1 });
      turned[y * width + x] = source[fromY * w + fromX] ?? 0;
    }
  }
  return { bytes: new Uint8Array(turned.buffer), width, height };
}

interface Place {
  readonly x: number;
  readonly y: number;
  /** The last column and row of the picture as stored. */
  readonly right: number;
  readonly bottom: number;
}

/** Where in the stored picture the pixel stands that is shown at (x, y). */
function origin(orientation: number, { x, y, right, bottom }: Place): readonly [x: number, y: number] {
  switch (orientation) {
    case 2:
      return [right - x, y];
    case 3:
      return [right - x, bottom - y];
    case 4:
      return [x, bottom - y];
    case 5:
      return [y, x];
    case 6:
      return [y, bottom - x];
    case 7:
      return [right - y, bottom - x];
    case 8:
      return [right - y, x];
    default:
      return [x, y];
  }
}

/** PNG keeps the letters of screenshots and diagrams sharp; a photo is a fifth of its size as JPEG. */
function encode({ bytes, width, height }: Pixels, { mediaType, maxBytes }: ResizeOrder): ResizeReport {
  const size = { width, height };
  if (mediaType !== "image/jpeg") {
    const png = new PhotonImage(bytes, width, height).get_bytes();
    if (png.length <= Math.min(MAX_PNG_BYTES, maxBytes)) {
      return { ok: true, mediaType: "image/png", bytes: png, ...size };
    }
  }
  const opaque = new PhotonImage(onWhite(bytes), width, height);
  for (const quality of JPEG_QUALITIES) {
    const jpeg = opaque.get_bytes_jpeg(quality);
    if (jpeg.length <= maxBytes) return { ok: true, mediaType: "image/jpeg", bytes: jpeg, ...size };
  }
  return { ok: false, problem: `cannot be made smaller than ${maxBytes} bytes` };
}

/** JPEG has no transparency, and what is transparent is usually meant to be seen on paper. */
function onWhite(bytes: Uint8Array): Uint8Array {
  return bytes.map((value, i) => {
    if (i % 4 === 3) return 255;
    const opacity = bytes[i - (i % 4) + 3] ?? 255;
    return opacity === 255 ? value : Math.round((value * opacity) / 255 + 255 - opacity);
  });
}
