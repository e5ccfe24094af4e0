import { isUtf8 } from "node:buffer";
import { z } from "zod";
import type { Sandbox } from "../../sandboxes/sandbox.ts";
import { formatBytes } from "../clean-text.ts";
import { defineTool } from "../define.ts";
import { foreignImageOf, imageTypeOf, SVG } from "../image-header.ts";
import { prepareImage } from "../images.ts";
import type { ToolResult } from "../tool.ts";
import { failure, missing, plural, shown } from "./workspace.ts";

const DEFAULT_LINES = 2000;
const MAX_LINE_CHARACTERS = 2000;
/** Of text in one result. */
const MAX_CHARACTERS = 60_000;
/** Of an image as it is in the workspace; what is shown of it is smaller (`images.ts`). */
const MAX_IMAGE_BYTES = 32 * 1_048_576;
const CHUNK_BYTES = 262_144;

export const readTool = defineTool({
  name: "read",
  description: [
    "Reads a file of the workspace. Text comes with line numbers (number, tab, line; they are not part of the file), images (PNG, JPEG, GIF, WebP) as images, scaled down where they are large.",
    "Use it before you edit a file, and to look at results, logs and pictures that commands have left.",
    `It returns up to ${DEFAULT_LINES} lines; go on with \`offset\`. Lines over ${MAX_LINE_CHARACTERS} characters are cut.`,
    "Not for directories (`list`), not to find something in many files (`grep`), not for other binary files (`shell` with a fitting program).",
  ].join("\n"),
  input: z.strictObject({
    path: z.string().min(1).describe("Relative to the workspace, or absolute in it."),
    offset: z
      .number()
      .int()
      .min(1)
      .optional()
      .describe("The first line to read, counting from 1. Default 1."),
    limit: z
      .number()
      .int()
      .min(1)
      .max(10_000)
      .optional()
      .describe(`Lines to read. Default ${DEFAULT_LINES}.`),
  }),
  effect: "readonly",

  async run({ path, offset = 1, limit = DEFAULT_LINES }, context) {
    const sandbox = await context.sandbox();
    const name = shown(sandbox, path);
    const stat = await sandbox.stat(path);
    if (stat === undefined) return missing(sandbox, path);
    if (stat.type === "directory") return failure(`${name} is a directory. Use list.`);
    const start = await sandbox.readFile(path, { offset: 0, length: CHUNK_BYTES });
    if (start === undefined) return missing(sandbox, path);
    const kind = sniff(start.bytes);
    const foreign = foreignImageOf(start.bytes);
    if (kind === "binary") return { content: describeBinary(name, foreign, start.size) };
    if (kind === "image") {
      if (start.size > MAX_IMAGE_BYTES) return tooLargeImage(name, start.size);
      return readImage(sandbox, path, context.signal);
    }
    const lines = await readLines(sandbox, path, { name, offset, limit });
    return foreign === SVG ? withNote(lines, `[${name} is ${SVG}; this is its source]`) : lines;
  },
});

// ---- what kind of file ----

type Kind = "text" | "binary" | "image";

function sniff(bytes: Uint8Array): Kind {
  if (imageTypeOf(bytes) !== undefined) return "image";
  return bytes.subarray(0, 8192).includes(0) ? "binary" : "text";
}

function describeBinary(name: string, foreign: string | undefined, size: number): string {
  if (foreign === undefined) return `${name} is a binary file of ${formatBytes(size)}, not text.`;
  return `${name} is ${foreign} (${formatBytes(size)}), which cannot be shown. PNG, JPEG, GIF and WebP can: convert it first.`;
}

function withNote(result: ToolResult, note: string): ToolResult {
  return typeof result.content === "string" ? { ...result, content: `${result.content}\n\n${note}` } : result;
}

async function readImage(sandbox: Sandbox, path: string, signal: AbortSignal): Promise<ToolResult> {
  const name = shown(sandbox, path);
  const file = await sandbox.readFile(path, { offset: 0, length: MAX_IMAGE_BYTES });
  if (file === undefined) return missing(sandbox, path);
  const data = Buffer.from(file.bytes).toString("base64");
  const image = await prepareImage({ type: "image", mediaType: "image/*", data }, signal);
  if (!image.ok) return failure(`The image ${name} cannot be shown: it ${image.problem}.`);
  const { block, width, height, original } = image;
  const { mediaType, ...size } = original ?? { mediaType: block.mediaType, width, height };
  const note = original === undefined ? "" : `; shown at ${width}x${height}`;
  return {
    content: [
      {
        type: "text",
        text: `${name} (${mediaType}, ${size.width}x${size.height}, ${formatBytes(file.size)}${note}):`,
      },
      block,
    ],
    details: { path: name, size: file.size, mediaType, ...size },
  };
}

