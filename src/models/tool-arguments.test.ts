import { describe, expect, test } from "vitest";
import { repairJson } from "./repair-json.ts";
import { readArguments } from "./tool-arguments.ts";

describe("a certain repair", () => {
  test.each([
    ["a missing brace", '{"path": "a.txt"', '{"path": "a.txt"}'],
    ["brackets of several kinds", '{"edits": [{"a": "b"', '{"edits": [{"a": "b"}]}'],
    ["a missing brace behind white space", '{"on": true\n', '{"on": true}'],
    ["behind a word", '{"a": [null', '{"a": [null]}'],
    ["behind an empty object", '{"a": {}', '{"a": {}}'],
    ["a comma behind the last field", '{"a": 1,}', '{"a": 1}'],
    ["a comma behind the last item", '{"a": [1, 2 ,\n ]}', '{"a": [1, 2 \n ]}'],
    ["both", '{"a": [1,]', '{"a": [1]}'],
    ["a code fence", '```json\n{"a": 1}\n```', '{"a": 1}'],
    ["a code fence without a language", '```\n{"a": 1}```', '{"a": 1}'],
    [
      "brackets and commas inside strings stay",
      '{"cmd": "echo [1,]; {", "x": ",}"',
      '{"cmd": "echo [1,]; {", "x": ",}"}',
    ],
    ["quotes inside strings", '{"cmd": "say \\"hi\\\\"', '{"cmd": "say \\"hi\\\\"}'],
  ])("%s", (_name, text, repaired) => {
    expect(repairJson(text)).toBe(repaired);
  });
});

describe("not certain", () => {
  test.each([
    ["a string that does not end", '{"path": "a.tx'],
    ["a string that ends in a backslash", '{"path": "a\\'],
    ["a string that swallows the brace", '{"path": "a.txt}'],
    ["a number that may go on", '{"count": 12'],
    ["a key alone", '{"path"'],
    ["a key without its value", '{"path":'],
    ["a word that is cut", '{"on": tru'],
    ["nothing but a brace", "{"],
    ["an array that has just begun", '{"a": ['],
    ["a comma that promises more", '{"a": "b",'],
    ["a bracket in the middle", '{"a": [{"b": "c"], "d": "e"}'],
    ["one bracket too many", '{"a": "b"}}'],
    ["two objects", '{"a": 1}{"b": 2}'],
    ["Python", '{"a": True, "b": None}'],
    ["single quotes", "{'a': 1}"],
    ["keys without quotes", "{a: 1}"],
    ["two commas", '{"a": [1,,]}'],
    ["a line break inside a string", '{"a": "b\nc"'],
    ["a comment", '{"a": 1 // one\n}'],
    ["an answer in words", "I would list the files."],
    ["a fence with words around it", 'Here:\n```json\n{"a": 1}\n```'],
    ["text that is right", '{"a": 1}'],
  ])("%s", (_name, text) => {
    expect(repairJson(text)).toBeUndefined();
  });
});

test("long texts are read in one pass", () => {
  const text = `{"a": [${'{"b": "\\\\ , ] }"},'.repeat(20_000)}`;
  expect(repairJson(text)).toBeUndefined();
  expect(repairJson(`${text}{}`)).toBe(`${text}{}]}`);
});

describe("arguments", () => {
  test.each([
    ["", { input: {} }],
    ["  ", { input: {} }],
    ['{"a": 1}', { input: { a: 1 } }],
    ['{"a": "b"', { input: { a: "b" }, repaired: '{"a": "b"' }],
    ['{"a": "b', { input: {}, malformed: '{"a": "b' }],
    ["[1]", { input: {}, malformed: "[1]" }],
    ["[1,]", { input: {}, malformed: "[1,]" }],
    ["null", { input: {}, malformed: "null" }],
  ])("%s", (text, read) => {
    expect(readArguments(text, "toolCalls")).toEqual(read);
  });

  test("what was cut off at the output limit is not repaired", () => {
    expect(readArguments('{"a": "b"', "maxTokens")).toEqual({ input: {}, malformed: '{"a": "b"' });
    expect(readArguments('{"a": "b"}', "maxTokens")).toEqual({ input: { a: "b" } });
  });
});
