import { z } from "zod";

/** What messages are made of (`log/content.ts`), as schemas. */

const optionalText = z.exactOptional(z.string());
const count = z.int().min(0);

export const textBlockSchema = z
  .strictObject({ type: z.literal("text"), text: z.string() })
  .meta({ id: "TextBlock" });

export const imageBlockSchema = z
  .strictObject({
    type: z.literal("image"),
    mediaType: z
      .string()
      .regex(/^image\/[\w.+-]+$/)
      .meta({ description: 'For example "image/png".' }),
    data: z.base64().meta({ description: "Base64, without a `data:` prefix." }),
  })
  .meta({ id: "ImageBlock" });

const reasoningBlock = z
  .strictObject({ type: z.literal("reasoning"), text: z.string() })
  .meta({ id: "ReasoningBlock" });

const toolCallBlock = z
  .strictObject({
    type: z.literal("toolCall"),
    callId: z.string(),
    name: z.string(),
    input: z.unknown(),
    malformed: optionalText,
    repaired: optionalText.meta({
      description: "What the model wrote, where `input` was read from a certain repair of it.",
    }),
  })
  .meta({ id: "ToolCallBlock" });

export const userBlockSchema = z.discriminatedUnion("type", [textBlockSchema, imageBlockSchema]);
export const assistantBlockSchema = z.discriminatedUnion("type", [
  textBlockSchema,
  reasoningBlock,
  toolCallBlock,
]);

export const sidecarSchema = z.strictObject({ provider: z.string(), data: z.unknown() });

const toolResult = z.strictObject({
  callId: z.string(),
  name: z.string(),
  blocks: z.array(userBlockSchema),
  isError: z.boolean(),
});

/** A message of the transcript as a model sees it. */
export const transcriptMessageSchema = z
  .discriminatedUnion("role", [
    z.strictObject({ role: z.literal("user"), blocks: z.array(userBlockSchema) }),
    z.strictObject({
      role: z.literal("assistant"),
      blocks: z.array(assistantBlockSchema),
      model: z.string(),
      sidecar: z.exactOptional(sidecarSchema),
    }),
    z.strictObject({ role: z.literal("tool"), results: z.array(toolResult) }),
  ])
  .meta({ id: "TranscriptMessage", description: "A message as a model sees it." });

export const usageSchema = z
  .strictObject({
    input: count,
    cacheRead: count,
    cacheWrite: count,
    cacheWrite1h: z
      .exactOptional(count)
      .meta({ description: "The part of `cacheWrite` that is kept for an hour." }),
    output: count,
    reasoning: count,
  })
  .meta({
    id: "Usage",
    description:
      "Tokens. The parts do not overlap, except that `reasoning` is contained in `output`: the prompt is `input + cacheRead + cacheWrite`.",
  });
