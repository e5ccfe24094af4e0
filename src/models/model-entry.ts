import { z } from "zod";

/** US dollars for a million tokens. A price that is not known is absent, never zero. */
const tokenPrices = z.strictObject({
  input: z.number().min(0),
  output: z.number().min(0),
  cacheRead: z.number().min(0).optional(),
  cacheWrite: z.number().min(0).optional(),
  /** For what is kept for an hour. */
  cacheWrite1h: z.number().min(0).optional(),
});

export const modelPricesSchema = tokenPrices.extend({
  /** What the whole call costs instead, when its prompt is longer than `above` tokens. */
  longPrompt: z.strictObject({ above: z.int().min(1), ...tokenPrices.shape }).optional(),
  /** The share of all these prices that a call costs in a batch, for example 0.5. */
  batch: z.number().min(0).max(1).optional(),
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
