import { expect, test } from "vitest";
import type { AssistantBlock, Message, ResultBlock } from "./content.ts";
import { problemsIn, repaired } from "./transcript.ts";

const user = (text: string): Message => ({ role: "user", blocks: [{ type: "text", text }] });
const call = (callId: string): AssistantBlock => ({ type: "toolCall", callId, name: "pay", input: {} });
const answer = (...blocks: readonly AssistantBlock[]): Message => ({ role: "assistant", model: "m", blocks });
const results = (...callIds: readonly string[]): Message => ({
  role: "tool",
  results: callIds.map((callId) => ({ callId, name: "pay", blocks: text("paid"), isError: false })),
});
const text = (value: string): ResultBlock[] => [{ type: "text", text: value }];
const say = (value: string) => answer({ type: "text", text: value });

test.each<[string, readonly Message[], readonly string[]]>([
  ["an empty one", [], []],
  ["a plain one", [user("hi"), answer(call("a"), call("b")), results("a", "b"), say("ok")], []],
  ["an empty message", [user(" "), user("hi")], ["a message of the user is empty"]],
  ["an empty answer", [user("hi"), answer()], ["an answer is empty"]],
  ["a blank answer", [user("hi"), say("\n")], ["an answer is empty"]],
  ["a call without a result", [answer(call("a")), user("hi")], ["the call a has no result"]],
  ["a call at the end", [user("hi"), answer(call("a"))], ["the call a has no result"]],
  ["one of two results", [answer(call("a"), call("b")), results("b")], ["the call a has no result"]],
  [
    "results too late",
    [answer(call("a")), user("hi"), results("a")],
    ["the call a has no result", "results stand behind no call"],
  ],
  [
    "a result too many",
    [answer(call("a")), results("a", "x")],
    ["the result of x belongs to no call of the answer before it"],
  ],
  [
    "a result twice",
    [answer(call("a")), results("a", "a")],
    ["the result of a belongs to no call of the answer before it"],
  ],
  ["results of nothing", [user("hi"), results("a")], ["results stand behind no call"]],
  [
    "an id twice",
    [answer(call("a")), results("a"), answer(call("a")), results("a")],
    ["the id a is used by more than one call"],
  ],
  [
    "an id twice in one answer",
    [answer(call("a"), call("a")), results("a", "a")],
    ["the id a is used by more than one call"],
  ],
])("%s", (_, messages, expected) => {
  expect(problemsIn(messages, { callsAtEnd: false }).map(({ problem }) => problem)).toEqual(expected);
  const mended = repaired(messages);
  expect(mended.problems).toHaveLength(expected.length);
  expect(problemsIn(mended.messages, { callsAtEnd: false })).toEqual([]);
  if (expected.length === 0) expect(mended.messages).toBe(messages);
});

test("calls under way need no results yet, but only those of the last answer", () => {
  const open = { callsAtEnd: true };
  expect(problemsIn([user("hi"), answer(call("a"))], open)).toEqual([]);
  expect(problemsIn([answer(call("a")), answer(call("b"))], open)).toMatchObject([{ message: 0 }]);
});

test("what is whole is left as it is", () => {
  const whole = [user("hi"), answer(call("a")), results("a")];
  const { messages } = repaired([...whole, user(""), answer(call("a"))]);
  expect(messages.slice(0, 3)).toEqual(whole);
  expect(messages.slice(3)).toMatchObject([
    { blocks: [{ callId: "a_2" }] },
    { results: [{ callId: "a_2", isError: true }] },
  ]);
});
