import type { LanguageModelV4Message } from "@ai-sdk/provider";
import { describe, expect, test } from "vitest";
import type { Message, ResultBlock } from "../../log/content.ts";
import type { Dialect } from "./dialect.ts";
import { createMessageMapper } from "./transcript.ts";

const anthropic: Dialect = { provider: "anthropic", protocol: "anthropic", model: "anthropic/x" };
const ollama: Dialect = { provider: "ollama", protocol: "chat", model: "ollama/x" };

const image = { type: "image", mediaType: "image/png", data: "iVBORw0KGgo=" } as const;
const file = { type: "file", mediaType: "image/png", data: { type: "data", data: "iVBORw0KGgo=" } };

function result(blocks: readonly ResultBlock[], isError = false): Message {
  return { role: "tool", results: [{ callId: "c1", name: "read", blocks, isError }] };
}

function toolMessage(output: object): object {
  return {
    role: "tool",
    content: [{ type: "tool-result", toolCallId: "c1", toolName: "read", output }],
  };
}

describe.each<{ name: string; dialect: Dialect; message: Message; expected: readonly object[] }>([
  {
    name: "text and image of a user",
    dialect: anthropic,
    message: { role: "user", blocks: [{ type: "text", text: "Look" }, image] },
    expected: [{ role: "user", content: [{ type: "text", text: "Look" }, file] }],
  },
  {
    name: "a result of several texts",
    dialect: anthropic,
    message: result([
      { type: "text", text: "a" },
      { type: "text", text: "b" },
    ]),
    expected: [toolMessage({ type: "text", value: "a\nb" })],
  },
  {
    name: "a result that is an error",
    dialect: anthropic,
    message: result([{ type: "text", text: "no such file" }], true),
    expected: [toolMessage({ type: "error-text", value: "no such file" })],
  },
  {
    name: "a result with an image",
    dialect: anthropic,
    message: result([{ type: "text", text: "here" }, image]),
    expected: [toolMessage({ type: "content", value: [{ type: "text", text: "here" }, file] })],
  },
  {
    name: "an error with an image",
    dialect: anthropic,
    message: result([image], true),
    expected: [toolMessage({ type: "content", value: [{ type: "text", text: "The call failed:" }, file] })],
  },
  {
    name: "a result with an image, where results are text",
    dialect: ollama,
    message: result([{ type: "text", text: "here" }, image]),
    expected: [
      toolMessage({ type: "text", value: "here\n[image/png: see the next message]" }),
      { role: "user", content: [{ type: "text", text: "From the result of read:" }, file] },
    ],
  },
  {
    name: "a malformed call",
    dialect: anthropic,
    message: {
      role: "assistant",
      model: "anthropic/x",
      blocks: [{ type: "toolCall", callId: "c1", name: "read", input: {}, malformed: "{" }],
    },
    expected: [
      {
        role: "assistant",
        content: [{ type: "tool-call", toolCallId: "c1", toolName: "read", input: {} }],
      },
    ],
  },
  {
    name: "reasoning without its signature",
    dialect: anthropic,
    message: { role: "assistant", model: "anthropic/x", blocks: [{ type: "reasoning", text: "hm" }] },
    expected: [],
  },
  {
    name: "reasoning where no signature is needed",
    dialect: ollama,
    message: {
      role: "assistant",
      model: "ollama/x",
      blocks: [
        { type: "reasoning", text: "hm" },
        { type: "text", text: "hi" },
      ],
    },
    expected: [
      {
        role: "assistant",
        content: [
          { type: "reasoning", text: "hm" },
          { type: "text", text: "hi" },
        ],
      },
    ],
  },
  {
    name: "reasoning that nothing follows",
    dialect: ollama,
    message: { role: "assistant", model: "ollama/x", blocks: [{ type: "reasoning", text: "hm" }] },
    expected: [],
  },
  {
    name: "reasoning of another model of the same server",
    dialect: ollama,
    message: {
      role: "assistant",
      model: "ollama/y",
      blocks: [
        { type: "reasoning", text: "hm" },
        { type: "text", text: "hi" },
      ],
    },
    expected: [{ role: "assistant", content: [{ type: "text", text: "hi" }] }],
  },
  {
    name: "no results",
    dialect: anthropic,
    message: { role: "tool", results: [] },
    expected: [],
  },
  {
    name: "a sidecar whose data is not what we wrote",
    dialect: anthropic,
    message: {
      role: "assistant",
      model: "anthropic/x",
      blocks: [{ type: "text", text: "hi" }],
      sidecar: { provider: "anthropic", data: { from: "a later release" } },
    },
    expected: [{ role: "assistant", content: [{ type: "text", text: "hi" }] }],
  },
])("$name", ({ dialect, message, expected }) => {
  test("is mapped", () => {
    const mapped: readonly LanguageModelV4Message[] = createMessageMapper(dialect)(message);
    expect(mapped).toEqual(expected);
  });
});

test("a message is mapped once", () => {
  const map = createMessageMapper(anthropic);
  const message: Message = { role: "user", blocks: [{ type: "text", text: "hi" }] };
  expect(map(message)).toBe(map(message));
});
