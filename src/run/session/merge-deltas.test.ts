import { expect, test } from "vitest";
import type { Delta } from "./events.ts";
import { mergeDeltas } from "./merge-deltas.ts";

const text = (value: string): Delta => ({ type: "textDelta", runId: "r1", text: value });
const output = (callId: string, value: string): Delta => ({
  type: "toolOutput",
  runId: "r1",
  callId,
  stream: "stdout",
  text: value,
});

async function published(...given: readonly (readonly [session: string, delta: Delta, after: number])[]) {
  const seen: string[] = [];
  const publish = mergeDeltas((sessionId, delta, after) => {
    seen.push(`${sessionId}@${after} ${delta.type} ${"text" in delta ? delta.text : ""}`.trim());
  });
  for (const [session, delta, after] of given) publish(session, delta, after);
  await new Promise(setImmediate);
  return seen;
}

test("text that continues is one piece", async () => {
  expect(await published(["a", text("Hel"), 3], ["a", text("lo"), 3])).toEqual(["a@3 textDelta Hello"]);
});

test("sessions, calls and stretches between entries are kept apart, in order", async () => {
  const given = [
    ["a", text("1"), 3],
    ["b", text("2"), 3],
    ["a", text("3"), 3],
    ["a", text("4"), 5],
    ["a", output("x", "5"), 5],
    ["a", output("y", "6"), 5],
    ["a", output("y", "7"), 5],
    ["a", { type: "retracted", runId: "r1" }, 5],
  ] as const;
  expect(await published(...given)).toEqual([
    "a@3 textDelta 1",
    "b@3 textDelta 2",
    "a@3 textDelta 3",
    "a@5 textDelta 4",
    "a@5 toolOutput 5",
    "a@5 toolOutput 67",
    "a@5 retracted",
  ]);
});
