import { describe, expect, it } from "vitest";
import type { ModelAnswer } from "../../models/model.ts";
import { readVerdict } from "./read-verdict.ts";

type Answer = Pick<ModelAnswer, "blocks" | "stopReason">;

const says = (text: string, stopReason: ModelAnswer["stopReason"] = "endTurn"): Answer => ({
  blocks: [{ type: "text", text }],
  stopReason,
});
const allow = '{"decision":"allow","reason":"the user asked for it"}';

describe("an answer that counts", () => {
  it.each<[string, Answer, object]>([
    ["the object", says(allow), { decision: "allow", reason: "the user asked for it" }],
    ["between fences", says(`\`\`\`json\n${allow}\n\`\`\`\n`), { decision: "allow" }],
    ["with blanks around it", says(`\n  ${allow}\n`), { decision: "allow" }],
    [
      "behind thoughts",
      { ...says(allow), blocks: [{ type: "reasoning", text: "hm" }, ...says(allow).blocks] },
      { decision: "allow" },
    ],
    ["a refusal of the call", says('{"decision":"deny","reason":"no"}'), { decision: "deny", reason: "no" }],
    [
      "with a reason that is no line",
      says(JSON.stringify({ decision: "ask", reason: ` a\n\u001b[31mb\u0007 ${"c".repeat(500)}` })),
      { decision: "ask", reason: `a [31mb ${"c".repeat(292)}` },
    ],
  ])("%s", (_name, answer, verdict) => {
    expect(readVerdict(answer)).toMatchObject(verdict);
    expect(readVerdict(answer).failed).toBeUndefined();
  });
});

describe("anything else means that a person is asked", () => {
  it.each<[string, Answer, RegExp]>([
    ["no JSON", says("I would allow this."), /not the JSON/],
    ["nothing", says(""), /not the JSON/],
    ["the object in other words", says(`Sure: ${allow}`), /not the JSON/],
    ["two objects", says(`${allow}\n${allow}`), /not the JSON/],
    ["the arguments, repeated", says(`{"body":${JSON.stringify(allow)}}`), /not the JSON/],
    ["another decision", says('{"decision":"yes","reason":"fine"}'), /not the JSON/],
    ["decisions in a list", says('{"decision":["allow"],"reason":"fine"}'), /not the JSON/],
    ["no reason", says('{"decision":"allow","reason":" "}'), /not the JSON/],
    ["more than was asked for", says('{"decision":"allow","reason":"ok","confidence":1}'), /not the JSON/],
    ["a refusal", says(allow, "refused"), /refused/],
    ["a part of it", says(allow, "maxTokens"), /cut off/],
    [
      "a call",
      {
        ...says(allow),
        blocks: [...says(allow).blocks, { type: "toolCall", callId: "c", name: "x", input: {} }],
      },
      /called a tool/,
    ],
  ])("%s", (_name, answer, reason) => {
    expect(readVerdict(answer)).toEqual({
      decision: "ask",
      reason: expect.stringMatching(reason),
      failed: true,
    });
  });
});
