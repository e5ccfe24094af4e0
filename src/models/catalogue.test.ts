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
    name: "written to the cache for an hour",
    model: "anthropic/claude-sonnet-4-6",
    usage: { cacheWrite: million, cacheWrite1h: million },
    dollars: 6,
  },
  {
    name: "written to the cache for both times",
    model: "anthropic/claude-sonnet-4-6",
    usage: { cacheWrite: million, cacheWrite1h: 400_000 },
    dollars: 0.6 * 3.75 + 0.4 * 6,
  },
  {
    name: "a long prompt that was written for an hour",
    model: "anthropic/claude-haiku-5-5",
    usage: { input: 1, cacheWrite: 200_000, cacheWrite1h: 200_000 },
    dollars: (0.5 + 200_000 * 1) / million,
  },
  {
    name: "writes for an hour without a price",
    model: "openai/gpt-6-sol",
    usage: { cacheWrite: 1, cacheWrite1h: 1 },
    dollars: null,
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

test.each<{ model: string; usage: Partial<Usage>; dollars: number | null }>([
  {
    model: "anthropic/claude-sonnet-4-6",
    usage: { input: 1000, cacheRead: 2000, cacheWrite: 3000, cacheWrite1h: 1000, output: 4000 },
    dollars: (1000 * 3 + 2000 * 0.3 + 2000 * 3.75 + 1000 * 6 + 4000 * 15) / 2 / million,
  },
  { model: "openai/gpt-5.4", usage: { input: 300_000 }, dollars: 0.75 },
  { model: "google/gemini-2.5-pro", usage: { input: 1 }, dollars: null },
  { model: "scripted", usage: { input: 1 }, dollars: 0 },
])("price of a batch of $model", ({ model, usage, dollars }) => {
  const price = createCatalogue().price(model, { ...noUsage, ...usage }, "batch");
  if (dollars === null) expect(price).toBeNull();
  else expect(price).toBeCloseTo(dollars, 10);
});

test.each<{
  name: string;
  model: string;
  tokens: [number, number];
  lifetime?: "5m" | "1h";
  dollars: number | null;
}>([
  {
    name: "everything is written to the cache",
    model: "anthropic/claude-sonnet-4-6",
    tokens: [million, 1000],
    dollars: 3.75 + 0.015,
  },
  {
    name: "for an hour",
    model: "anthropic/claude-sonnet-4-6",
    tokens: [million, 1000],
    lifetime: "1h",
    dollars: 6 + 0.015,
  },
  { name: "writes cost nothing more", model: "openai/gpt-5.2", tokens: [million, 0], dollars: 1.75 },
  {
    name: "writes have one price",
    model: "openai/gpt-6-sol",
    tokens: [1000, 0],
    lifetime: "1h",
    dollars: 0.0025,
  },
  { name: "a long prompt", model: "openai/gpt-5.4", tokens: [300_000, 1000], dollars: 1.5 + 0.0225 },
  { name: "an unknown model", model: "ollama/qwen3", tokens: [1, 1], dollars: null },
  { name: "a script", model: "scripted/demo", tokens: [million, million], dollars: 0 },
])("the most that a call can cost: $name", ({ model, tokens, lifetime, dollars }) => {
  const most = createCatalogue().worstCase(model, ...tokens, lifetime);
  if (dollars === null) expect(most).toBeNull();
  else expect(most).toBeCloseTo(dollars, 10);
});

test("no call costs more than the worst case", () => {
  const catalogue = createCatalogue();
  const shares: Partial<Usage>[] = [{ input: 1 }, { cacheRead: 1 }, { cacheWrite: 1 }];
  for (const { id } of catalogue.list()) {
    for (const prompt of [1000, 150_000, 500_000]) {
      for (const [name] of shares.flatMap(Object.entries)) {
        const price = catalogue.price(id, { ...noUsage, [name]: prompt, output: 2000 });
        const most = catalogue.worstCase(id, prompt, 2000);
        if (price !== null) expect(price).toBeLessThanOrEqual((most ?? 0) + 1e-9);
      }
    }
  }
});

test.each([
  ["anthropic/claude-haiku-4-5-20251001", { contextWindow: 200_000, maxOutput: 64_000, images: true }],
  ["openai/gpt-7", { contextWindow: null, maxOutput: null, images: true }],
  ["ollama/qwen3", { contextWindow: null, maxOutput: null, images: false }],
  ["ollama/qwen2.5vl:7b", { contextWindow: null, maxOutput: null, images: true }],
  ["openrouter/qwen/qwen3-vl-30b", { contextWindow: null, maxOutput: null, images: true }],
  ["openrouter/anthropic/claude-opus-5", { contextWindow: null, maxOutput: null, images: true }],
  ["scripted", { contextWindow: null, maxOutput: null, images: true }],
])("what is known of %s", (model, facts) => {
  expect(createCatalogue().facts(model)).toEqual(facts);
});

test("the configuration's own facts win, and a script can be given some", () => {
  const abilities = { tools: true, images: false, reasoning: false };
  const catalogue = createCatalogue([
    { id: "openai/gpt-5", contextWindow: 1000, abilities },
    { id: "scripted", contextWindow: 5000, prices: { input: 1, output: 2 } },
  ]);
  expect(catalogue.facts("openai/gpt-5")).toEqual({ contextWindow: 1000, maxOutput: 128_000, images: false });
  expect(createCatalogue([{ id: "openai/gpt-5-2025-08-07" }]).facts("openai/gpt-5-2025-08-07")).toEqual({
    contextWindow: 400_000,
    maxOutput: 128_000,
    images: true,
  });
  expect(catalogue.facts("scripted")).toEqual({ contextWindow: 5000, maxOutput: null, images: true });
  expect(catalogue.worstCase("scripted", million, million)).toBe(3);
  expect(catalogue.price("scripted", { ...noUsage, output: million })).toBe(2);
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
