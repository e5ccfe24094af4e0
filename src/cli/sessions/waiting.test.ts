import { expect, test } from "vitest";
import type { NewEntry } from "../../log/entry.ts";
import { fold } from "../../log/fold.ts";
import {
  created,
  entries,
  modelIsCalled,
  runStarts,
  stopIsAsked,
  userSays,
} from "../../testing/log-builder.ts";
import { waitingOf, wordsFor } from "./waiting.ts";

const text = (words: string) => [{ type: "text", text: words }] as const;

test("what waits in the log comes before what waits for the log", () => {
  const follows: NewEntry = { ...userSays("later", "m2"), delivery: "followUp" } as NewEntry;
  const state = fold(
    entries(
      created(),
      userSays("now", "m1"),
      runStarts(),
      modelIsCalled(),
      userSays("steers", "m3"),
      follows,
    ),
  );
  const waiting = waitingOf(state, [
    {
      id: "m4",
      at: 1,
      command: { type: "message", blocks: text("more"), delivery: "interrupt", actor: "ada" },
    },
    { id: "m5", at: 2, command: { type: "message", blocks: text("plain") } },
    { id: "m6", at: 3, command: { type: "stop" } },
  ]);
  expect(waiting).toEqual([
    { id: "m3", type: "message", delivery: "steer", text: "steers" },
    { id: "m2", type: "message", delivery: "followUp", text: "later" },
    { id: "m4", type: "message", delivery: "interrupt", text: "more", actor: "ada" },
    { id: "m5", type: "message", delivery: "steer", text: "plain" },
    { id: "m6", type: "stop" },
  ]);
  expect(waiting.map(wordsFor)).toEqual([
    "seen before the next model call",
    "answered by a run of its own",
    "ada, stops the run, then is answered",
    "seen before the next model call",
    "a stop",
  ]);
});

test("what was stopped waits no more", () => {
  const state = fold(
    entries(created(), userSays("a"), runStarts(), modelIsCalled(), userSays("b"), stopIsAsked()),
  );
  expect(waitingOf(state, [])).toEqual([]);
});
