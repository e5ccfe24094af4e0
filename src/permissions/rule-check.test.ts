import { expect, test } from "vitest";
import type { JsonObject } from "../lib/json.ts";
import { complaintAboutRule, type ToolShape } from "./rule-check.ts";

const object = (properties: JsonObject, more: JsonObject = {}): JsonObject => ({
  type: "object",
  properties,
  ...more,
});
const tools: readonly ToolShape[] = [
  {
    name: "refund",
    inputSchema: object({
      order: { type: "string" },
      amount: { type: "number" },
      count: { type: "integer" },
      fast: { type: "boolean" },
      note: { anyOf: [{ type: "string" }, { type: "null" }] },
      to: object({ country: { enum: ["DE", "FR"] }, tags: { type: "array" } }),
      any: {},
    }),
  },
  { name: "list", inputSchema: object({ path: { type: "string" } }, { additionalProperties: false }) },
  { name: "write", inputSchema: object({ path: { type: "string" }, content: { type: "string" } }) },
  { name: "shell", inputSchema: object({ command: { type: "string" } }) },
  { name: "loose", inputSchema: object({ a: { type: "string" } }, { additionalProperties: {} }) },
  { name: "opaque", inputSchema: { type: "object" } },
  { name: "referring", inputSchema: { $ref: "#/$defs/x" } },
  {
    name: "either",
    inputSchema: { anyOf: [object({ a: { type: "string" } }), object({ b: { type: "number" } })] },
  },
  { name: "deploy", inputSchema: object({}) },
];

test.each([
  "*",
  "refund",
  "shell(rm *)",
  "write(src/**)",
  "list(src)",
  "*(src/**)",
  "refund(amount<=50)",
  "refund(count>1, order=7, fast=true, note=null)",
  "refund(to.country=DE)",
  "refund(to.country~D*)",
  "refund(any.thing<5)",
  "re*(amount<5)",
  "*(amount<5)",
  "loose(b<1)",
  "opaque(b<1)",
  "opaque(src/**)",
  "referring(b<1)",
  "either(b<1)",
  "deploy(nothing else)",
])("%s may be meant", (rule) => {
  expect(complaintAboutRule(rule, tools)).toBeNull();
});

test.each([
  ["refnd(amount<5)", 'no tool of this agent is named "refnd"', 'Did you mean "refund"?'],
  ["refund(amuont<=50)", '"refund" has no argument "amuont"', 'Did you mean "amount"?'],
  ["refund(order=1, amuont<=50)", '"refund" has no argument "amuont"', 'Did you mean "amount"?'],
  ["refund(to.contry=DE)", '"refund" has no argument "to.contry"', 'Did you mean "to.country"?'],
  ["refund(order.id=1)", '"refund" has no argument "order.id"', "There are no arguments."],
  ["list(command=x)", '"list" has no argument "command"', "Arguments: path."],
  ["write(amount<5)", '"write" has no argument "amount"', "Arguments: path, content."],
  ["wr*(amount<5)", '"write" has no argument "amount"', "Arguments: path, content."],
  ["either(c=1)", '"either" has no argument "c"', 'Did you mean "a"?'],
  [
    "refund(order<5)",
    '"<" is for numbers, and the type of "order" is string',
    "= and != are for every type.",
  ],
  ["refund(note>=5)", '">=" is for numbers, and the type of "note" is string or null', "= and !="],
  ["refund(amount~5*)", '"~" is a pattern of texts, and the type of "amount" is number', "= and !="],
  ["refund(amount=ten)", '"amount" is never "ten": its type is number', "without quotes"],
  ['refund(amount!="10")', '"amount" is never "10": its type is number', "without quotes"],
  ["refund(fast=1)", '"fast" is never "1": its type is boolean', "without quotes"],
  [
    "refund(amount 50)",
    '"amount 50" is a path, and "refund" has no argument "path"',
    "A condition is written",
  ],
  ["refund(amount<", "not a rule", "docs/permissions.md"],
])("%s cannot", (rule, message, hint) => {
  expect(complaintAboutRule(rule, tools)).toMatchObject({
    message: expect.stringContaining(message),
    hint: expect.stringContaining(hint),
  });
});
