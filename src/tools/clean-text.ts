import { isUtf8 } from "node:buffer";

/**
 * What a command printed, as text for a model: UTF-8 decoded over chunk borders, terminal control sequences removed, progress
 * lines that overwrite themselves reduced to their last state, invalid bytes shown as `\xE9` and binary data replaced by
 * its size. The same bytes give the same text, however they are cut into chunks. Memory: one line, at most 8 KiB.
 */
export interface TextCleaner {
  /** The text of the lines that are complete now. */
  push(bytes: Uint8Array): string;
  /** The text of the unfinished last line. */
  end(): string;
}

/** A longer line is handled in pieces. */
const MAX_LINE_BYTES = 8192;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

export function textCleaner(): TextCleaner {
  const stripper = controlStripper();
  const binary = binaryRun();
  let pending: Uint8Array = new Uint8Array();

  const clean = (piece: Uint8Array, isLineEnd: boolean): string => {
    const visible = afterLastReturn(piece, isLineEnd);
    const decoded = decodePiece(visible);
    if (decoded === undefined) return binary.add(piece, isLineEnd);
    const stripped = stripper.strip(decoded);
    if (isLineEnd) stripper.reset();
    return binary.pass(piece, isLineEnd ? `${stripped}\n` : stripped);
  };

  const plain = (region: Uint8Array): string | undefined => {
    if (!binary.isEmpty() || !stripper.isIdle() || !isUtf8(region)) return undefined;
    const text = withoutSequences(decode(region));
    return CONTROL.test(text) ? undefined : text;
  };

  return {
    push(bytes) {
      const all = concat(pending, bytes);
      const complete = all.lastIndexOf(NEWLINE) + 1;
      // Most output has nothing to clean but colours: then its complete lines are decoded in one go.
      let text = plain(all.subarray(0, complete));
      let at = complete;
      if (text === undefined) {
        text = "";
        for (at = 0; at < complete; ) {
          const { piece, next, isLineEnd } = nextPiece(all, at);
          if (piece) text += clean(piece, isLineEnd);
          at = next;
        }
      }
      for (;;) {
        const over = overlongPiece(all, at);
        if (over === undefined) break;
        if (over.piece) text += clean(over.piece, false);
        at = over.next;
      }
      pending = all.slice(at);
      return text;
    },
    end() {
      const last = pending;
      pending = new Uint8Array();
      return (last.length > 0 ? clean(last, false) : "") + binary.end();
    },
  };
}

/** Terminal text for watchers: decoded and without control sequences, but as it comes, with its carriage returns. */
export function liveText(): (bytes: Uint8Array) => string {
  const decoder = new TextDecoder();
  const stripper = controlStripper({ keepReturns: true });
  return (bytes) => stripper.strip(decoder.decode(bytes, { stream: true }));
}

/**
 * A text that is there already, such as the answer of a tool: without terminal sequences and NUL characters, and with every
 * half of a character that has lost its other half replaced, which providers refuse. Usually the same string.
 */
export function cleanText(text: string): string {
  const clean = SUSPICIOUS.test(text) ? controlStripper({ keepReturns: true }).strip(text) : text;
  return clean.toWellFormed();
}

// ---- lines ----

interface Piece {
  /** Undefined when these bytes are overwritten anyway. */
  readonly piece?: Uint8Array;
  readonly next: number;
  readonly isLineEnd: boolean;
}

/** The line at `at`, or its first piece when it is long. There is a newline after `at`. */
function nextPiece(all: Uint8Array, at: number): Piece {
  const newline = all.indexOf(NEWLINE, at);
  if (newline - at < MAX_LINE_BYTES) {
    return { piece: all.subarray(at, newline), next: newline + 1, isLineEnd: true };
  }
  return { isLineEnd: false, ...(overlongPiece(all, at) ?? { next: newline }) };
}

/**
 * The first piece of an unfinished line that has grown too long; without `piece` when its beginning is overwritten anyway.
 * Undefined while the line is short enough. Looks at no byte beyond the limit, so that chunk borders make no difference.
 */
function overlongPiece(
  all: Uint8Array,
  at: number,
): { readonly piece?: Uint8Array; readonly next: number } | undefined {
  if (all.length - at < MAX_LINE_BYTES) return undefined;
  const window = all.subarray(at, at + MAX_LINE_BYTES);
  const lastReturn = window.lastIndexOf(RETURN, window.length - 2);
  if (lastReturn !== -1 && !window.subarray(lastReturn).every((byte) => byte === RETURN)) {
    return { next: at + lastReturn + 1 };
  }
  // A return at the end may be half of a line's end: the next piece decides.
  let length = wholeCharacters(window);
  while (length > 0 && window[length - 1] === RETURN) length -= 1;
  return length > 0
    ? { piece: window.subarray(0, length), next: at + length }
    : { next: at + MAX_LINE_BYTES };
}

/** The length of the bytes without a character that is cut off at their end. */
function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) break;
    if (byte >= 0xc0) return sequenceLength(byte) > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** What a terminal shows of a line that returned to its start, taking each pass as overwriting the one before. */
