import { AppError } from "../lib/errors.ts";
import type { HookPoint } from "../log/entry.ts";
import { parseAnswer } from "./answer.ts";
import type { Hook, HookAnswer, HookQuestion } from "./hook.ts";

export type HookFunction = (
  question: HookQuestion,
  signal: AbortSignal,
) => Promise<HookAnswer | undefined> | HookAnswer | undefined;

export interface HookDefinition {
  readonly on: HookPoint;
  readonly name: string;
  /** Patterns of tool names, for `beforeTool` and `afterTool`. Default: all. */
  readonly tools?: readonly string[];
  /** Default 10 seconds. */
  readonly timeoutMs?: number;
  /** Default `block`. */
  readonly onFailure?: "ignore" | "block";
  readonly ask: HookFunction;
}

/** A hook from a function. */
export function defineHook(definition: HookDefinition): Hook {
  const { on, name, tools, timeoutMs = 10_000, onFailure = "block", ask } = definition;
  return {
    name,
    point: on,
    tools: tools ?? null,
    timeoutMs,
    onFailure,
    ask: async (question, signal) => parseAnswer(await ask(question, signal), on),
  };
}

/** @throws AppError `invalid_config` when two hooks of one point have one name: decisions are told apart by it. */
export function checkHookNames(hooks: readonly Hook[]): void {
  const seen = new Set<string>();
  for (const { point, name } of hooks) {
    const key = `${point} ${name}`;
    if (seen.has(key)) {
      throw new AppError("invalid_config", `two hooks of ${point} are called "${name}"`, {
        hint: "Rename one of them.",
      });
    }
    seen.add(key);
  }
}
