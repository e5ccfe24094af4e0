import { expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { ENTRY_VERSION, type Entry, type NewEntry } from "../../log/entry.ts";
import { fold } from "../../log/fold.ts";
import { problemsIn } from "../../log/transcript.ts";
import { openSqliteStore } from "../../stores/sqlite/sqlite.ts";
import { call, modelIsCalled, modelSays, runStarts, text, toolEnds } from "../../testing/log-builder.ts";
import { examineSession } from "./repair.ts";

const failed: NewEntry = { type: "runFailed", runId: "r1", error: { code: "x", message: "x" } };

/** A log as an earlier release, or another program, may have left it: written past the rules of the writer. */
async function storeWith(facts: readonly NewEntry[]) {
  const store = await openSqliteStore({ path: ":memory:" });
  await store.create({ id: "s", agent: "tester" });
  const lease = await store.claim("s");
  if (lease === undefined) throw new Error("taken");
  let parentId = lease.headId;
  const entries = facts.map((fact, index) => {
    const id = `x${index}`;
    const entry: Entry = { ...fact, id, sessionId: "s", parentId, seq: index + 2, at: 0, v: ENTRY_VERSION };
    parentId = id;
    return entry;
  });
  await store.append("s", { head: lease.headId, epoch: lease.epoch }, entries, "idle");
  await store.release(lease);
  return store;
}

const cases: readonly [string, readonly NewEntry[], readonly RegExp[]][] = [
  ["a whole log", [runStarts(), modelIsCalled(), modelSays([text("hi")]), failed], []],
  [
    "a run that ended with a call under way",
    [
      runStarts(),
      modelIsCalled(),
      modelSays([call("a", "pay", {}), call("b", "pay", {})]),
      toolEnds("b", "pay"),
      failed,
    ],
    [/the call a has no result/],
  ],
  [
    "an id that was used twice",
    [
      runStarts(),
      modelIsCalled(),
      modelSays([call("a", "pay", {})]),
      toolEnds("a", "pay"),
      modelIsCalled(),
      modelSays([call("a", "pay", {})]),
      failed,
    ],
    [/more than one call/, /has no result/],
  ],
];

test.each(cases)("%s", async (_, facts, problems) => {
  await using store = await storeWith(facts);
  const looked = await examineSession(store, "s", { repair: false, clock: systemClock });
  expect(looked.problems).toHaveLength(problems.length);
  for (const [i, problem] of problems.entries()) expect(looked.problems[i]).toMatch(problem);
  const before = await store.path("s");
  expect(looked.repaired).toBe(false);

  const mended = await examineSession(store, "s", { repair: true, clock: systemClock });
  expect(mended.repaired).toBe(problems.length > 0);
  const after = await store.path("s");
  expect(after.slice(0, before.length)).toEqual(before);
  expect(problemsIn(fold(after).messages, { callsAtEnd: false })).toEqual([]);
  expect((await examineSession(store, "s", { repair: true, clock: systemClock })).problems).toEqual([]);
});

test("leaves a session alone that has work", async () => {
  await using store = await storeWith([runStarts()]);
  await expect(examineSession(store, "s", { repair: true, clock: systemClock })).rejects.toMatchObject({
    code: "unavailable",
    hint: expect.stringContaining("sessions stop s"),
  });
});
