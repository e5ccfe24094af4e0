import { expect, it } from "vitest";
import { z } from "zod";
import { fold } from "../../log/fold.ts";
import { policyOf } from "../../permissions/rules.ts";
import { agentWith } from "../../testing/agent-builder.ts";
import { defineTool } from "../../tools/define.ts";
import { policyCall, situationOf } from "./permit.ts";

it("rules that people have added are read once, and only those of their scope count", () => {
  const rules = [
    { scope: "session", list: "deny", rule: "pay" },
    { scope: "agent", list: "allow", rule: "pay" },
  ] as const;
  const situation = () => situationOf({ ...fold([]), rules }, { actors: [] }, agentWith(), []).rules;
  expect(situation()).toEqual([{ source: "this session", deny: ["pay"], ask: [], allow: [] }]);
  expect(situation()[0]).toBe(situation()[0]);
});

const ownRules = { mode: "acceptEdits", deny: [], ask: [], allow: [], breakpoints: [] } as const;

it("a tool that cannot say what a call does is taken for one that does the worst", () => {
  const tool = defineTool({
    name: "note",
    description: "",
    effect: "readonly",
    input: z.object({ to: z.string() }),
    risk: ({ to }) =>
      to.startsWith("me")
        ? { reversibility: "undoable", reach: "workspace" }
        : { reversibility: "hard", reach: "outside" },
    run: () => "",
  });
  const decide = (input: unknown) =>
    policyOf(ownRules)(policyCall(tool, input), { mode: "acceptEdits", rules: [] });
  expect(decide({ to: "me" })).toMatchObject({ type: "allow" });
  expect(decide({ to: 5 })).toMatchObject({
    type: "ask",
    risk: { reversibility: "irreversible", why: [expect.stringContaining("startsWith")] },
  });
});
