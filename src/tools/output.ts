import { createHash } from "node:crypto";
import { errorMessage } from "../lib/errors.ts";
import type { OutputChunk, Sandbox } from "../sandboxes/sandbox.ts";
import { formatBytes, textCleaner } from "./clean-text.ts";

/**
 * The output pipeline: what a tool produced becomes what the model sees. It is cleaned (`clean-text.ts`); up to 64 KiB goes to
 * the model as it is; a longer output is kept as a file in the workspace, and the model gets its beginning, its end and the
 * file's path. Memory stays bounded however long the output is.
 */
export interface OutputCollector {
  /** Takes the next output. Await it: it writes to the file, and its pace is the command's pace. */
  push(chunk: OutputChunk): Promise<void>;
  /** Call once, when there is no more. */
  finish(): Promise<CollectedOutput>;
}

export interface CollectedOutput {
  /** For the model; empty when there was nothing. Ends without a newline. */
  readonly text: string;
  /** Bytes of the whole cleaned output. */
  readonly bytes: number;
  /** Where the whole of it is kept, relative to the workspace, when the model got only a part. */
  readonly file: string | null;
}

/** In bytes of UTF-8. */
export interface OutputLimits {
  /** Up to here the model gets everything. */
  readonly inline: number;
  /** Of a longer output: so much of its beginning and of its end. */
  readonly head: number;
  readonly tail: number;
  /** Size of the file; what comes later is only in the tail. */
  readonly file: number;
}

export const outputLimits: OutputLimits = {
  inline: 65_536,
  head: 24_576,
  tail: 8_192,
  file: 16 * 1_048_576,
};

/** The one place where it puts files; kept out of listings and searches. */
export const OUTPUT_DIRECTORY = ".holdfast/outputs";

export function outputCollector(
  sandbox: Pick<Sandbox, "writeFile">,
  path: string,
  limits: OutputLimits = outputLimits,
): OutputCollector {
  const cleaners = { stdout: textCleaner(), stderr: textCleaner() };
  const excerpt = createExcerpt(limits);
  const file = createOverflowFile(sandbox, path, limits);

  const add = async (text: string) => {
    if (text === "") return;
    excerpt.add(text);
    await file.add(text);
  };

  return {
    push: (chunk) => add(cleaners[chunk.stream].push(chunk.bytes)),
    async finish() {
      await add(cleaners.stdout.end());
      await add(cleaners.stderr.end());
      const bytes = excerpt.bytes();
      const whole = excerpt.whole();
      if (whole !== undefined) return { text: trimEnd(whole), bytes, file: null };
      const kept = await file.finish();
      return { text: joinExcerpt(excerpt.ends(), kept), bytes, file: kept.path };
    },
  };
}

/**
 * The same for a text that is there already, for example the answer of an MCP tool. The sandbox is started only where a file
 * is needed; one that cannot be started costs the file, not the excerpt.
 */
export async function limitText(
  text: string,
  sandbox: () => Promise<Pick<Sandbox, "writeFile">>,
  path: string,
  limits: OutputLimits = outputLimits,
): Promise<CollectedOutput> {
  const bytes = Buffer.byteLength(text);
  if (bytes <= limits.inline) return { text, bytes, file: null };
  const files: Pick<Sandbox, "writeFile"> = {
    writeFile: async (...args) => (await sandbox()).writeFile(...args),
  };
  const collector = outputCollector(files, path, limits);
  await collector.push({ stream: "stdout", bytes: Buffer.from(text) });
  return collector.finish();
}

/**
 * Where the output of a call is kept; `part` tells the files of one call apart: "call_1.txt", "call_1-2.txt", "call_1.json".
 * Providers choose call ids, so they are not taken as file names unless they are harmless ones.
 */
export function outputPath(
  callId: string,
  { part = 1, extension = "txt" }: { readonly part?: number; readonly extension?: "txt" | "json" } = {},
): string {
  const isSafe = /^[A-Za-z0-9_-]{1,80}$/.test(callId);
  const name = isSafe ? callId : createHash("sha256").update(callId).digest("hex").slice(0, 32);
  return `${OUTPUT_DIRECTORY}/${name}${part === 1 ? "" : `-${part}`}.${extension}`;
}

// ---- beginning and end ----

interface Ends {
  readonly head: string;
  readonly tail: string;
  readonly omittedBytes: number;
  readonly bytes: number;
  /** Lines are so long that tools which go by lines show little of them. */
  readonly hasLongLines: boolean;
}

/** In bytes, on average: about what `read` and `grep` show of a line. */
const LONG_LINE = 1_000;

