import { z } from "zod";
import type { JsonSchema } from "../lib/json.ts";
import type { Tool, ToolDefinition } from "./tool.ts";

/**
 * A tool from a zod schema and a function.
 *
 * The schema goes to the model as JSON Schema and checks what comes back, so `run` gets what its type says.
 * @throws Error when the schema cannot be written as JSON Schema (dates, functions, transforms without input form).
 */
export function defineTool<Schema extends z.ZodType>(definition: ToolDefinition<Schema>): Tool {
  const { input: schema, output, run, reconcile, risk, preview } = definition;
  return {
    name: definition.name,
    description: definition.description,
    inputSchema: jsonSchemaOf(schema, "input"),
    ...(output === undefined ? {} : outputOf(output)),
    effect: definition.effect ?? "once",
    ...(definition.parallel === undefined ? {} : { parallel: definition.parallel }),
    ...(definition.timeoutMs === undefined ? {} : { timeoutMs: definition.timeoutMs }),
    ...(risk === undefined
      ? {}
      : { risk: typeof risk === "function" ? (input) => risk(input as z.output<Schema>) : risk }),
    ...(preview === undefined
      ? {}
      : { preview: (input, context) => preview(input as z.output<Schema>, context) }),
    parse(input) {
      const parsed = schema.safeParse(input);
      return parsed.success
        ? { ok: true, input: parsed.data }
        : { ok: false, complaint: z.prettifyError(parsed.error) };
    },
    // `parse` stands before `run` and `reconcile` in every path, so the cast holds.
    async run(input, context) {
      const result = await run(input as z.output<Schema>, context);
      return typeof result === "string" ? { content: result } : result;
    },
    ...(reconcile === undefined
      ? {}
      : { reconcile: (input, context) => reconcile(input as z.output<Schema>, context) }),
  };
}

function outputOf(schema: z.ZodType): Required<Pick<Tool, "outputSchema" | "checkOutput">> {
  return {
    outputSchema: jsonSchemaOf(schema, "output"),
    // The schema itself says more than its JSON form can.
    checkOutput(structured) {
      const checked = schema.safeParse(structured);
      return checked.success ? undefined : z.prettifyError(checked.error);
    },
  };
}

function jsonSchemaOf(schema: z.ZodType, io: "input" | "output"): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io });
  return rest as JsonSchema;
}
