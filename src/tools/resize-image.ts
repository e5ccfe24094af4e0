import { Worker } from "node:worker_threads";
import type { ImageType } from "./image-header.ts";

export interface ResizeOrder {
  readonly bytes: Uint8Array;
  readonly mediaType: ImageType;
  /** As in `ImageHeader`. */
  readonly orientation: number;
  /** The longest edge that the result may have, in pixels. */
  readonly edge: number;
  readonly maxBytes: number;
}

export type ResizeReport =
  | {
      readonly ok: true;
      readonly mediaType: ImageType;
      readonly bytes: Uint8Array;
      readonly width: number;
      readonly height: number;
    }
  /** `problem` completes "the image ...". */
  | { readonly ok: false; readonly problem: string };

/** Ten times what the largest image takes on a slow machine. */
const TIMEOUT_MS = 60_000;

/**
 * Makes an image smaller, in a thread: decoding takes seconds, in which leases have to be renewed and others served. One at a
 * time, since a large photo takes hundreds of megabytes while it is decoded; the thread's end gives them back.
 * An abort ends the thread. @throws the signal's reason when it was aborted.
 */
export async function resizeImage(order: ResizeOrder, signal?: AbortSignal): Promise<ResizeReport> {
  const before = last;
  const { promise, resolve } = Promise.withResolvers<void>();
  last = before.then(() => promise);
  try {
    await before;
    signal?.throwIfAborted();
    return await inThread(order, signal);
  } finally {
    resolve();
  }
}

/** Settles when the images asked for so far are done. Of the process, as its memory is. */
let last: Promise<void> = Promise.resolve();

async function inThread(order: ResizeOrder, signal: AbortSignal | undefined): Promise<ResizeReport> {
  // Beside this file: as source, or compiled in a release.
  const file = import.meta.url.endsWith(".ts") ? "./resize-worker.ts" : "./resize-worker.js";
  const worker = new Worker(new URL(file, import.meta.url), {
    workerData: order,
    execArgv: [],
    // A library that fails says so on the console, too.
    stdout: true,
    stderr: true,
  });
  const { promise, resolve, reject } = Promise.withResolvers<ResizeReport>();
  const timer = setTimeout(
    () => resolve({ ok: false, problem: "took too long to be made smaller" }),
    TIMEOUT_MS,
  );
  const onAbort = () => reject(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  worker.once("message", resolve);
  worker.once("error", reject);
  worker.once("exit", () => resolve({ ok: false, problem: "could not be made smaller" }));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    await worker.terminate();
  }
}

/** The size with the same proportions whose longest edge is at most `edge`. */
export function fitInto(
  { width, height }: { readonly width: number; readonly height: number },
  edge: number,
): { readonly width: number; readonly height: number } {
  const scale = Math.min(1, edge / Math.max(width, height));
  const scaled = (length: number) => Math.max(1, Math.round(length * scale));
  return { width: scaled(width), height: scaled(height) };
}
