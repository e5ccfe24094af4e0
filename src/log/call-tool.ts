import { isRecord } from "../lib/json.ts";

/** The tool that shows the arguments of tools which the model knows by name only. */
export const FIND_TOOLS = "find_tools";
/** The tool by which the model calls one of them: `{ name, arguments }`. */
export const CALL_TOOL = "call_tool";

export interface NamedCall {
  readonly name: string;
  readonly input: unknown;
}

/**
 * The tool and the arguments that a call is about: what stands in a `call_tool`, else the call itself. So rules, effects,
 * hooks and recovery know only the tool that really runs.
 * @pure
 */
export function unwrapCall({ name, input }: NamedCall): NamedCall {
  if (name !== CALL_TOOL || !isRecord(input) || typeof input.name !== "string") return { name, input };
  const wanted = argumentsIn(input.arguments);
  return wanted === undefined ? { name, input } : { name: input.name, input: wanted };
}

/** Models write an object inside an object as text, now and then, and leave it out where it is empty. */
function argumentsIn(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (value === undefined || value === null) return {};
  if (isRecord(value)) return value;
  if (typeof value !== "string") return undefined;
  try {
    const parsed: unknown = JSON.parse(value);
    return isRecord(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}
