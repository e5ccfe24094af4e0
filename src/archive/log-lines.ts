import { createReadStream } from "node:fs";
import { AppError } from "../lib/errors.ts";
import { isRecord } from "../lib/json.ts";
import { ENTRY_VERSION, type Entry } from "../log/entry.ts";
import { advance } from "../log/fold.ts";
import { type Draft, emptyState, statusOf } from "../log/state.ts";
import { type StoredEntry, upcast } from "../log/upcast.ts";
import type { Manifest } from "./archive.ts";
import { damaged } from "./seal.ts";

/** The log as it stands in a file: one entry in each line, all of them as the session's own. */
export async function* linesOf(entries: AsyncIterable<Entry>, sessionId: string): AsyncGenerator<Uint8Array> {
  let lines: string[] = [];
  let length = 0;
  for await (const entry of entries) {
    const line = `${JSON.stringify({ ...entry, sessionId })}\n`;
    lines.push(line);
    length += line.length;
    if (length < PIECE_CHARACTERS) continue;
    yield Buffer.from(lines.join(""));
    lines = [];
    length = 0;
  }
  yield Buffer.from(lines.join(""));
}

const PIECE_CHARACTERS = 64 * 1024;

/** A log that was read from a file and found whole. */
export interface StagedLog {
  /** All entries in order, as those of the given session; can be asked for again. */
  entries(sessionId: string): AsyncIterable<Entry>;
}

/**
 * Reads a log and checks that a session can stand on it: numbered without gaps, each entry behind one that is there, at rest
 * at its end in the way that the manifest says. What a newer release added is kept as it is.
 * @throws AppError `invalid_input`; `unsupported` for entries in a shape that only a newer release can read.
 */
export async function checkLog(
  path: string,
  { session, entries: expected }: Pick<Manifest, "session" | "entries">,
  maxLine: number,
): Promise<StagedLog> {
  const read = (sessionId: string) => readEntries(path, { sessionId, maxLine });
  const parents = await checkChain(read(session.id));
  const isWhole = parents.length === expected && session.headSeq === expected;
  if (!isWhole) throw damaged(`the log has ${parents.length} entries, and should have ${expected}`);

  const onPath = pathTo(parents);
  const state = emptyState();
  for await (const entry of read(session.id)) if (onPath.has(entry.seq)) apply(state, entry);
  if (state.headId !== session.headId) throw damaged("its log does not end where the session stands");
  const status = statusOf(state);
  if (status !== session.status) {
    throw damaged(`the session is said to be ${session.status}, and its log says that it is ${status}`);
  }
  return { entries: read };
}

/** For each entry, in order, the number of the one that it follows; 0 for the first. */
async function checkChain(entries: AsyncIterable<Entry>): Promise<readonly number[]> {
  const numbers = new Map<string, number>();
  const parents: number[] = [];
  for await (const entry of entries) {
    const { id, parentId, seq } = entry;
    const parent = parentId === null ? 0 : numbers.get(parentId);
    const follows = parent !== undefined && (parent > 0 || seq === 1);
    // Only a head that was moved leaves what is right before it.
    if (!follows || (parent !== seq - 1 && entry.type !== "headMoved")) {
      throw damaged(`entry ${seq} of the log does not follow the one before it`);
    }
    if (numbers.has(id)) throw damaged(`entry ${seq} of the log has the id of another one`);
    numbers.set(id, seq);
    parents.push(parent);
  }
  return parents;
}

function pathTo(parents: readonly number[]): ReadonlySet<number> {
  const path = new Set<number>();
  for (let seq = parents.length; seq > 0; seq = parents[seq - 1] ?? 0) path.add(seq);
  return path;
}

function apply(state: Draft, entry: Entry): void {
  try {
    advance(state, entry);
  } catch (cause) {
    throw unreadable(entry.seq, cause);
  }
}

async function* readEntries(
  path: string,
  { sessionId, maxLine }: { readonly sessionId: string; readonly maxLine: number },
): AsyncGenerator<Entry> {
  let seq = 0;
  for await (const line of splitLines(createReadStream(path), maxLine)) {
    seq += 1;
    yield entryIn(line, { sessionId, seq });
  }
}

async function* splitLines(source: AsyncIterable<Buffer>, maxLine: number): AsyncGenerator<Buffer> {
  let begun: Buffer[] = [];
  let length = 0;
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      if (length + end - from > maxLine) throw lineTooLong(maxLine);
      yield Buffer.concat([...begun, chunk.subarray(from, end)]);
      begun = [];
      length = 0;
      from = end + 1;
    }
    begun.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > maxLine) throw lineTooLong(maxLine);
  }
  if (length > 0) throw damaged("the last line of its log has no end");
}

function lineTooLong(maxLine: number): AppError {
  return damaged(`its log has a line of more than ${maxLine} bytes`);
}

function entryIn(
  line: Buffer,
  { sessionId, seq }: { readonly sessionId: string; readonly seq: number },
): Entry {
  const stored = parse(line, seq);
  if (!isStoredEntry(stored) || stored.seq !== seq) throw unreadable(seq);
  if (stored.v > ENTRY_VERSION) {
    throw new AppError(
      "unsupported",
      `entry ${seq} of the log has the version ${stored.v}; this release reads up to ${ENTRY_VERSION}`,
      { hint: "Import it with the release that exported it, or a later one." },
    );
  }
  try {
    return upcast({ ...stored, sessionId });
  } catch (cause) {
    throw unreadable(seq, cause);
  }
}

function parse(line: Buffer, seq: number): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
  } catch (cause) {
    throw unreadable(seq, cause);
  }
}

function isStoredEntry(value: unknown): value is StoredEntry {
  return (
    isRecord(value) &&
    typeof value.id === "string" &&
    value.id !== "" &&
    (value.parentId === null || typeof value.parentId === "string") &&
    Number.isSafeInteger(value.at) &&
    Number.isSafeInteger(value.v) &&
    typeof value.type === "string"
  );
}

function unreadable(seq: number, cause?: unknown): AppError {
  return damaged(`entry ${seq} of its log cannot be read`, cause);
}
