import { expect, test } from "vitest";
import { placeWords, withPlace } from "./place-words.ts";

test("a command that is suggested names the place of the session as it was named", () => {
  const message = "All is spent. Raise it: holdfast interrupts answer s1 --raise 8; or end the run: --end";
  expect(withPlace(message, placeWords({ url: "http://box:1" }))).toBe(
    "All is spent. Raise it: holdfast interrupts answer s1 --url http://box:1 --raise 8; or end the run: --end",
  );
  expect(withPlace(message, placeWords({}))).toBe(message);
  expect(placeWords({ agentPath: "my agent", dataDir: "data" })).toEqual([
    "--agent",
    "'my agent'",
    "--data-dir",
    "data",
  ]);
});
