import { expect, test } from "vitest";
import type { Entry } from "../../log/entry.ts";
import { createRunSummary } from "./run-result.ts";

const entry = (at: number, fields: object) =>
  ({ type: "entry", entry: { sessionId: "s", runId: "r", at, ...fields } as Entry }) as const;

test("of several questions at once, the time until the last one is answered counts, once", () => {
  const summary = createRunSummary();
  summary.add(entry(0, { type: "runStarted" }));
  summary.add(entry(10, { type: "interrupted", interruptId: "i" }));
  summary.add(entry(20, { type: "interrupted", interruptId: "j" }));
  summary.add(entry(1_010, { type: "interruptResolved", interruptId: "j" }));
  expect(summary.result().timing).toMatchObject({ waitingMs: 1_000 });
  summary.add(entry(2_010, { type: "interruptResolved", interruptId: "i" }));
  summary.add(entry(2_030, { type: "runFinished", reason: "endTurn" }));
  expect(summary.result().timing).toMatchObject({ totalMs: 2_030, waitingMs: 2_000, overheadMs: 30 });
});

test("the time for which a person is waited for is no overhead, also while they are", () => {
  const summary = createRunSummary();
  summary.add(entry(0, { type: "runStarted" }));
  summary.add(entry(10, { type: "modelCalled", purpose: "summary" }));
  summary.add(entry(10, { type: "modelCalled" }));
  summary.add(entry(30, { type: "interrupted", interruptId: "i" }));
  summary.add(entry(1_030, { type: "userMessage", inboxId: "m", blocks: [] }));
  expect(summary.result().timing).toMatchObject({ waitingMs: 1_000, modelCalls: 1, summaryCalls: 1 });
  summary.add(entry(5_030, { type: "interruptResolved", interruptId: "i" }));
  summary.add(entry(5_040, { type: "runFinished", reason: "endTurn" }));
  expect(summary.result().timing).toMatchObject({ totalMs: 5_040, waitingMs: 5_000, overheadMs: 10 });
});
