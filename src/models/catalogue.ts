import type { Usage } from "../log/content.ts";
import { builtInModels } from "./catalogue-data.ts";
import type { ModelEntry, ModelPrices, TokenPrices } from "./model-entry.ts";

export interface Catalogue {
  /** A dated snapshot ("gpt-5-2025-08-07") is found under its own id or that of its model. */
  find(modelId: string): ModelEntry | undefined;
  /** Undefined where the model or one of the prices that are needed is not known. */
  price(modelId: string, usage: Usage): number | null;
  list(): readonly ModelEntry[];
}

/** @param own models of the configuration: new ones, or fields that replace those of a built-in model. */
export function createCatalogue(own: readonly ModelEntry[] = []): Catalogue {
  const entries = new Map(builtInModels.map((entry) => [entry.id, entry]));
  for (const entry of own) entries.set(entry.id, { ...entries.get(entry.id), ...entry });
  const find = (modelId: string) => entries.get(modelId) ?? entries.get(modelId.replace(SNAPSHOT, ""));
  return {
    find,
    price: (modelId, usage) => (SCRIPTED.test(modelId) ? 0 : priceOf(usage, find(modelId))),
    list: () => [...entries.values()],
  };
}

/** US dollars for one call; null when the model or a price that is needed is not known. */
export function priceOf(usage: Usage, entry: ModelEntry | undefined): number | null {
  if (entry?.prices === undefined) return null;
  const prices = pricesFor(usage, entry.prices);
  const parts = [
    costOf(usage.input, prices.input),
    costOf(usage.cacheRead, prices.cacheRead),
    costOf(usage.cacheWrite, prices.cacheWrite),
    costOf(usage.output, prices.output),
  ];
  return parts.reduce((sum, part) => (sum === null || part === null ? null : sum + part), 0);
}

/** Played from a file: costs nothing. */
const SCRIPTED = /^scripted(?:\/|$)/;

const SNAPSHOT = /-(?:\d{4}-\d{2}-\d{2}|\d{8})$/;

function pricesFor(usage: Usage, { longPrompt, ...prices }: ModelPrices): TokenPrices {
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite;
  return longPrompt !== undefined && prompt > longPrompt.above ? longPrompt : prices;
}

function costOf(tokens: number, perMillion: number | undefined): number | null {
  if (tokens === 0) return 0;
  return perMillion === undefined ? null : (tokens * perMillion) / 1_000_000;
}
