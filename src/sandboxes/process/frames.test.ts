import { strict as assert } from "node:assert";
import { describe, expect, test } from "vitest";
import {
  createFrameDecoder,
  encodeFields,
  encodeFrame,
  type Frame,
  MAX_PAYLOAD,
  readFields,
} from "./frames.ts";

describe("frames", () => {
  test("come out as they went in, however the stream is cut", () => {
    const sent: Frame[] = [
      { type: 1, id: 0, payload: new Uint8Array() },
      { type: 255, id: 0xffff_ffff, payload: Uint8Array.of(0, 255, 1) },
      { type: 7, id: 3, payload: new Uint8Array(70_000).fill(9) },
    ];
    const stream = Buffer.concat(sent.map(({ type, id, payload }) => encodeFrame(type, id, payload)));
    for (const size of [1, 2, 8, 9, 10, 4096, stream.length]) {
      assert.deepEqual(decode(stream, size).map(plain), sent.map(plain));
    }
  });

  test.each([
    ["shorter than its header", [4, 0, 0, 0, 1, 0, 0, 0, 0]],
    ["longer than allowed", [6, 0, 0x10, 0, 1, 0, 0, 0, 0]],
    ["as long as can be written", [255, 255, 255, 255, 1, 0, 0, 0, 0]],
  ])("a frame %s is refused before anything is held for it", (_name, bytes) => {
    expect(() => createFrameDecoder().push(Uint8Array.from(bytes))).toThrow(RangeError);
  });

  test("a payload that is too large is not sent", () => {
    expect(() => encodeFrame(1, 1, new Uint8Array(MAX_PAYLOAD + 1))).toThrow(RangeError);
    expect(encodeFrame(1, 1, new Uint8Array(MAX_PAYLOAD))).toHaveLength(MAX_PAYLOAD + 9);
  });

  test("fields are read as they were written", () => {
    const fields = readFields(
      encodeFields(["u8", 7], ["u32", 0xffff_fffe], ["u64", 2 ** 53 - 1], ["text", "ä日"], ["text", ""]),
    );
    assert.deepEqual(
      [fields.u8(), fields.u32(), fields.u64(), fields.text(), fields.text(), fields.left],
      [7, 0xffff_fffe, 2 ** 53 - 1, "ä日", "", 0],
    );
    expect(() => fields.u8()).toThrow(RangeError);
    expect(() => readFields(Uint8Array.of(9, 0, 0, 0, 65)).text()).toThrow(RangeError);
  });

  test("100,000 random frames, some of them broken, are decoded or refused", () => {
    const next = pseudoRandom(42);
    let decoded = 0;
    let refused = 0;
    for (let round = 0; round < 1000; round++) {
      const stream = Buffer.concat(
        Array.from({ length: 100 }, () =>
          encodeFrame(next() % 256, next(), new Uint8Array(next() % 40).fill(next())),
        ),
      );
      // Every second stream has a byte that was changed on its way.
      if (round % 2 === 1) stream[next() % stream.length] = next() % 256;
      try {
        for (const { payload } of decode(stream, 1 + (next() % 4000))) {
          decoded += 1;
          readAnything(payload, next);
        }
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error));
        refused += 1;
      }
    }
    assert.ok(decoded > 50_000 && refused > 50, `${decoded} decoded, ${refused} refused`);
  });
});

function decode(stream: Uint8Array, size: number): readonly Frame[] {
  const decoder = createFrameDecoder();
  const frames: Frame[] = [];
  for (let at = 0; at < stream.length; at += size)
    frames.push(...decoder.push(stream.subarray(at, at + size)));
  return frames;
}

const plain = ({ type, id, payload }: Frame) => ({ type, id, payload: Buffer.from(payload).toString("hex") });

function readAnything(payload: Uint8Array, next: () => number): void {
  const fields = readFields(payload);
  try {
    while (fields.left > 0) [fields.u8, fields.u32, fields.i32, fields.u64, fields.text][next() % 5]?.();
  } catch (error) {
    assert.ok(error instanceof RangeError, String(error));
  }
}

/** The same numbers in every run, so that a failure can be repeated (xorshift32). */
function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}
