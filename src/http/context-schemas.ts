import { z } from "zod";
import type { ContextView } from "../context/view.ts";
import { transcriptMessageSchema } from "./content-schemas.ts";

const tokens = z.int().meta({ description: "Estimated." });

const breakpoint = z.discriminatedUnion("after", [
  z.strictObject({ after: z.literal("system") }),
  z.strictObject({ after: z.literal("message"), index: z.int() }),
]);

const modelRequestSchema = z
  .strictObject({
    system: z.string(),
    tools: z.array(
      z.strictObject({
        name: z.string(),
        description: z.string(),
        inputSchema: z.record(z.string(), z.json()).meta({ description: "A JSON Schema." }),
      }),
    ),
    messages: z.array(transcriptMessageSchema),
    maxOutputTokens: z.exactOptional(z.int()),
    reasoning: z.exactOptional(z.enum(["none", "low", "medium", "high"])),
    sessionId: z.string(),
    cache: z.exactOptional(
      z.strictObject({
        key: z.string(),
        lifetime: z.enum(["5m", "1h"]),
        breakpoints: z.array(breakpoint),
      }),
    ),
  })
  .meta({ id: "ModelRequest" });

export const contextQuerySchema = z.strictObject({
  request: z.exactOptional(
    z.enum(["true", "false"]).meta({ description: "Whether the request itself is wanted. Default: false." }),
  ),
});

export const contextSchema = z
  .strictObject({
    sessionId: z.string(),
    agent: z.string(),
    model: z.string(),
    window: z
      .number()
      .nullable()
      .meta({ description: "Tokens of prompt and answer together that the model takes; null: not known." }),
    tokens: z.int().meta({
      description:
        "Of the whole request: what the provider counted last, and an estimate of what came since.",
    }),
    opens: z.enum(["start", "promptChanged", "toolsChanged", "modelChanged", "compacted"]).nullable().meta({
      description: "Why system prompt and tools will be recorded anew; null: they go on as they are.",
    }),
    sections: z.array(
      z.strictObject({
        name: z.enum([
          "identity",
          "work",
          "toolGuidance",
          "deferredTools",
          "agent",
          "project",
          "memory",
          "environment",
        ]),
        source: z.string(),
        tokens,
      }),
    ),
    tools: z
      .array(z.strictObject({ name: z.string(), tokens }))
      .meta({ description: "Those that the model is told of in full." }),
    deferred: z.array(z.string()).meta({ description: "Those that it can find." }),
    messages: z.strictObject({ count: z.int(), tokens }),
    request: z.exactOptional(modelRequestSchema),
  })
  .meta({ id: "Context" }) satisfies z.ZodType<ContextView>;
