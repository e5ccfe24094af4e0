import { expect, test } from "vitest";
import { type RetryHints, readRetryAfter } from "./retry-after.ts";

const date = "Thu, 01 Jan 2026 00:00:10 GMT";
const now = Date.UTC(2026, 0, 1, 0, 0, 10);

test.each<{ name: string; hints: Partial<RetryHints>; expected: number | undefined }>([
  { name: "nothing", hints: {}, expected: undefined },
  { name: "seconds", hints: { headers: { "retry-after": "7" } }, expected: 7000 },
  { name: "parts of a second", hints: { headers: { "retry-after": "0.35" } }, expected: 350 },
  {
    name: "a date",
    hints: { headers: { "retry-after": "Thu, 01 Jan 2026 00:00:30 GMT" } },
    expected: 20_000,
  },
  {
    name: "a date, by the answer's own clock",
    hints: {
      headers: { "retry-after": "Sat, 01 Jan 2028 00:00:30 GMT", date: "Sat, 01 Jan 2028 00:00:25 GMT" },
    },
    expected: 5000,
  },
  {
    name: "a date that is over",
    hints: { headers: { "retry-after": "Wed, 31 Dec 2025 00:00:00 GMT" } },
    expected: 0,
  },
  { name: "words", hints: { headers: { "retry-after": "soon" } }, expected: undefined },
  {
    name: "milliseconds",
    hints: { headers: { "retry-after": "1", "retry-after-ms": "350.4" } },
    expected: 350,
  },
  {
    name: "Anthropic: the limit that is used up",
    hints: {
      status: 429,
      headers: {
        date,
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:12Z",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-01-01T00:00:45Z",
      },
    },
    expected: 35_000,
  },
  {
    name: "Anthropic: seconds come first",
    hints: {
      status: 429,
      headers: {
        "retry-after": "3",
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:45Z",
      },
    },
    expected: 3000,
  },
  {
    name: "Anthropic: seconds since 1970",
    hints: { status: 429, headers: { "anthropic-ratelimit-unified-reset": String(now / 1000 + 90) } },
    expected: 90_000,
  },
  {
    name: "OpenAI: the later of two that are used up",
    hints: {
      status: 429,
      headers: {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1.5s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s",
      },
    },
    expected: 360_000,
  },
  {
    name: "OpenAI: none is used up, so that the sentence counts",
    hints: {
      status: 429,
      headers: { "x-ratelimit-remaining-tokens": "500", "x-ratelimit-reset-tokens": "59s" },
      message:
        "Rate limit reached for gpt-5 on tokens per min (TPM): Limit 30000. Please try again in 1.242s. Visit …",
    },
    expected: 1242,
  },
  {
    name: "OpenAI: the limits of an answer that failed otherwise",
    hints: {
      status: 500,
      headers: { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "8h" },
    },
    expected: undefined,
  },
  {
    name: "OpenRouter: milliseconds since 1970",
    hints: {
      status: 429,
      headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(now + 4000) },
    },
    expected: 4000,
  },
  {
    name: "the IETF's draft: seconds",
    hints: { status: 429, headers: { "ratelimit-reset": "12" } },
    expected: 12_000,
  },
  {
    name: "Google",
    hints: {
      status: 429,
      data: {
        error: {
          details: [
            { "@type": "type.googleapis.com/google.rpc.QuotaFailure" },
            { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "34.074824224s" },
          ],
        },
      },
    },
    expected: 34_075,
  },
  {
    name: "Google, in an array",
    hints: { data: [{ error: { details: [{ retryDelay: "2s" }] } }] },
    expected: 2000,
  },
  { name: "a sentence with minutes", hints: { message: "Please try again in 6m0s." }, expected: 360_000 },
  { name: "a sentence with milliseconds", hints: { message: "Please try again in 12ms" }, expected: 12 },
  {
    name: "a sentence without a unit",
    hints: { message: "Please try again in 5 minutes" },
    expected: undefined,
  },
])("$name", ({ hints, expected }) => {
  expect(readRetryAfter({ message: "", ...hints }, now)).toBe(expected);
});
