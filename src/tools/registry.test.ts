import { expect, test } from "vitest";
import { z } from "zod";
import { defineTool } from "./define.ts";
import { toolRegistry } from "./registry.ts";

const tool = (name: string) => defineTool({ name, description: "", input: z.object({}), run: () => "done" });

test("tools are found by name, in the order given", () => {
  const tools = toolRegistry([
    { from: "built in", tools: [tool("shell"), tool("read")] },
    { from: "tools/refund.ts", tools: [tool("refund")] },
  ]);
  expect([...tools.keys()]).toEqual(["shell", "read", "refund"]);
  expect(tools.get("refund")?.name).toBe("refund");
});

test("a name that is taken twice is an error that names both places", () => {
  expect(() =>
    toolRegistry([
      { from: "built in", tools: [tool("shell")] },
      { from: "tools/shell.ts", tools: [tool("shell")] },
    ]),
  ).toThrow('Two tools are called "shell": one built in, one tools/shell.ts.');
});

test.each(["", "has blank", "a".repeat(65), "ünicode"])("the name %j is refused", (name) => {
  expect(() => toolRegistry([{ from: "tools/x.ts", tools: [tool(name)] }])).toThrow(/tools\/x\.ts/);
});
