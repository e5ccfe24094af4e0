import { expect, test } from "vitest";
import { AppError } from "../lib/errors.ts";
import { responseOf } from "./errors.ts";

test.each<[string, AppError, string | null]>([
  ["what it was told", new AppError("rate_limited", "", { details: { retryAfterMs: 1_200 } }), "2"],
  ["so, also when it was not told", new AppError("unavailable", ""), "5"],
  ["nothing where trying again does not help", new AppError("conflict", ""), null],
])("when to come back: %s", (_, error, expected) => {
  expect(responseOf(error, () => {}).headers.get("retry-after")).toBe(expected);
});
