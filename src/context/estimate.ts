import type { AssistantBlock, ImageBlock, Message, ResultBlock, UserBlock } from "../log/content.ts";
import type { ToolSpec } from "../models/model.ts";
import { examineImage } from "../tools/image-header.ts";

/**
 * Tokens without a tokenizer. Tokenizers differ by provider and model, and even the right one would not see what a provider
 * adds; so these figures are for proportions and for what no provider has counted yet (`tokens.ts` builds on what one has).
 * Bytes of UTF-8 fit scripts better than characters do: English has about 4 to a token, Cyrillic 2 characters of 2 bytes,
 * Chinese and Japanese little more than one character of 3.
 */
const BYTES_PER_TOKEN = 4;
/** JSON is denser: brackets and quotes are tokens of their own. */
const JSON_BYTES_PER_TOKEN = 3;
/** What a provider writes around a message, a call and a result. */
const FRAME_TOKENS = 4;

/** @pure */
export function estimateText(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN);
}

/** @pure */
export function estimateJson(value: unknown): number {
  return Math.ceil(Buffer.byteLength(JSON.stringify(value) ?? "") / JSON_BYTES_PER_TOKEN);
}

/** @pure */
export function estimateTool(tool: ToolSpec): number {
  const { name, description, inputSchema } = tool;
  return FRAME_TOKENS + estimateText(name) + estimateText(description) + estimateJson(inputSchema);
}

/** Messages never change, and a growing history holds the same ones again and again: each is counted once. @pure */
export function estimateMessage(message: Message): number {
  const known = counted.get(message);
  if (known !== undefined) return known;
  const tokens = FRAME_TOKENS + countMessage(message);
  counted.set(message, tokens);
  return tokens;
}

const counted = new WeakMap<Message, number>();

/** @pure */
export function estimateBlocks(blocks: readonly (UserBlock | AssistantBlock | ResultBlock)[]): number {
  return sum(blocks, estimateBlock);
}

/** @pure */
export function sum<T>(items: readonly T[], count: (item: T) => number): number {
  return items.reduce((total, item) => total + count(item), 0);
}

function countMessage(message: Message): number {
  return message.role === "tool"
    ? sum(message.results, ({ blocks }) => FRAME_TOKENS + estimateBlocks(blocks))
    : estimateBlocks(message.blocks);
}

function estimateBlock(block: UserBlock | AssistantBlock | ResultBlock): number {
  switch (block.type) {
    case "text":
    case "reasoning":
      return estimateText(block.text);
    case "image":
      return estimateImage(block);
    case "toolCall":
      return FRAME_TOKENS + estimateText(block.name) + estimateJson(block.input);
  }
}

/** Anthropic's rule, which is near the others': a token for 750 pixels, of a picture made smaller where it is large. */
const PIXELS_PER_TOKEN = 750;
const LARGEST_IMAGE = 1600;

function estimateImage({ data }: ImageBlock): number {
  const image = examineImage(Buffer.from(data, "base64"));
  if (!image.ok) return LARGEST_IMAGE;
  return Math.min(LARGEST_IMAGE, Math.ceil((image.width * image.height) / PIXELS_PER_TOKEN));
}
