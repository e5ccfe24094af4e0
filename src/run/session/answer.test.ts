import { expect, it } from "vitest";
import { z } from "zod";
import type { InterruptRequest } from "../../log/entry.ts";
import { agentWith } from "../../testing/agent-builder.ts";
import { defineTool } from "../../tools/define.ts";
import { bindingOf } from "../calls/permit.ts";
import { rulesOfAnswer } from "./answer.ts";
import { answerSchema } from "./answer-schema.ts";
import type { InterruptRecord } from "./interrupts.ts";

const pay = defineTool({ name: "pay", description: "", input: z.object({}), run: () => "" });
const agent = agentWith([pay]);
const risk = { reversibility: "hard", reach: "outside", why: [] } as const;

function asked(changes: Partial<InterruptRequest> = {}): InterruptRecord {
  const request = {
    kind: "approval",
    message: "?",
    call: { callId: "a", tool: "pay", input: {}, risk },
    permission: { layer: "mode", by: "mode default" },
    binding: bindingOf(pay, {}, agent),
    ...changes,
  } as InterruptRequest;
  const ids = { id: "i", sessionId: "s", agent: "tester", runId: "r", at: 1 };
  return { ...ids, request, status: "open", votes: [], answered: null };
}

const always = { action: "approve", always: "session" } as const;

it("an approval for good is a rule that says what was asked", () => {
  expect(rulesOfAnswer(asked(), always, agent)).toEqual([
    { scope: "session", list: "allow", rule: "pay(nothing else)" },
  ]);
  expect(JSON.stringify(answerSchema(asked().request, agent))).toContain("always");
});

it.each<[string, Partial<InterruptRequest>, RegExp]>([
  ["a breakpoint", { kind: "breakpoint" }, /asks every time/],
  ["one that several people have to approve", { quorum: 2 }, /several people/],
  [
    "what a rule asks about",
    { permission: { layer: "rules", by: "ask: pay" } },
    /a rule asks every time \(ask: pay\)/,
  ],
  ["what a hook asks about", { permission: { layer: "hook", by: "guard" } }, /the hook "guard" asks/],
])("%s is not approved for good", (_name, changes, message) => {
  const record = asked(changes);
  expect(() => rulesOfAnswer(record, always, agent)).toThrow(message);
  expect(rulesOfAnswer(record, { action: "approve" }, agent)).toEqual([]);
  expect(JSON.stringify(answerSchema(record.request, agent))).not.toContain("always");
});
