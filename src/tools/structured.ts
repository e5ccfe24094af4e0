import { z } from "zod";
import { errorMessage } from "../lib/errors.ts";
import type { JsonSchema } from "../lib/json.ts";
import type { Tool } from "./tool.ts";

export type PlainStructured =
  | {
      readonly ok: true;
      /** As it will be read back from the log: dates are strings, fields that are undefined are absent. */
      readonly value: unknown;
      /** The same as compact text. */
      readonly json: string;
    }
  /** `complaint` is shown to the model: which field, what is wrong. */
  | { readonly ok: false; readonly complaint: string };

/** A tool's structured result as plain JSON that fits the tool's `outputSchema`. Never throws. */
export function plainStructured(
  tool: Pick<Tool, "outputSchema" | "checkOutput">,
  structured: unknown,
): PlainStructured {
  if (structured === undefined) return { ok: false, complaint: "there is none" };
  let json: string | undefined;
  try {
    json = JSON.stringify(structured);
  } catch (error) {
    return { ok: false, complaint: `it is not JSON: ${errorMessage(error)}` };
  }
  if (json === undefined) return { ok: false, complaint: `it is not JSON but a ${typeof structured}` };
  const value: unknown = JSON.parse(json);
  const complaint = complaintAbout(tool, value);
  return complaint === undefined ? { ok: true, value, json } : { ok: false, complaint };
}

function complaintAbout(
  { outputSchema, checkOutput }: Pick<Tool, "outputSchema" | "checkOutput">,
  value: unknown,
): string | undefined {
  try {
    if (checkOutput !== undefined) return checkOutput(value);
    return outputSchema === undefined ? undefined : checkerOf(outputSchema)(value);
  } catch (error) {
    return `it cannot be checked: ${errorMessage(error)}`;
  }
}

type Checker = (value: unknown) => string | undefined;

const checkers = new WeakMap<JsonSchema, Checker>();

/** For tools that come with a JSON Schema and no code to check it, as those of other servers do. */
function checkerOf(schema: JsonSchema): Checker {
  let known = checkers.get(schema);
  if (known === undefined) {
    const parser = z.fromJSONSchema(schema);
    known = (value) => {
      const checked = parser.safeParse(value);
      return checked.success ? undefined : z.prettifyError(checked.error);
    };
    checkers.set(schema, known);
  }
  return known;
}
