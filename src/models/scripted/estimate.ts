import type { AssistantBlock, Message, ResultBlock, Usage, UserBlock } from "../../log/content.ts";
import type { ModelRequest } from "../model.ts";

const CHARACTERS_PER_TOKEN = 4;
/** An image counts as this many characters, whatever its size. */
const IMAGE_CHARACTERS = 4000;

/** The tokens of a call, from nothing but its texts: the same request and answer always give the same figures. */
export function estimateUsage(request: ModelRequest, answer: readonly AssistantBlock[]): Usage {
  const prompt =
    request.system.length + JSON.stringify(request.tools).length + sum(request.messages, charactersOf);
  const reasoning = sum(answer, (block) => (block.type === "reasoning" ? block.text.length : 0));
  return {
    input: tokens(prompt),
    cacheRead: 0,
    cacheWrite: 0,
    output: tokens(sum(answer, blockCharacters)),
    reasoning: tokens(reasoning),
  };
}

function tokens(characters: number): number {
  return Math.ceil(characters / CHARACTERS_PER_TOKEN);
}

/** Messages never change, and a growing history holds the same ones again and again. */
const counted = new WeakMap<Message, number>();

function charactersOf(message: Message): number {
  const known = counted.get(message);
  if (known !== undefined) return known;
  const count =
    message.role === "tool"
      ? sum(message.results, (result) => sum(result.blocks, blockCharacters))
      : sum<AssistantBlock | UserBlock>(message.blocks, blockCharacters);
  counted.set(message, count);
  return count;
}

function blockCharacters(block: AssistantBlock | UserBlock | ResultBlock): number {
  switch (block.type) {
    case "text":
    case "reasoning":
      return block.text.length;
    case "image":
      return IMAGE_CHARACTERS;
    case "toolCall":
      return block.name.length + (block.malformed ?? block.repaired ?? JSON.stringify(block.input)).length;
  }
}

function sum<T>(items: readonly T[], count: (item: T) => number): number {
  return items.reduce((total, item) => total + count(item), 0);
}
