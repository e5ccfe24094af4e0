import type {
  LanguageModelV4FilePart,
  LanguageModelV4Message,
  LanguageModelV4TextPart,
  LanguageModelV4ToolResultOutput,
  LanguageModelV4ToolResultPart,
} from "@ai-sdk/provider";
import { sha256 } from "../../lib/ids.ts";
import type {
  AssistantBlock,
  ImageBlock,
  Message,
  ResultBlock,
  ToolResultMessage,
  UserBlock,
} from "../../log/content.ts";
import {
  callIdPattern,
  type Dialect,
  marksFailedResults,
  needsSignedReasoning,
  takesImagesInResults,
  takesSignedBlankText,
} from "./dialect.ts";
import { metadataFor } from "./sidecar.ts";

type AssistantMessage = Extract<Message, { role: "assistant" }>;
type AssistantPart = Extract<LanguageModelV4Message, { role: "assistant" }>["content"][number];

/** Maps one message of ours to those of the wire: usually one, none when nothing of it can be sent. */
export type MapMessage = (message: Message) => readonly LanguageModelV4Message[];

/**
 * The mapping for one dialect, by the rules of docs/models.md, *What another model sees*. Messages never change, and a growing
 * history holds the same objects again and again, so each is mapped once for as long as it lives.
 */
export function createMessageMapper(dialect: Dialect): MapMessage {
  const mapped = new WeakMap<Message, readonly LanguageModelV4Message[]>();
  return (message) => {
    let known = mapped.get(message);
    if (known === undefined) {
      known = mapMessage(message, dialect);
      mapped.set(message, known);
    }
    return known;
  };
}

function mapMessage(message: Message, dialect: Dialect): readonly LanguageModelV4Message[] {
  switch (message.role) {
    case "user":
      return [{ role: "user", content: mapUserBlocks(message.blocks) }];
    case "assistant":
      return mapAssistant(message, dialect);
    case "tool":
      return message.results.length === 0 ? [] : mapResults(message.results, dialect);
  }
}

/** Providers refuse blank text. A message of nothing else is said to be empty, so that the turns still alternate. */
function mapUserBlocks(blocks: readonly UserBlock[]) {
  const parts = blocks.filter(saysSomething).map(mapBlock);
  return parts.length === 0 ? [{ type: "text" as const, text: "(empty message)" }] : parts;
}

function saysSomething(block: UserBlock | ResultBlock): boolean {
  return block.type === "image" || !isBlank(block.text);
}

function isBlank(text: string): boolean {
  return text.trim() === "";
}

function mapBlock(block: UserBlock | ResultBlock): LanguageModelV4TextPart | LanguageModelV4FilePart {
  return block.type === "text" ? { type: "text", text: block.text } : mapImage(block);
}

function mapImage({ mediaType, data }: ImageBlock): LanguageModelV4FilePart {
  return { type: "file", mediaType, data: { type: "data", data } };
}

function mapAssistant(message: AssistantMessage, dialect: Dialect): readonly LanguageModelV4Message[] {
  const isOwn = message.model === dialect.model;
  const metadata = isOwn ? metadataFor(message, dialect.provider) : [];
  const content: AssistantPart[] = [];
  for (const [index, block] of message.blocks.entries()) {
    const providerOptions = metadata[index];
    const isSigned = providerOptions !== undefined;
    if (block.type === "reasoning" && !(isOwn && (isSigned || !needsSignedReasoning(dialect)))) continue;
    if (block.type === "text" && isBlank(block.text) && !(isSigned && takesSignedBlankText(dialect)))
      continue;
    const part = mapAssistantBlock(block, dialect);
    content.push(isSigned ? { ...part, providerOptions } : part);
  }
  // Providers refuse a thought that nothing follows, such as one that the output limit cut off.
  while (content.at(-1)?.type === "reasoning") content.pop();
  return content.length === 0 ? [] : [{ role: "assistant", content }];
}

function mapAssistantBlock(block: AssistantBlock, dialect: Dialect): AssistantPart {
  switch (block.type) {
    case "text":
    case "reasoning":
      return { type: block.type, text: block.text };
    case "toolCall":
      return {
        type: "tool-call",
        toolCallId: callIdFor(block.callId, dialect),
        toolName: block.name,
        input: block.input,
      };
  }
}

/** The id itself where the provider accepts it, else one made from it: always the same, for the call and for its result. */
function callIdFor(callId: string, dialect: Dialect): string {
  return callIdPattern(dialect).test(callId) ? callId : sha256(callId, 9);
}

function mapResults(
  results: readonly ToolResultMessage[],
  dialect: Dialect,
): readonly LanguageModelV4Message[] {
  if (takesImagesInResults(dialect)) {
    return [
      {
        role: "tool",
        content: results.map((result) => resultPart(result, outputWithImages(result), dialect)),
      },
    ];
  }
  const images = results.flatMap(imagesBehind);
  const content = results.map((result) => resultPart(result, textOutput(result, dialect), dialect));
  return images.length === 0
    ? [{ role: "tool", content }]
    : [
        { role: "tool", content },
        { role: "user", content: images },
      ];
}

function resultPart(
  { callId, name }: ToolResultMessage,
  output: LanguageModelV4ToolResultOutput,
  dialect: Dialect,
): LanguageModelV4ToolResultPart {
  return { type: "tool-result", toolCallId: callIdFor(callId, dialect), toolName: name, output };
}

const FAILED = "The call failed:";

function outputWithImages(result: ToolResultMessage): LanguageModelV4ToolResultOutput {
  const { blocks, isError } = result;
  if (blocks.every((block) => block.type === "text"))
    return { type: outputType(isError), value: textOf(blocks) };
  // Content has no flag for an error, so that the error is said.
  const preface = isError ? [{ type: "text" as const, text: FAILED }] : [];
  return { type: "content", value: [...preface, ...blocks.filter(saysSomething).map(mapBlock)] };
}

function textOutput(
  { blocks, isError }: ToolResultMessage,
  dialect: Dialect,
): LanguageModelV4ToolResultOutput {
  const text = textOf(blocks);
  return {
    type: outputType(isError),
    value: isError && !marksFailedResults(dialect) ? `${FAILED}\n${text}` : text,
  };
}

function outputType(isError: boolean): "error-text" | "text" {
  return isError ? "error-text" : "text";
}

function textOf(blocks: readonly ResultBlock[]): string {
  const text = blocks
    .map((block) => (block.type === "text" ? block.text : `[${block.mediaType}: see the next message]`))
    .join("\n");
  return isBlank(text) ? "(no output)" : text;
}

function imagesBehind({ name, blocks }: ToolResultMessage) {
  const images = blocks.filter((block) => block.type === "image").map(mapImage);
  return images.length === 0
    ? []
    : [{ type: "text" as const, text: `From the result of ${name}:` }, ...images];
}
