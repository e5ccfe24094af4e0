import type { OutputChunk } from "./sandbox.ts";

/**
 * The output of one command in bounded memory: its beginning and its end are kept for readers that come late, the middle
 * only until every present reader has seen it.
 */
export interface OutputLog {
  /** Adds output. The promise, if any, resolves when the producer may go on: the slowest reader is too far behind. */
  append(chunk: OutputChunk): Promise<void> | undefined;
  /** No more output will come: readers end when they have read what there is. */
  end(): void;
  /** A new reader from the start. It counts as present until it has ended or was closed. */
  reader(): OutputReader;
  /** All bytes so far, and those that a reader who starts now would not get. */
  counts(): { readonly size: number; readonly dropped: number };
}

export interface OutputReader {
  readonly output: AsyncIterable<OutputChunk>;
  /** Stops counting as a present reader; its iteration ends. */
  close(): void;
}

export interface OutputLogLimits {
  /** Bytes kept from the start. */
  readonly head: number;
  /** Bytes kept from the end. */
  readonly tail: number;
  /** Bytes by which a reader may lag before the producer has to wait. */
  readonly window: number;
}

export const outputLogLimits: OutputLogLimits = { head: 1_048_576, tail: 262_144, window: 1_048_576 };

/** A piece of the output; `start` counts all bytes since the command began. */
interface Piece {
  readonly start: number;
  readonly chunk: OutputChunk;
}

export function outputLog(limits: OutputLogLimits = outputLogLimits): OutputLog {
  const head: Piece[] = [];
  /** What follows the head, oldest first: kept for the slowest reader and as the end of the output. */
  let rest: Piece[] = [];
  let size = 0;
  let dropped = 0;
  let ended = false;
  /** The position up to which each present reader has read. */
  const positions = new Set<{ at: number }>();
  let changed = Promise.withResolvers<void>();

  const wake = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const slowest = () => Math.min(size, ...[...positions].map((position) => position.at));
  const hasRoom = () => size - slowest() <= limits.window;

  const dropUnneeded = () => {
    const needed = Math.min(slowest(), size - limits.tail);
    const first = rest.findIndex((piece) => endOf(piece) > needed);
    const gone = first === -1 ? rest : rest.slice(0, first);
    if (gone.length === 0) return;
    for (const piece of gone) dropped += piece.chunk.bytes.length;
    rest = rest.slice(gone.length);
  };

  const waitForRoom = async () => {
    while (!hasRoom()) await changed.promise;
  };

  async function* read(position: { at: number }, isOpen: () => boolean): AsyncGenerator<OutputChunk> {
    try {
      while (isOpen()) {
        const piece = pieceAfter(head, position.at) ?? pieceAfter(rest, position.at);
        if (piece) {
          const bytes = piece.chunk.bytes.subarray(Math.max(0, position.at - piece.start));
          position.at = endOf(piece);
          dropUnneeded();
          wake();
          yield { stream: piece.chunk.stream, bytes };
        } else if (ended) return;
        else await changed.promise;
      }
    } finally {
      positions.delete(position);
      dropUnneeded();
      wake();
    }
  }

  return {
    append(chunk) {
      if (ended || chunk.bytes.length === 0) return undefined;
      const isHead = size < limits.head;
      add(isHead ? head : rest, { start: size, chunk });
      size += chunk.bytes.length;
      if (!isHead) dropUnneeded();
      wake();
      return hasRoom() ? undefined : waitForRoom();
    },
    end() {
      ended = true;
      wake();
    },
    reader() {
      const position = { at: 0 };
      let open = true;
      positions.add(position);
      return {
        output: read(position, () => open),
        close() {
          open = false;
          positions.delete(position);
          dropUnneeded();
          wake();
        },
      };
    },
    counts: () => ({ size, dropped }),
  };
}

const endOf = (piece: Piece): number => piece.start + piece.chunk.bytes.length;

const pieceAfter = (pieces: readonly Piece[], position: number): Piece | undefined =>
  pieces[firstAfter(pieces, position)];

/** Index of the first piece that reaches beyond `position`; binary, because a command may print a byte at a time. */
function firstAfter(pieces: readonly Piece[], position: number): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const piece = pieces[middle];
    if (piece && endOf(piece) <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

const MERGE_BELOW = 8192;

/** Adds a piece; small ones of one stream are joined, so that a byte at a time does not cost an object each. */
function add(pieces: Piece[], piece: Piece): void {
  const last = pieces.at(-1);
  const joinable =
    last?.chunk.stream === piece.chunk.stream &&
    last.chunk.bytes.length + piece.chunk.bytes.length <= MERGE_BELOW;
  if (!last || !joinable) {
    pieces.push(piece);
    return;
  }
  const bytes = new Uint8Array(last.chunk.bytes.length + piece.chunk.bytes.length);
  bytes.set(last.chunk.bytes);
  bytes.set(piece.chunk.bytes, last.chunk.bytes.length);
  pieces[pieces.length - 1] = { start: last.start, chunk: { stream: last.chunk.stream, bytes } };
}
