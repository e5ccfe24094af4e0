import { expect, it } from "vitest";
import { z } from "zod";
import { policyOf } from "../../permissions/rules.ts";
import { defineTool } from "../../tools/define.ts";
import { policyCall } from "./permit.ts";

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