function tooLargeImage(name: string, size: number): ToolResult {
  return failure(
    `${name} is an image of ${formatBytes(size)}; at most ${formatBytes(MAX_IMAGE_BYTES)} can be shown. Make it smaller first.`,
  );
}

// ---- lines ----

interface Wanted {
  readonly name: string;
  readonly offset: number;
  readonly limit: number;
}

async function readLines(sandbox: Sandbox, path: string, wanted: Wanted): Promise<ToolResult> {
  const { name, offset, limit } = wanted;
  const numbered: string[] = [];
  let characters = 0;
  let number = 0;
  let hasMore = false;
  let size = 0;
  for await (const line of linesOf(sandbox, path)) {
    size = line.fileSize;
    number += 1;
    if (number < offset) continue;
    if (numbered.length === limit || characters > MAX_CHARACTERS) {
      hasMore = true;
      break;
    }
    const text = `${String(number).padStart(6)}\t${cutLine(line)}`;
    numbered.push(text);
    characters += text.length;
  }
  const last = offset + numbered.length - 1;
  const details = { path: name, size, firstLine: offset, lastLine: last };
  if (number === 0) return { content: `${name} is empty.`, details };
  if (numbered.length === 0) return failure(`${name} has only ${plural(number, "line")}.`, details);
  const more = hasMore
    ? `\n\n[lines ${offset} to ${last} of a file of ${formatBytes(size)}; go on with offset ${last + 1}]`
    : "";
  return { content: numbered.join("\n") + more, details };
}

interface Line {
  /** Without its end; at most `MAX_LINE_CHARACTERS` and a few. */
  readonly text: string;
  /** Bytes of the line that are not in `text`. */
  readonly cutBytes: number;
  readonly fileSize: number;
}

function cutLine({ text, cutBytes }: Line): string {
  return cutBytes === 0 ? text : `${text} [... ${formatBytes(cutBytes)} more in this line]`;
}

/** The lines of a file, read piece by piece. Of a long line only the beginning is held. */
async function* linesOf(sandbox: Sandbox, path: string): AsyncGenerator<Line> {
  let held: Uint8Array = new Uint8Array();
  let heldCut = 0;
  let fileSize = 0;
  const take = (rest: Uint8Array): Line => {
    const line = lineOf(Buffer.concat([held, rest]), heldCut, fileSize);
    held = new Uint8Array();
    heldCut = 0;
    return line;
  };

  for (let at = 0; ; at += CHUNK_BYTES) {
    const file = await sandbox.readFile(path, { offset: at, length: CHUNK_BYTES });
    if (file === undefined || file.bytes.length === 0) break;
    fileSize = file.size;
    let from = 0;
    for (let newline = file.bytes.indexOf(10); newline !== -1; newline = file.bytes.indexOf(10, from)) {
      yield take(file.bytes.subarray(from, newline));
      from = newline + 1;
    }
    const rest = file.bytes.subarray(from);
    const room = Math.max(0, MAX_LINE_CHARACTERS * 4 - held.length);
    held = Buffer.concat([held, rest.subarray(0, room)]);
    heldCut += Math.max(0, rest.length - room);
    if (at + file.bytes.length >= file.size) break;
  }
  if (held.length > 0) yield take(new Uint8Array());
}

function lineOf(bytes: Buffer, alreadyCut: number, fileSize: number): Line {
  const end = bytes.at(-1) === 13 ? bytes.length - 1 : bytes.length;
  const line = bytes.subarray(0, end);
  const text = isUtf8(line) || alreadyCut > 0 ? line.toString("utf8") : line.toString("latin1");
  if (text.length <= MAX_LINE_CHARACTERS && alreadyCut === 0) return { text, cutBytes: 0, fileSize };
  const kept = text.slice(0, MAX_LINE_CHARACTERS).toWellFormed();
  return { text: kept, cutBytes: alreadyCut + line.length - Buffer.byteLength(kept), fileSize };
}
