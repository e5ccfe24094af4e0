import { z } from "zod";

const price = z.number().min(0);

/** US dollars for a million tokens. A price that is not known is absent, never zero. */
const tokenPrices = z.strictObject({
  input: price.describe("For what goes in and is not cached."),
  output: price.describe("For what comes out, reasoning included."),
  cacheRead: price.optional().describe("For what comes from the provider's cache."),
  cacheWrite: price
    .optional()
    .describe("For what is written to it, for as long as the provider keeps it by itself."),
  cacheWrite1h: price.optional().describe("For what is written to it for an hour."),
});

export const modelPricesSchema = tokenPrices.extend({
  longPrompt: z
    .strictObject({ above: z.int().min(1), ...tokenPrices.shape })
    .optional()
    .describe("What the whole call costs instead, when its prompt is longer than `above` tokens."),
  batch: price
    .max(1)
    .optional()
    .describe("The share of all these prices that a call costs in a batch, such as 0.5."),
});

/** What is known about a model. Also the shape of a model in the configuration, where all but `id` may be left out. */
export const modelEntrySchema = z.strictObject({
  /** "provider/name", or "scripted". */
  id: z.string().regex(/^(?:scripted|[^/]+\/.+)$/, 'must be "provider/name"'),
  /** Tokens of prompt and answer together. */
  contextWindow: z.int().min(1).optional(),
  /** Tokens of one answer. */
  maxOutput: z.int().min(1).optional(),
  abilities: z.strictObject({ tools: z.boolean(), images: z.boolean(), reasoning: z.boolean() }).optional(),
  prices: modelPricesSchema.optional(),
  /** The month or day of which this is true. */
  asOf: z.string().optional(),
  /** Where it stands. */
  source: z.string().optional(),
});

export type ModelEntry = Readonly<z.output<typeof modelEntrySchema>>;
export type TokenPrices = Readonly<z.output<typeof tokenPrices>>;
export type ModelPrices = NonNullable<ModelEntry["prices"]>;
