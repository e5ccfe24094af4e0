import { isRecord } from "../lib/json.ts";
import type { ToolCallBlock } from "../log/content.ts";
import type { StopReason } from "../log/entry.ts";
import { repairJson } from "./repair-json.ts";

/** The fields of a call that follow from the text of its arguments. */
export type ToolArguments = Pick<ToolCallBlock, "input" | "malformed" | "repaired">;

/**
 * Reads what a model wrote as the arguments of a call. No text at all means no arguments. Tools take objects: whatever else
 * is kept as text, for the message that tells the model so.
 * @param stopReason how the answer ended. What was cut off at the output limit is never repaired: any of it may be missing.
 * @pure
 */
export function readArguments(text: string, stopReason: StopReason): ToolArguments {
  if (text.trim() === "") return { input: {} };
  const input = parseObject(text);
  if (input !== undefined) return { input };
  const repaired = stopReason === "maxTokens" ? undefined : parseObject(repairJson(text));
  return repaired === undefined ? { input: {}, malformed: text } : { input: repaired, repaired: text };
}

function parseObject(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
