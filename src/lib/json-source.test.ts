import { expect, test } from "vitest";
import { parseJsonSource } from "./json-source.ts";

test.each([
  "{}",
  "[]",
  " [1, -2.5e3, true, false, null] ",
  '{"a": {"b": [1, {"c": "\\u00e9\\n\\"\\\\"}]}}',
  '"text"',
  "0",
  '{"": 1}',
])("reads %s as JSON.parse does", (text) => {
  expect(parseJsonSource(text)).toMatchObject({ ok: true, value: JSON.parse(text) });
});

test("keeps a field named __proto__ as a field", () => {
  const source = parseJsonSource('{"__proto__": {"x": 1}}');
  expect(source.ok && Object.keys(source.value as object)).toEqual(["__proto__"]);
});

test("skips a byte order mark", () => {
  expect(parseJsonSource('\uFEFF{"a": 1}')).toMatchObject({ ok: true, value: { a: 1 } });
});

test("knows the place of fields and items", () => {
  const source = parseJsonSource('{\n  "a": [\n    1,\n    { "b": 2 }\n  ]\n}');
  if (!source.ok) throw new Error(source.message);
  expect(source.positionOf([])).toEqual({ line: 1, column: 1 });
  expect(source.positionOf(["a"])).toEqual({ line: 2, column: 3 });
  expect(source.positionOf(["a", 0])).toEqual({ line: 3, column: 5 });
  expect(source.positionOf(["a", 1, "b"])).toEqual({ line: 4, column: 7 });
  expect(source.positionOf(["a", 2])).toBeUndefined();
});

test.each([
  ["", "1:1", "the file is empty"],
  ["  \n", "2:1", "the file is empty"],
  ["{", "1:2", "expected a field name in double quotes"],
  ['{"a": 1', "1:8", 'the file ends inside of the object: "}" is missing'],
  ['{"a":', "1:6", "the file ends where a value is expected"],
  ['{"a" 1}', "1:6", 'expected ":" after the field name "a"'],
  ['{"a": 1 "b": 2}', "1:9", 'expected "," or "}" here'],
  ['{\n  "a": 1,\n}', "2:9", 'remove this comma: "}" follows'],
  ["[1,]", "1:3", 'remove this comma: "]" follows'],
  ["{a: 1}", "1:2", "expected a field name in double quotes"],
  ['{"a": yes}', "1:7", '"yes" is not a JSON value; text needs double quotes'],
  ['{"a": 01}', "1:7", '"01" is not a JSON value; text needs double quotes'],
  ['{"a": 1 // one\n}', "1:9", 'expected "," or "}" here'],
  ['{"a": 1, // one\n}', "1:10", "JSON has no comments: remove this one"],
  ["/* a */ {}", "1:1", "JSON has no comments: remove this one"],
  ['{"a": "x\n"}', "1:7", "this text has no closing quote on its line"],
  [
    '{"a": "C:\\dir"}',
    "1:7",
    'this text holds a character that JSON wants escaped (a backslash is written "\\\\", a tab "\\t")',
  ],
  ['{"a": 1, "a": 2}', "1:10", 'the field "a" appears twice'],
  ["{} {}", "1:4", "the file goes on after the end of its JSON"],
  ["[".repeat(300), "1:202", "nested more than 200 levels deep"],
])("explains %j", (text, place, message) => {
  const source = parseJsonSource(text);
  if (source.ok) throw new Error("it was accepted");
  expect(`${source.position.line}:${source.position.column}`).toBe(place);
  expect(source.message).toBe(message);
});

test("shows the line and the one before it, with a caret below the place, tabs kept", () => {
  const source = parseJsonSource('{\n\t"a": 1\n\t"b": 2\n}');
  expect(!source.ok && source.excerpt).toBe('2 | \t"a": 1\n3 | \t"b": 2\n  | \t^');
});

test("takes time in proportion to the length of a text", () => {
  const unfinished = `{"a": "${"x\\\\".repeat(200_000)}`;
  expect(parseJsonSource(unfinished).ok).toBe(false);
});
