import { expect, test } from "vitest";
import { pngImage } from "../../test/sample-images.ts";
import type { Message } from "../log/content.ts";
import { describeImages } from "./describe-images.ts";

const png = pngImage(8, 6);
const image = { type: "image", mediaType: "image/png", data: png.toString("base64") } as const;
const words = {
  type: "text",
  text: `[image image/png 8x6, ${png.length} bytes, not shown: this model does not take images]`,
};

const said: Message = { role: "user", blocks: [{ type: "text", text: "look" }, image] };
const answered: Message = {
  role: "assistant",
  model: "a/b",
  blocks: [{ type: "toolCall", callId: "c1", name: "read", input: { path: "a.png" } }],
};
const read: Message = {
  role: "tool",
  results: [
    { callId: "c1", name: "read", isError: false, blocks: [{ type: "text", text: "a.png:" }, image] },
    { callId: "c2", name: "read", isError: true, blocks: [{ type: "text", text: "none" }] },
  ],
};
const plain: Message = { role: "user", blocks: [{ type: "text", text: "go on" }] };

test("images of people and tools become words where they stood; all else stays as it is", () => {
  expect(describeImages([said, answered, read, plain])).toEqual([
    { role: "user", blocks: [{ type: "text", text: "look" }, words] },
    answered,
    {
      role: "tool",
      results: [
        { callId: "c1", name: "read", isError: false, blocks: [{ type: "text", text: "a.png:" }, words] },
        { callId: "c2", name: "read", isError: true, blocks: [{ type: "text", text: "none" }] },
      ],
    },
    plain,
  ]);
});

test("the same message is the same object in every request", () => {
  const first = describeImages([said, read]);
  const second = describeImages([said, read, plain]);
  expect(second[0]).toBe(first[0]);
  expect(second[1]).toBe(first[1]);
  expect(second[2]).toBe(plain);
  expect(JSON.stringify(describeImages([structuredClone(said)])[0])).toBe(JSON.stringify(first[0]));
});
