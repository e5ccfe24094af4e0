import { builtinTools } from "../src/tools/builtin/builtin.ts";

/** What every subject sends with each request, so that all put the same work on the wire. */
export const systemPrompt = "You do the work step by step with the tool `step`, and say when all is done.";

export const stepTool = {
  name: "step",
  description: "Does one step of the work and says which one it was.",
  inputSchema: {
    type: "object" as const,
    properties: { n: { type: "number" as const } },
    required: ["n"],
  },
};

/** An agent always has the built-in tools as well. */
export const toolSpecs = [...builtinTools(), stepTool].map(({ name, description, inputSchema }) => ({
  name,
  description,
  inputSchema,
}));
