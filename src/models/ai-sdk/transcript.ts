import type {
  LanguageModelV4FilePart,
  LanguageModelV4Message,
  LanguageModelV4TextPart,
  LanguageModelV4ToolResultOutput,
  LanguageModelV4ToolResultPart,
} from "@ai-sdk/provider";
import type { AssistantBlock, ImageBlock, Message, ToolResultMessage, UserBlock } from "../../log/content.ts";
import { type Dialect, needsSignedReasoning, takesImagesInResults } from "./dialect.ts";
import { metadataFor } from "./sidecar.ts";

type AssistantMessage = Extract<Message, { role: "assistant" }>;
type AssistantPart = Extract<LanguageModelV4Message, { role: "assistant" }>["content"][number];

/** Maps one message of ours to those of the wire: usually one, none when nothing of it can be sent. */
export type MapMessage = (message: Message) => readonly LanguageModelV4Message[];

/**
 * The mapping for one dialect. Messages never change, and a growing history holds the same objects again and again, so each
 * is mapped once for as long as it lives.
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
      return [{ role: "user", content: message.blocks.map(mapUserBlock) }];
    case "assistant":
      return mapAssistant(message, dialect);
    case "tool":
      return mapResults(message.results, dialect);
  }
}

function mapUserBlock(block: UserBlock): LanguageModelV4TextPart | LanguageModelV4FilePart {
  return block.type === "text" ? { type: "text", text: block.text } : mapImage(block);
}

function mapImage({ mediaType, data }: ImageBlock): LanguageModelV4FilePart {
  return { type: "file", mediaType, data: { type: "data", data } };
}

function mapAssistant(message: AssistantMessage, dialect: Dialect): readonly LanguageModelV4Message[] {
  const metadata = metadataFor(message, dialect.provider);
  const mayReason = message.model.startsWith(`${dialect.provider}/`);
  const content: AssistantPart[] = [];
  for (const [index, block] of message.blocks.entries()) {
    const providerOptions = metadata[index];
    if (block.type === "reasoning") {
      if (!mayReason || (providerOptions === undefined && needsSignedReasoning(dialect))) continue;
    }
    const part = mapAssistantBlock(block);
    content.push(providerOptions === undefined ? part : { ...part, providerOptions });
  }
  return content.length === 0 ? [] : [{ role: "assistant", content }];
}

function mapAssistantBlock(block: AssistantBlock): AssistantPart {
  switch (block.type) {
    case "text":
      return { type: "text", text: block.text };
    case "reasoning":
      return { type: "reasoning", text: block.text };
    case "toolCall":
      return { type: "tool-call", toolCallId: block.callId, toolName: block.name, input: block.input };
  }
}

function mapResults(
  results: readonly ToolResultMessage[],
  dialect: Dialect,
): readonly LanguageModelV4Message[] {
  if (takesImagesInResults(dialect)) {
    return [{ role: "tool", content: results.map((result) => resultPart(result, outputWithImages(result))) }];
  }
  const images = results.flatMap(imagesBehind);
  const content = results.map((result) => resultPart(result, textOutput(result)));
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
): LanguageModelV4ToolResultPart {
  return { type: "tool-result", toolCallId: callId, toolName: name, output };
}

function outputWithImages(result: ToolResultMessage): LanguageModelV4ToolResultOutput {
  const { blocks, isError } = result;
  if (blocks.every((block) => block.type === "text")) return textOutput(result);
  // Content has no flag for an error, so that the error is said.
  const preface = isError ? [{ type: "text" as const, text: "The call failed:" }] : [];
  return { type: "content", value: [...preface, ...blocks.map(mapUserBlock)] };
}

function textOutput({ blocks, isError }: ToolResultMessage): LanguageModelV4ToolResultOutput {
  const value = blocks
    .map((block) => (block.type === "text" ? block.text : `[${block.mediaType}: see the next message]`))
    .join("\n");
  return { type: isError ? "error-text" : "text", value };
}

function imagesBehind({ name, blocks }: ToolResultMessage) {
  const images = blocks.filter((block) => block.type === "image").map(mapImage);
  return images.length === 0
    ? []
    : [{ type: "text" as const, text: `From the result of ${name}:` }, ...images];
}