/** Keeps a text while it is short, and its two ends when it has grown long. */
function createExcerpt(limits: OutputLimits) {
  let whole: string | undefined = "";
  let head = "";
  let tail = "";
  let bytes = 0;
  let newlines = 0;

  return {
    add(text: string): void {
      bytes += Buffer.byteLength(text);
      newlines += countNewlines(text);
      if (whole !== undefined) {
        whole += text;
        if (bytes <= limits.inline) return;
        head = startOf(whole, limits.head);
        tail = whole.slice(head.length);
        whole = undefined;
      } else tail += text;
      // Cut well above the limit, so that a line at a time does not copy the tail each time.
      if (tail.length > limits.tail * 4) tail = endOf(tail, limits.tail);
    },
    bytes: () => bytes,
    whole: () => whole,
    ends(): Ends {
      const end = endOf(tail, limits.tail);
      return {
        head,
        tail: end,
        bytes,
        hasLongLines: bytes / (newlines + 1) > LONG_LINE,
        omittedBytes: bytes - Buffer.byteLength(head) - Buffer.byteLength(end),
      };
    },
  };
}

function countNewlines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}

/** At most `limit` bytes of the beginning, to the end of a line where that does not lose much. */
function startOf(text: string, limit: number): string {
  const cut = decodeWhole(Buffer.from(text).subarray(0, limit), "start");
  const newline = cut.lastIndexOf("\n") + 1;
  return newline > cut.length / 2 ? cut.slice(0, newline) : cut;
}

function endOf(text: string, limit: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= limit) return text;
  const cut = decodeWhole(bytes.subarray(bytes.length - limit), "end");
  const newline = cut.indexOf("\n") + 1;
  return newline > 0 && newline < cut.length / 2 ? cut.slice(newline) : cut;
}

/** Text of bytes that were cut at one side, without the character that the cut went through. */
function decodeWhole(bytes: Buffer, part: "start" | "end"): string {
  const isContinuation = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;
  if (part === "end") {
    let from = 0;
    while (isContinuation(bytes[from])) from += 1;
    return bytes.toString("utf8", from);
  }
  // A streaming decoder holds an unfinished character back.
  return new TextDecoder().decode(bytes, { stream: true });
}

function joinExcerpt(ends: Ends, kept: KeptFile): string {
  const omitted = `${formatBytes(ends.omittedBytes)} left out here`;
  return `${trimEnd(ends.head)}\n\n[... ${omitted}; ${describeFile(ends, kept)} ...]\n\n${trimEnd(ends.tail)}`;
}

function describeFile(ends: Ends, kept: KeptFile): string {
  const whole = `the whole output (${formatBytes(ends.bytes)})`;
  if (kept.path === null) return `${whole} could not be kept: ${kept.problem}`;
  const advice = ends.hasLongLines
    ? "its lines are very long, so take parts of it with a command (grep -o, cut -c, jq)"
    : "search it with grep (give it this path), or read it in ranges";
  return kept.isComplete
    ? `${whole} is in ${kept.path}: ${advice}`
    : `the first ${formatBytes(kept.bytes)} of ${formatBytes(ends.bytes)} are in ${kept.path}: ${advice}`;
}

const trimEnd = (text: string): string => text.replace(/\n+$/, "");

// ---- the file ----

type KeptFile =
  | { readonly path: string; readonly bytes: number; readonly isComplete: boolean }
  | { readonly path: null; readonly problem: string };

/** Appends are made in pieces of about this size. */
const WRITE_BYTES = 262_144;

/** Starts to write when the output has become too long for the model; a failure to write does not fail the command. */
function createOverflowFile(sandbox: Pick<Sandbox, "writeFile">, path: string, limits: OutputLimits) {
  let buffer: Buffer[] = [];
  let buffered = 0;
  let written = 0;
  let isComplete = true;
  let problem: string | undefined;

  const flush = async () => {
    const content = Buffer.concat(buffer);
    buffer = [];
    buffered = 0;
    try {
      // The first write replaces what an interrupted attempt of the same call has left.
      await sandbox.writeFile(path, content, { append: written > 0 });
      written += content.length;
    } catch (error) {
      problem = errorMessage(error);
    }
  };

  return {
    async add(text: string): Promise<void> {
      if (problem !== undefined || !isComplete) return;
      const room = limits.file - written - buffered;
      const content = Buffer.from(text);
      isComplete = content.length <= room;
      buffer.push(isComplete ? content : content.subarray(0, room));
      buffered += Math.min(content.length, room);
      if (buffered > Math.max(WRITE_BYTES, limits.inline)) await flush();
    },
    async finish(): Promise<KeptFile> {
      if (problem === undefined && (buffered > 0 || written === 0)) await flush();
      return problem === undefined ? { path, bytes: written, isComplete } : { path: null, problem };
    },
  };
}
