import { z } from "zod";
import { errorMessage } from "../../lib/errors.ts";

/** What in a value does not fit a JSON Schema, field by field; null when it fits. A schema that cannot be read fits nothing. */
export function misfitOf(value: unknown, schema: Readonly<Record<string, unknown>>): string | null {
  try {
    const checked = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).safeParse(value);
    return checked.success ? null : z.prettifyError(checked.error);
  } catch (error) {
    return `the schema of the question cannot be used: ${errorMessage(error)}`;
  }
}
