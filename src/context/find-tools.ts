import type { OpenCall } from "../log/state.ts";

/** The tool and the arguments that a call is about. @pure */
export function resolveCall({ name, input }: Pick<OpenCall, "name" | "input">): {
  readonly name: string;
  readonly input: unknown;
} {
  return { name, input };
}
