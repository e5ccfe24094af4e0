import type { ModelEntry } from "./model-entry.ts";

type Row = readonly [
  name: string,
  contextWindow: number | undefined,
  maxOutput: number | undefined,
  prices: ModelEntry["prices"],
];

const MILLION = 1_000_000;
const K128 = 128_000;
const K200 = 200_000;
const K64 = 64_000;

/** Prices of Anthropic follow the one for input: a write to the cache costs a quarter more for five minutes, twice as much for an hour. */
const claudeFlat = (input: number, output: number, cacheRead: number) => ({
  input,
  output,
  cacheRead,
  cacheWrite: input * 1.25,
  cacheWrite1h: input * 2,
});

/** A batch costs half, of whatever kind its tokens are. */
const HALF = 0.5;

const claude = (input: number, output: number, cacheRead: number) => ({
  ...claudeFlat(input, output, cacheRead),
  batch: HALF,
});

const anthropic: readonly Row[] = [
  ["claude-fable-5-1", MILLION, K128, claude(10, 50, 0.25)],
  ["claude-fable-5", undefined, K128, claude(10, 50, 1)],
  ["claude-opus-5-5", MILLION, K128, claude(4, 20, 0.2)],
  ["claude-opus-5", MILLION, K128, claude(5, 25, 0.5)],
  ["claude-opus-4-8", undefined, K128, claude(5, 25, 0.5)],
  ["claude-opus-4-7", MILLION, K128, claude(5, 25, 0.5)],
  ["claude-opus-4-6", MILLION, K128, claude(5, 25, 0.5)],
  ["claude-opus-4-5", K200, K64, claude(5, 25, 0.5)],
  ["claude-opus-4-1", K200, 32_000, claude(15, 75, 1.5)],
  ["claude-sonnet-5-5", MILLION, K128, claude(2, 10, 0.1)],
  ["claude-sonnet-5", undefined, K128, claude(2, 10, 0.2)],
  ["claude-sonnet-4-6", MILLION, K128, claude(3, 15, 0.3)],
  ["claude-sonnet-4-5", K200, K64, claude(3, 15, 0.3)],
  [
    "claude-haiku-5-5",
    MILLION,
    K128,
    { ...claude(0.1, 0.5, 0.01), longPrompt: { above: 100_000, ...claudeFlat(0.5, 2.5, 0.05) } },
  ],
  ["claude-haiku-4-5", K200, K64, claude(1, 5, 0.1)],
];

/** Above 272,000 tokens the whole call costs twice as much for what goes in and half as much again for what comes out. */
const gpt = (input: number, output: number, cacheRead: number, cacheWrite?: number) => ({
  ...gptFlat(input, output, cacheRead, cacheWrite),
  longPrompt: {
    above: 272_000,
    ...gptFlat(input * 2, output * 1.5, cacheRead * 2, cacheWrite && cacheWrite * 2),
  },
  batch: HALF,
});

const gptFlat = (input: number, output: number, cacheRead: number, cacheWrite?: number) => ({
  input,
  output,
  cacheRead,
  ...(cacheWrite === undefined ? {} : { cacheWrite }),
});

const openai: readonly Row[] = [
  ["gpt-6.1-terra", undefined, undefined, gpt(1, 5, 0.05, 1.25)],
  ["gpt-6-sol", undefined, undefined, gpt(2, 10, 0.2, 2.5)],
  ["gpt-6-luna", undefined, undefined, gpt(0.1, 0.5, 0.01, 0.125)],
  ["gpt-5.6-sol", undefined, undefined, gpt(5, 30, 0.5)],
  ["gpt-5.6-terra", undefined, undefined, gpt(2, 12, 0.2)],
  ["gpt-5.6-luna", undefined, undefined, gpt(0.2, 1.2, 0.02)],
  ["gpt-5.4", 1_050_000, K128, gpt(2.5, 15, 0.25)],
  ["gpt-5.2", 400_000, K128, { ...gptFlat(1.75, 14, 0.175), batch: HALF }],
  ["gpt-5.1", 400_000, K128, { ...gptFlat(1.25, 10, 0.125), batch: HALF }],
  ["gpt-5", 400_000, K128, { ...gptFlat(1.25, 10, 0.125), batch: HALF }],
  ["gpt-5-mini", 400_000, K128, { ...gptFlat(0.25, 2, 0.025), batch: HALF }],
  ["gpt-5-nano", 400_000, K128, { ...gptFlat(0.05, 0.4, 0.005), batch: HALF }],
];

/** Without the rent for explicit caches, which Holdfast does not make. */
const google: readonly Row[] = [
  [
    "gemini-3.1-pro-preview",
    1_048_576,
    65_536,
    { input: 2, output: 12, longPrompt: { above: K200, input: 4, output: 18 } },
  ],
  ["gemini-3.5-flash", 1_048_576, undefined, { input: 1.5, output: 9 }],
  ["gemini-3.5-flash-lite", 1_048_576, undefined, { input: 0.3, output: 2.5 }],
  [
    "gemini-2.5-pro",
    1_048_576,
    65_536,
    {
      input: 1.25,
      output: 10,
      cacheRead: 0.125,
      longPrompt: { above: K200, input: 2.5, output: 15, cacheRead: 0.25 },
    },
  ],
  ["gemini-2.5-flash", 1_048_576, 65_536, { input: 0.3, output: 2.5, cacheRead: 0.03 }],
  ["gemini-2.5-flash-lite", 1_048_576, 65_536, { input: 0.1, output: 0.4, cacheRead: 0.01 }],
];

/**
 * Models that are often used, with the list prices of standard service in their providers' own clouds.
 *
 * `asOf` is the month in which the figures were compared with published copies of `source` and with price lists that cite
 * it, not with a bill. Prices change: whoever depends on them puts their own into the configuration. What could not be
 * confirmed is left out. Surcharges for options that Holdfast does not set (priority, regions) are not here.
 */
export const builtInModels: readonly ModelEntry[] = [
  ...entries("anthropic", "https://platform.claude.com/docs/en/about-claude/pricing", anthropic),
  ...entries("openai", "https://developers.openai.com/api/docs/pricing", openai),
  ...entries("google", "https://ai.google.dev/gemini-api/docs/pricing", google),
];

function entries(provider: string, source: string, rows: readonly Row[]): readonly ModelEntry[] {
  return rows.map(([name, contextWindow, maxOutput, prices]) => ({
    id: `${provider}/${name}`,
    ...(contextWindow === undefined ? {} : { contextWindow }),
    ...(maxOutput === undefined ? {} : { maxOutput }),
    // Of every model in this file.
    abilities: { tools: true, images: true, reasoning: true },
    prices,
    asOf: "2026-10",
    source,
  }));
}