function afterLastReturn(piece: Uint8Array, isLineEnd: boolean): Uint8Array {
  let end = piece.length;
  while (isLineEnd && end > 0 && piece[end - 1] === RETURN) end -= 1;
  const line = piece.subarray(0, end);
  return line.subarray(line.lastIndexOf(RETURN) + 1);
}

// ---- bytes ----

const decode = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");

/** More of its bytes being no text than this makes a line binary. */
const MAX_BAD_SHARE = 0.3;

/** The text of a line's bytes, undefined when they are binary. */
function decodePiece(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  if (isUtf8(bytes)) return decode(bytes);
  let text = "";
  let bad = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes[at] ?? 0);
    const character = bytes.subarray(at, at + length);
    if (length > 0 && character.length === length && isUtf8(character)) {
      text += decode(character);
      at += length;
    } else {
      text += `\\x${(bytes[at] ?? 0).toString(16).toUpperCase()}`;
      bad += 1;
      at += 1;
      if (bad > bytes.length * MAX_BAD_SHARE) return undefined;
    }
  }
  return text;
}

/** Bytes of the UTF-8 character that starts with `lead`; 0 when none does. */
function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

/** Lines shorter than this between two binary lines are taken as binary by accident: random bytes contain newlines. */
const SHORT_LINE = 4;
const MAX_HELD_BYTES = 64;

/** Joins binary lines that follow each other into one description. */
function binaryRun() {
  let bytes = 0;
  /** Short lines of text that may turn out to be part of the run. */
  let held = "";

  const describe = () => {
    const text = bytes > 0 ? `[binary data: ${formatBytes(bytes)}]\n${held}` : "";
    bytes = 0;
    held = "";
    return text;
  };

  return {
    isEmpty: () => bytes === 0,
    add(piece: Uint8Array, isLineEnd: boolean): string {
      bytes += held.length + piece.length + (isLineEnd ? 1 : 0);
      held = "";
      return "";
    },
    pass(piece: Uint8Array, text: string): string {
      if (bytes === 0) return text;
      if (piece.length < SHORT_LINE && held.length < MAX_HELD_BYTES) {
        held += text;
        return "";
      }
      return describe() + text;
    },
    end: describe,
  };
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const units = ["KB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.length === 0 ? b : Buffer.concat([a, b]);
}

// ---- control sequences ----

/** Everything that is neither text nor tab nor newline. */
const CONTROL = /[\0-\x08\x0b-\x1f\x7f-\x9f]/;

/** What begins a terminal sequence, and NUL. Form feeds and the like, which files have, are no reason to look closer. */
const SUSPICIOUS = /[\0\x1b\x80-\x9f]/;

/** The usual sequences, complete. A fast first pass; what it does not know is left to the state machine. */
const SEQUENCES = /\x1b+\[[ -?]*[@-~]|\x1b+\][^\x07\x1b\x9c\n]*(?:\x07|\x1b\\)/g;

const withoutSequences = (text: string): string =>
  text.includes("\x1b") ? text.replaceAll(SEQUENCES, "") : text;

type StripState = "text" | "escape" | "intermediate" | "csi" | "string" | "stringEscape";

interface ControlStripper {
  strip(text: string): string;
  /** A new line: a sequence that was never finished ends here. */
  reset(): void;
  /** Not in the middle of a sequence. */
  isIdle(): boolean;
}

/** Removes ECMA-48 sequences (colours, cursor movement, titles, links) and other control characters, over text borders. */
function controlStripper({ keepReturns = false }: { readonly keepReturns?: boolean } = {}): ControlStripper {
  let state: StripState = "text";
  return {
    reset() {
      state = "text";
    },
    isIdle: () => state === "text",
    strip(text) {
      const simple = state === "text" ? withoutSequences(text) : text;
      if (state === "text" && !CONTROL.test(simple)) return simple;
      let out = "";
      for (const character of simple) {
        if (character === "\n") {
          state = "text";
          out += character;
          continue;
        }
        const kind = state === "text" ? textKind(character, keepReturns) : undefined;
        if (kind === "keep") out += character;
        else if (kind === "back") out = out.replace(/.$/su, "");
        else state = nextState(state, character);
      }
      return out;
    },
  };
}

function textKind(character: string, keepReturns: boolean): "keep" | "back" | undefined {
  if (character === "\t" || (character === "\r" && keepReturns)) return "keep";
  // Typewriter bold and underline: the character before is overwritten.
  if (character === "\b") return "back";
  return CONTROL.test(character) ? undefined : "keep";
}

/** The state after a character that is not shown. */
function nextState(state: StripState, character: string): StripState {
  if (character === "\x1b") return state === "string" ? "stringEscape" : "escape";
  switch (state) {
    case "text":
      return character === "\x9b" ? "csi" : /[\x90\x98\x9d-\x9f]/.test(character) ? "string" : "text";
    case "escape":
      if (character === "[") return "csi";
      if (/[\]PX^_]/.test(character)) return "string";
      return /[ -/]/.test(character) ? "intermediate" : "text";
    case "intermediate":
      return /[ -/]/.test(character) ? "intermediate" : "text";
    case "csi":
      return /[ -?]/.test(character) ? "csi" : "text";
    case "string":
      return character === "\x07" || character === "\x9c" ? "text" : "string";
    case "stringEscape":
      return character === "\\" ? "text" : "string";
  }
}
