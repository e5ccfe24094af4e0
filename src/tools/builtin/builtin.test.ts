import { expect, test } from "vitest";
import { testBuiltinTools } from "../../../test/builtin-tools.ts";
import { noneDriver } from "../../sandboxes/none/none.ts";
import { builtinTools } from "./builtin.ts";

test("every tool has a name, a description, and a schema that closes", () => {
  const tools = builtinTools();
  expect(tools.map(({ name }) => name)).toEqual(["shell", "read", "write", "edit", "list", "glob", "grep"]);
  for (const tool of tools) {
    expect(tool.description.length).toBeGreaterThan(100);
    expect(tool.inputSchema).toMatchObject({ type: "object", additionalProperties: false });
    expect(tool.parse({ nonsense: 1 }).ok).toBe(false);
  }
});

// The other sandboxes: test/sandbox/builtin-tools.test.ts.
testBuiltinTools(noneDriver());
