import type { ImageBlock, Message, TextBlock } from "../log/content.ts";
import { describeImage } from "../tools/images.ts";

/**
 * A transcript for a model that does not take images: each image is a text that says what stood there. A message without
 * images is passed on as it is, and one with images is described once for as long as it lives, so that the same messages
 * give the same objects and the same bytes in every request.
 * @pure
 */
export function describeImages(messages: readonly Message[]): readonly Message[] {
  return messages.map((message) => {
    if (!hasImages(message)) return message;
    let described = known.get(message);
    if (described === undefined) {
      described = describe(message);
      known.set(message, described);
    }
    return described;
  });
}

const known = new WeakMap<Message, Message>();

function hasImages(message: Message): boolean {
  switch (message.role) {
    case "user":
      return message.blocks.some(isImage);
    case "tool":
      return message.results.some(({ blocks }) => blocks.some(isImage));
    case "assistant":
      return false;
  }
}

function describe(message: Message): Message {
  switch (message.role) {
    case "user":
      return { ...message, blocks: message.blocks.map(withoutImage) };
    case "tool":
      return {
        ...message,
        results: message.results.map((result) => ({ ...result, blocks: result.blocks.map(withoutImage) })),
      };
    case "assistant":
      return message;
  }
}

function isImage(block: TextBlock | ImageBlock): boolean {
  return block.type === "image";
}

function withoutImage(block: TextBlock | ImageBlock): TextBlock {
  if (block.type === "text") return block;
  const text = `[image ${describeImage(block)}, not shown: this model does not take images]`;
  return { type: "text", text };
}
