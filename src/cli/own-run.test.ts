import { describe, expect, test } from "vitest";
import type { Entry } from "../log/entry.ts";
import { ownRunFilter } from "./own-run.ts";

const entry = (fields: object) => ({ type: "entry", entry: fields as Entry }) as const;
const started = (runId: string) => entry({ type: "runStarted", runId });
const ended = (runId: string, ...left: readonly string[]) =>
  entry({ type: "runFinished", runId, reason: "endTurn", left });
const message = (inboxId: string, delivery?: string) => entry({ type: "userMessage", inboxId, delivery });
const said = (text: string) => ({ type: "textDelta", runId: "r", text }) as const;

function passed(
  events: readonly Parameters<ReturnType<typeof ownRunFilter>>[0][],
  options: { readonly isFollowUp: boolean; readonly isRunOpen: boolean },
): readonly number[] {
  const belongs = ownRunFilter("mine", options);
  return events.flatMap((event, i) => (belongs(event) ? [i] : []));
}

const followUp = { isFollowUp: true, isRunOpen: true };

describe("of a message that follows up", () => {
  test("only its own run is shown, whatever runs come before it", () => {
    const events = [
      said("a"),
      message("mine", "followUp"),
      ended("a", "other", "mine"),
      started("b"),
      said("b"),
      ended("b", "mine"),
      started("c"),
      said("c"),
      ended("c"),
    ];
    expect(passed(events, followUp)).toEqual([6, 7, 8]);
  });

  test("everything is, where it came after the run had ended", () => {
    const events = [said("a"), ended("a"), message("mine", "followUp"), started("b"), said("b"), ended("b")];
    expect(passed(events, followUp)).toEqual([2, 3, 4, 5]);
  });

  test("the end is, where a stop has ended it with the run before it", () => {
    expect(passed([message("mine", "followUp"), said("a"), ended("a")], followUp)).toEqual([2]);
  });

  test("it is what the agent does with messages, too, as soon as that is known", () => {
    const events = [said("a"), message("mine", "followUp"), said("a"), ended("a", "mine"), started("b")];
    expect(passed(events, { isFollowUp: false, isRunOpen: true })).toEqual([0, 4]);
  });
});

test("of a message that steers, everything is shown", () => {
  const events = [said("a"), message("mine"), said("b"), ended("a")];
  expect(passed(events, { isFollowUp: false, isRunOpen: true })).toEqual([0, 1, 2, 3]);
});
