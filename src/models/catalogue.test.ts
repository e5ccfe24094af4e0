import { expect, test } from "vitest";
import { noUsage, type Usage } from "../log/content.ts";
import { createCatalogue } from "./catalogue.ts";
import { builtInModels } from "./catalogue-data.ts";
import { modelEntrySchema } from "./model-entry.ts";

const million = 1_000_000;

test.each<{ name: string; model: string; usage: Partial<Usage>; dollars: number | null }>([
  { name: "nothing", model: "openai/gpt-5", usage: {}, dollars: 0 },
  { name: "input", model: "anthropic/claude-sonnet-4-6", usage: { input: million }, dollars: 3 },
  { name: "output", model: "anthropic/claude-sonnet-4-6", usage: { output: million }, dollars: 15 },
  {
    name: "read from the cache",
    model: "anthropic/claude-sonnet-4-6",
    usage: { cacheRead: million },
    dollars: 0.3,
  },
  {
    name: "written to the cache",
    model: "anthropic/claude-sonnet-4-6",
    usage: { cacheWrite: million },
    dollars: 3.75,
  },
  {
    name: "everything; reasoning is part of the output",
    model: "openai/gpt-5.2",
    usage: { input: 1000, cacheRead: 10_000, output: 500, reasoning: 400 },
    dollars: (1000 * 1.75 + 10_000 * 0.175 + 500 * 14) / million,
  },
  {
    name: "a prompt just within the limit",
    model: "openai/gpt-5.4",
    usage: { input: 272_000 },
    dollars: 0.68,
  },
  {
    name: "a long prompt, which costs more as a whole",
    model: "openai/gpt-5.4",
    usage: { input: 72_000, cacheRead: 200_001, output: 1000 },
    dollars: (72_000 * 5 + 200_001 * 0.5 + 1000 * 22.5) / million,
  },
  {
    name: "a dated snapshot",
    model: "anthropic/claude-haiku-4-5-20251001",
    usage: { input: million },
    dollars: 1,
  },
  { name: "another kind of date", model: "openai/gpt-5-2025-08-07", usage: { output: million }, dollars: 10 },
  { name: "an unknown model", model: "openai/gpt-0", usage: { input: 1 }, dollars: null },
  {
    name: "a price that is not known",
    model: "google/gemini-3.5-flash",
    usage: { cacheRead: 1 },
    dollars: null,
  },
  {
    name: "the same model without need of it",
    model: "google/gemini-3.5-flash",
    usage: { input: million },
    dollars: 1.5,
  },
  { name: "a local model", model: "ollama/qwen3", usage: { input: 1 }, dollars: null },
])("price of $name", ({ model, usage, dollars }) => {
  const price = createCatalogue().price(model, { ...noUsage, ...usage });
  if (dollars === null) expect(price).toBeNull();
  else expect(price).toBeCloseTo(dollars, 10);
});

test("the configuration adds models and replaces fields", () => {
  const free = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
  const catalogue = createCatalogue([
    { id: "ollama/qwen3", contextWindow: 32_768, prices: free },
    { id: "openai/gpt-5", prices: { input: 1, output: 2 }, source: "our contract" },
  ]);
  expect(catalogue.price("ollama/qwen3", { ...noUsage, input: million, output: million })).toBe(0);
  expect(catalogue.price("openai/gpt-5", { ...noUsage, input: million })).toBe(1);
  expect(catalogue.find("openai/gpt-5")).toMatchObject({ contextWindow: 400_000, source: "our contract" });
});

test("built-in entries are well-formed, named once and say where they come from", () => {
  for (const entry of builtInModels) {
    expect(modelEntrySchema.parse(entry)).toEqual(entry);
    expect(entry.asOf).toMatch(/^\d{4}-\d{2}/);
    expect(entry.source).toMatch(/^https:/);
  }
  expect(new Set(builtInModels.map(({ id }) => id)).size).toBe(builtInModels.length);
  // A zero would be a claim that something is free.
  expect(JSON.stringify(builtInModels)).not.toMatch(/"(?:input|output|cacheRead|cacheWrite)":0[,}]/);
});
