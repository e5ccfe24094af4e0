import { expect, test } from "vitest";
import { parseDuration, parseSize } from "./units.ts";

test.each([
  ["30s", 30_000],
  ["250ms", 250],
  ["5m", 300_000],
  ["1h30m", 5_400_000],
  ["1.5h", 5_400_000],
  ["7d", 604_800_000],
  ["0s", 0],
  ["30", undefined],
  ["", undefined],
  ["s", undefined],
  ["30 s", undefined],
  ["-1s", undefined],
  ["30sec", undefined],
  ["1e3s", undefined],
])("parseDuration(%j) is %j", (text, expected) => {
  expect(parseDuration(text)).toBe(expected);
});

test.each([
  ["2GiB", 2 * 2 ** 30],
  ["512 MB", 512_000_000],
  ["0.5KiB", 512],
  ["100B", 100],
  ["2gib", undefined],
  ["2G", undefined],
  ["", undefined],
  ["GiB", undefined],
  ["-1GiB", undefined],
])("parseSize(%j) is %j", (text, expected) => {
  expect(parseSize(text)).toBe(expected);
});
