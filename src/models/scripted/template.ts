import { isRecord } from "../../lib/json.ts";
import { type Conversation, textOf } from "./conversation.ts";

/**
 * Fills in `{{...}}` from the conversation:
 *
 * - `{{user}}`: the last message of the user
 * - `{{result}}`: the last tool result; `{{result.shell}}`: the last one of the tool `shell`
 * - `{{turn}}`, `{{step}}`: the numbers that `when` knows
 *
 * Each may be followed by a regular expression, `{{result.shell /rows: (\d+)/}}`, which picks its first group, or what it
 * matched when it has none.
 * @throws Error that names the placeholder which the conversation cannot fill.
 */
export function fill(template: string, conversation: Conversation): string {
  return template.replace(PLACEHOLDER, (placeholder, name: string, regex: string | undefined) => {
    const value = lookUp(name, conversation);
    if (value === undefined) throw new Error(`${placeholder}: there is no such value in the conversation`);
    if (regex === undefined) return value;
    const match = new RegExp(regex).exec(value);
    if (match === null)
      throw new Error(`${placeholder}: does not match ${JSON.stringify(value.slice(0, 200))}`);
    return match[1] ?? match[0];
  });
}

/** The same for every string in a piece of JSON. */
export function fillDeep(value: unknown, conversation: Conversation): unknown {
  if (typeof value === "string") return fill(value, conversation);
  if (Array.isArray(value)) return value.map((item) => fillDeep(item, conversation));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, fillDeep(inner, conversation)]),
  );
}

const PLACEHOLDER = /\{\{\s*([a-zA-Z][\w.-]*)\s*(?:\/(.*?)\/\s*)?\}\}/g;

function lookUp(name: string, conversation: Conversation): string | undefined {
  if (name === "user") return conversation.userText;
  if (name === "turn") return String(conversation.turn);
  if (name === "step") return String(conversation.step);
  const result =
    name === "result"
      ? conversation.lastResult
      : name.startsWith("result.")
        ? conversation.lastResultOf.get(name.slice("result.".length))
        : undefined;
  return result === undefined ? undefined : textOf(result.blocks);
}
