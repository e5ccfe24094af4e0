/**
 * What runtime and agent say to each other: `u32le length, u8 type, u32le id, payload`, where length counts what follows
 * it. The runtime chooses the ids; an answer carries the id of its request. `native/agent/frame.h` is the other side and
 * says what each payload holds. Pure: bytes in, frames out.
 */
export const PROTOCOL_VERSION = 1;
/** Largest payload, in either direction. */
export const MAX_PAYLOAD = 1 << 20;
/** Bytes of output that may be on their way before the reader has taken them. */
export const CREDIT = 256 << 10;

export const request = {
  exec: 1,
  stdin: 2,
  attach: 3,
  credit: 4,
  detach: 5,
  kill: 6,
  read: 7,
  write: 8,
  writeData: 9,
  writeEnd: 10,
  stat: 11,
  list: 12,
  delete: 13,
  makeDirectory: 14,
  ping: 15,
  shutdown: 16,
} as const;

export const answer = {
  ready: 64,
  started: 65,
  stdout: 66,
  stderr: 67,
  exit: 68,
  data: 69,
  done: 70,
  fail: 71,
} as const;

export const exitFlag = { timedOut: 1, killed: 2, lost: 4 } as const;

export interface Frame {
  readonly type: number;
  readonly id: number;
  readonly payload: Uint8Array;
}

const HEADER = 9;
/** Length of what the length field counts besides the payload. */
const COUNTED = 5;

export function encodeFrame(type: number, id: number, payload: Uint8Array = new Uint8Array()): Uint8Array {
  if (payload.length > MAX_PAYLOAD) throw new RangeError(`a frame of ${payload.length} bytes is too large`);
  const frame = Buffer.allocUnsafe(HEADER + payload.length);
  frame.writeUInt32LE(COUNTED + payload.length, 0);
  frame.writeUInt8(type, 4);
  frame.writeUInt32LE(id, 5);
  frame.set(payload, HEADER);
  return frame;
}

export interface FrameDecoder {
  /** The frames that are complete with these bytes. @throws RangeError when what comes is no frame; the stream is then useless. */
  push(bytes: Uint8Array): readonly Frame[];
}

export function createFrameDecoder(): FrameDecoder {
  let parts: Uint8Array[] = [];
  let held = 0;
  let needed = HEADER;
  return {
    push(bytes) {
      parts.push(bytes);
      held += bytes.length;
      // Joined only when a frame is complete: a large one that comes in small parts is copied once.
      if (held < needed) return [];
      const buffer = Buffer.concat(parts, held);
      const { frames, used, next } = split(buffer);
      parts = used === held ? [] : [buffer.subarray(used)];
      held -= used;
      needed = next;
      return frames;
    },
  };
}

/** All complete frames, how many bytes they take, and how many bytes the next one needs at least. */
function split(buffer: Buffer): { frames: Frame[]; used: number; next: number } {
  const frames: Frame[] = [];
  let used = 0;
  for (;;) {
    if (buffer.length - used < HEADER) return { frames, used, next: HEADER };
    const length = buffer.readUInt32LE(used);
    if (length < COUNTED || length - COUNTED > MAX_PAYLOAD) {
      throw new RangeError(`a frame cannot have a length of ${length}`);
    }
    const end = used + 4 + length;
    if (end > buffer.length) return { frames, used, next: end - used };
    frames.push({
      type: buffer.readUInt8(used + 4),
      id: buffer.readUInt32LE(used + 5),
      payload: buffer.subarray(used + HEADER, end),
    });
    used = end;
  }
}

/** A part of a payload: `u8`, `u32` and `u64` are numbers, a text is preceded by its length in bytes. */
export type Field = readonly ["u8" | "u32" | "u64", number] | readonly ["text", string];

export function encodeFields(...fields: readonly Field[]): Uint8Array {
  return Buffer.concat(fields.map(encodeField));
}

function encodeField([kind, value]: Field): Uint8Array {
  switch (kind) {
    case "u8":
      return Uint8Array.of(value);
    case "u32": {
      const bytes = Buffer.allocUnsafe(4);
      bytes.writeUInt32LE(value);
      return bytes;
    }
    case "u64": {
      const bytes = Buffer.allocUnsafe(8);
      bytes.writeBigUInt64LE(BigInt(value));
      return bytes;
    }
    case "text": {
      const text = Buffer.from(value, "utf8");
      const bytes = Buffer.allocUnsafe(4 + text.length);
      bytes.writeUInt32LE(text.length);
      bytes.set(text, 4);
      return bytes;
    }
  }
}

export interface FieldReader {
  readonly left: number;
  u8(): number;
  u32(): number;
  i32(): number;
  u64(): number;
  text(): string;
}

/** Reads a payload field by field. @throws RangeError past its end. */
export function readFields(payload: Uint8Array): FieldReader {
  const buffer = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  let at = 0;
  const advance = (length: number): number => {
    if (at + length > buffer.length) throw new RangeError("a frame is shorter than its fields");
    at += length;
    return at - length;
  };
  const u32 = () => buffer.readUInt32LE(advance(4));
  return {
    get left() {
      return buffer.length - at;
    },
    u8: () => buffer.readUInt8(advance(1)),
    u32,
    i32: () => buffer.readInt32LE(advance(4)),
    u64: () => Number(buffer.readBigUInt64LE(advance(8))),
    text() {
      const length = u32();
      const start = advance(length);
      return buffer.toString("utf8", start, start + length);
    },
  };
}
