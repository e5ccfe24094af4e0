import { expect, test } from "vitest";
import { age, ago, count, dollars, duration, modelCallsText, tokens } from "./figures.ts";

test.each([
  [0, "under 1 ms"],
  [3, "3 ms"],
  [999, "999 ms"],
  [1_000, "1 s"],
  [1_234, "1.23 s"],
  [12_345, "12.3 s"],
  [60_000, "1 min"],
  [125_000, "2 min 5 s"],
  [3_780_000, "1 h 3 min"],
  [273_600_000, "3 d 4 h"],
])("%d ms takes %s", (ms, text) => expect(duration(ms)).toBe(text));

test.each([
  [10, "now"],
  [59_999, "59 s"],
  [3_599_000, "59 min"],
  [90_000_000, "25 h"],
  [864_000_000, "10 d"],
])("%d ms ago is %s", (ms, text) => expect(age(ms)).toBe(text));

test.each([
  [950, "950"],
  [12_345, "12.3k"],
  [999_960, "1M"],
  [1_250_000, "1.3M"],
  [150_000, "150k"],
])("%d is %s", (value, text) => expect(count(value)).toBe(text));

test.each([
  [null, "unknown price"],
  [0, "$0"],
  [0.00001, "under $0.0001"],
  [0.0042, "$0.0042"],
  [1.256, "$1.26"],
])("%d dollars are %s", (value, text) => expect(dollars(value)).toBe(text));

test("tokens count the whole prompt, and name what came from the cache", () => {
  const usage = { input: 1_000, cacheRead: 30_000, cacheWrite: 200, output: 2_100, reasoning: 500 };
  expect(tokens(usage)).toBe("31.2k in (30k from cache), 2.1k out (500 for reasoning)");
  expect(tokens({ ...usage, cacheRead: 0, reasoning: 0 })).toBe("1.2k in, 2.1k out");
});

test('what has just happened was not "now ago"', () => {
  expect([ago(200), ago(5_000)]).toEqual(["just now", "5 s ago"]);
});

test("summaries are told beside the calls", () => {
  expect(modelCallsText({ modelCalls: 1, summaryCalls: 0, classifierCalls: 0 })).toBe("1 model call");
  expect(modelCallsText({ modelCalls: 4, summaryCalls: 1, classifierCalls: 0 })).toBe(
    "4 model calls and 1 summary",
  );
  expect(modelCallsText({ modelCalls: 4, summaryCalls: 2, classifierCalls: 1 })).toBe(
    "4 model calls, 2 summaries and 1 check",
  );
});
