import type { Usage } from "../log/content.ts";
import { builtInModels } from "./catalogue-data.ts";
import type { CacheLifetime, ModelFacts } from "./model.ts";
import type { ModelEntry, ModelPrices, TokenPrices } from "./model-entry.ts";

export interface Catalogue {
  /** A dated snapshot ("gpt-5-2025-08-07") is found under its own id or that of its model. */
  find(modelId: string): ModelEntry | undefined;
  /** US dollars for one call. Null where the model or one of the prices that are needed is not known. */
  price(modelId: string, usage: Usage, service?: Service): number | null;
  /**
   * The most that a call of so many tokens can cost, in US dollars: as if nothing came from the provider's cache, and everything
   * were written to it. Null where the model's prices are not known.
   * @param lifetime of what is written to the cache. Default "5m".
   */
  worstCase(
    modelId: string,
    inputTokens: number,
    outputTokens: number,
    lifetime?: CacheLifetime,
  ): number | null;
  facts(modelId: string): ModelFacts;
  list(): readonly ModelEntry[];
}

/** How a call is served: at once, or with many others within a day, for less. */
export type Service = "standard" | "batch";

/** @param own models of the configuration: new ones, or fields that replace those of a built-in model. */
export function createCatalogue(own: readonly ModelEntry[] = []): Catalogue {
  const entries = new Map(builtInModels.map((entry) => [entry.id, entry]));
  const find = (modelId: string) => entries.get(modelId) ?? entries.get(modelId.replace(SNAPSHOT, ""));
  for (const entry of own) entries.set(entry.id, { ...find(entry.id), ...entry });
  const costsNothing = (modelId: string) => SCRIPTED.test(modelId) && find(modelId)?.prices === undefined;
  return {
    find,
    price(modelId, usage, service) {
      return costsNothing(modelId) ? 0 : priceOf(usage, find(modelId), service);
    },
    worstCase(modelId, inputTokens, outputTokens, lifetime) {
      return costsNothing(modelId) ? 0 : worstCaseOf(inputTokens, outputTokens, find(modelId), lifetime);
    },
    facts: (modelId) => factsOf(modelId, find(modelId)),
    list: () => [...entries.values()],
  };
}

/** US dollars for one call; null when the model or a price that is needed is not known. */
export function priceOf(
  usage: Usage,
  entry: ModelEntry | undefined,
  service: Service = "standard",
): number | null {
  if (entry?.prices === undefined) return null;
  const share = service === "batch" ? entry.prices.batch : 1;
  if (share === undefined) return null;
  const prices = pricesFor(usage.input + usage.cacheRead + usage.cacheWrite, entry.prices);
  const { cacheWrite1h = 0 } = usage;
  const parts = [
    costOf(usage.input, prices.input),
    costOf(usage.cacheRead, prices.cacheRead),
    costOf(usage.cacheWrite - cacheWrite1h, prices.cacheWrite),
    costOf(cacheWrite1h, prices.cacheWrite1h),
    costOf(usage.output, prices.output),
  ];
  return parts.reduce((sum, part) => (sum === null || part === null ? null : sum + part * share), 0);
}

function worstCaseOf(
  inputTokens: number,
  outputTokens: number,
  entry: ModelEntry | undefined,
  lifetime: CacheLifetime = "5m",
): number | null {
  if (entry?.prices === undefined) return null;
  const { input, output, cacheWrite, cacheWrite1h } = pricesFor(inputTokens, entry.prices);
  // A provider that has no price for writes does not charge for them.
  const write = (lifetime === "1h" ? cacheWrite1h : undefined) ?? cacheWrite ?? input;
  return (inputTokens * Math.max(input, write) + outputTokens * output) / MILLION;
}

function factsOf(modelId: string, entry: ModelEntry | undefined): ModelFacts {
  return {
    contextWindow: entry?.contextWindow ?? null,
    maxOutput: entry?.maxOutput ?? null,
    images: entry?.abilities?.images ?? SEEING.test(modelId),
  };
}

/**
 * Models of which the catalogue knows nothing, but whose provider or name says that they see. Any other is taken not to: an image
 * that a model does not take fails the request, and every one after it.
 */
const SEEING =
  /^(?:anthropic|openai|google|google-vertex|scripted)(?:\/|$)|claude|gpt-[4-9]|gemini|gemma-?[3-9]|llama-?4|llava|pixtral|moondream|minicpm-[vo]|kimi-k[2-9]\.[5-9]|vision|[-\d.]vl\b/i;

/** Played from a file: costs nothing. */
const SCRIPTED = /^scripted(?:\/|$)/;

const SNAPSHOT = /-(?:\d{4}-\d{2}-\d{2}|\d{8})$/;

function pricesFor(promptTokens: number, { longPrompt, batch: _, ...prices }: ModelPrices): TokenPrices {
  return longPrompt !== undefined && promptTokens > longPrompt.above ? longPrompt : prices;
}

function costOf(tokens: number, perMillion: number | undefined): number | null {
  if (tokens === 0) return 0;
  return perMillion === undefined ? null : (tokens * perMillion) / MILLION;
}

const MILLION = 1_000_000;
