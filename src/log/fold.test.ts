import { describe, expect, it } from "vitest";
import {
  call,
  created,
  entries,
  modelIsCalled,
  modelSays,
  runEnds,
  runStarts,
  stopIsAsked,
  text,
  toolEnds,
  toolStarts,
  userSays,
} from "../testing/log-builder.ts";
import type { Message } from "./content.ts";
import type { Entry, NewEntry } from "./entry.ts";
import { fold } from "./fold.ts";

/** "user: hi | assistant: call a, call b | tool: a=1 b=2", so that a transcript can be read in a test. */
function transcript(...facts: readonly NewEntry[]): string {
  return fold(entries(...facts))
    .messages.map((message) => `${message.role}: ${contentOf(message)}`)
    .join(" | ");
}

function contentOf(message: Message): string {
  if (message.role === "tool") {
    return message.results.map((result) => `${result.callId}=${textOf(result.blocks)}`).join(" ");
  }
  return message.blocks
    .map((block) => (block.type === "toolCall" ? `call ${block.callId}` : textOf([block])))
    .join(", ");
}

function textOf(blocks: readonly { readonly type: string; readonly text?: string }[]): string {
  return blocks.map((block) => block.text ?? block.type).join("");
}

const twoCalls = [
  created(),
  userSays("hi"),
  runStarts(),
  modelIsCalled(),
  modelSays([call("a", "x"), call("b", "y")]),
];

describe("the transcript", () => {
  it("has results in the order of the calls, in whatever order they arrived", () => {
    expect(transcript(...twoCalls, toolEnds("b", "y", "2"), toolEnds("a", "x", "1"))).toBe(
      "user: hi | assistant: call a, call b | tool: a=1 b=2",
    );
  });

  it("has no results before all are there", () => {
    expect(transcript(...twoCalls, toolEnds("b", "y", "2"))).toBe("user: hi | assistant: call a, call b");
  });

  it("leaves out an answer without content, which providers refuse", () => {
    expect(transcript(created(), userSays("hi"), runStarts(), modelIsCalled(), modelSays([]))).toBe(
      "user: hi",
    );
  });

  it("puts a message that arrives between a call and its result behind the result", () => {
    expect(transcript(...twoCalls, userSays("wait"), toolEnds("a", "x", "1"), toolEnds("b", "y", "2"))).toBe(
      "user: hi | assistant: call a, call b | tool: a=1 b=2 | user: wait",
    );
  });

  it("puts a message that arrives while the model answers behind the answer", () => {
    const facts = [
      created(),
      userSays("hi"),
      runStarts(),
      modelIsCalled(),
      userSays("and?"),
      modelSays([text("ok")]),
    ];
    expect(transcript(...facts)).toBe("user: hi | assistant: ok | user: and?");
  });

  it("shows a message that arrived during a lost request to the next try", () => {
    const facts = [
      created(),
      userSays("hi"),
      runStarts(),
      modelIsCalled(),
      userSays("and?"),
      modelIsCalled(2),
    ];
    expect(transcript(...facts)).toBe("user: hi | user: and?");
  });
});

describe("a fork", () => {
  const fork: NewEntry = {
    type: "sessionCreated",
    agent: "tester",
    forkedFrom: { sessionId: "p", entryId: "e5" },
  };

  it("leaves what was under way to the session that it came from, with a result for every call", () => {
    const state = fold(entries(...twoCalls, toolEnds("b", "y", "2"), userSays("late"), fork));
    expect(state).toMatchObject({ run: null, openCalls: [], deferred: [], unanswered: null });
    expect(transcript(...twoCalls, toolEnds("b", "y", "2"), userSays("late"), fork)).toMatch(
      /call a, call b \| tool: a=No result.* b=2 \| user: late$/,
    );
  });
});

describe("the run", () => {
  it("goes on when a message arrived while the model had the last word", () => {
    const state = fold(
      entries(
        created(),
        userSays("hi"),
        runStarts(),
        modelIsCalled(),
        userSays("b"),
        modelSays([text("ok")]),
      ),
    );
    expect(state.run?.answered).toBeNull();
  });

  it("takes a message before a stop with it, and leaves one after it to the next run", () => {
    const stopped = [...twoCalls, userSays("before"), stopIsAsked(), userSays("after")];
    const results = [toolEnds("a", "x"), toolEnds("b", "y"), runEnds("stopped")];
    const state = fold(entries(...stopped, ...results));
    expect(state.run).toBeNull();
    expect(state.unanswered).toEqual({ messages: ["in-after"], model: undefined, stopRequested: false });
    expect(transcript(...stopped, ...results)).toMatch(/user: before \| user: after$/);
  });

  it("leaves nothing unanswered when the stop was the last word", () => {
    const state = fold(
      entries(
        ...twoCalls,
        userSays("before"),
        stopIsAsked(),
        toolEnds("a", "x"),
        toolEnds("b", "y"),
        runEnds("stopped"),
      ),
    );
    expect(state.unanswered).toBeNull();
  });

  it("is stopped before it begins when the stop came first", () => {
    const state = fold(entries(created(), userSays("hi"), stopIsAsked(), runStarts()));
    expect(state.run?.stopRequested).toBe(true);
  });

  it("counts a turn once, however often it was tried", () => {
    const facts = [
      created(),
      userSays("hi"),
      runStarts(),
      modelIsCalled(),
      modelIsCalled(2),
      modelIsCalled(3),
    ];
    expect(fold(entries(...facts)).run).toMatchObject({ turns: 1, attempts: 3 });
  });

  it("knows of a started call what it was started as", () => {
    const state = fold(entries(...twoCalls, toolStarts("a", "x", "once")));
    expect(state.openCalls[0]?.started).toEqual({
      operationId: "op-a",
      effect: "once",
      attempt: 1,
      at: 5_000,
    });
  });
});

it("is the same for a whole log as entry by entry, and ignores what a newer release added", () => {
  const unknown = { type: "somethingNew", payload: 1 } as unknown as NewEntry;
  const log: Entry[] = entries(...twoCalls, unknown, toolEnds("a", "x"), toolEnds("b", "y"));
  const state = fold(log);
  expect(state.headSeq).toBe(log.length);
  expect(state.messages).toHaveLength(3);
});
