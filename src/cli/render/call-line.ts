import { isRecord } from "../../lib/json.ts";
import type { Permission, PermissionLayer, ToolFinished } from "../../log/entry.ts";
import { formatBytes } from "../../tools/clean-text.ts";
import type { Style } from "../terminal.ts";
import { duration } from "./figures.ts";
import { permissionWords } from "./permission-words.ts";
import { oneLine } from "./plain.ts";

/** What a tool is asked to do, in one readable line: the command, the path and size, or the arguments as they are. */
export function callLine(name: string, input: unknown): string {
  const known = isRecord(input) ? describers[name]?.(input) : undefined;
  return oneLine(known ?? JSON.stringify(input) ?? "");
}

type Describer = (input: Readonly<Record<string, unknown>>) => string | undefined;

const describers: Readonly<Record<string, Describer>> = {
  shell: ({ command }) => textOf(command),
  read({ path, offset, limit }) {
    if (typeof path !== "string") return undefined;
    if (typeof offset !== "number" && typeof limit !== "number") return path;
    const first = typeof offset === "number" ? offset : 1;
    return `${path} (from line ${first}${typeof limit === "number" ? ` to ${first + limit - 1}` : ""})`;
  },
  write: ({ path, content }) =>
    typeof path === "string" && typeof content === "string" ? `${path} (${sizeOf(content)})` : undefined,
  edit: ({ path, oldText, newText }) =>
    typeof path === "string" && typeof oldText === "string" && typeof newText === "string"
      ? `${path} (${sizeOf(oldText)} by ${sizeOf(newText)})`
      : undefined,
  list: ({ path }) => textOf(path) ?? ".",
  glob: ({ pattern, path }) => within(pattern, path),
  grep: ({ pattern, path }) => within(pattern, path),
};

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function sizeOf(text: string): string {
  return formatBytes(Buffer.byteLength(text));
}

function within(pattern: unknown, path: unknown): string | undefined {
  if (typeof pattern !== "string") return undefined;
  return typeof path === "string" ? `${pattern} in ${path}` : pattern;
}

export interface OutcomeLine {
  readonly sign: "✓" | "✗" | "⊘" | "?";
  readonly style: Style;
  /** Says all without the sign: "done in 12 ms", "exit status 1 after 2 s". */
  readonly words: string;
}

/** How a call ended. `started`: whether it had begun. */
export function outcomeLine({ outcome, details, durationMs }: ToolFinished, started: boolean): OutcomeLine {
  const time = duration(durationMs);
  switch (outcome) {
    case "ok":
      return { sign: "✓", style: "green", words: `done in ${time}` };
    case "error":
      return { sign: "✗", style: "red", words: `${reasonOf(details)} after ${time}` };
    case "invalid":
      return { sign: "✗", style: "red", words: "not started: the call was not valid" };
    case "denied":
      return { sign: "⊘", style: "yellow", words: `not started: ${refusedBy(details)}` };
    case "expired":
      return { sign: "⊘", style: "yellow", words: "not started: nobody answered in time" };
    case "answered":
      return { sign: "✓", style: "green", words: `not started: ${answeredBy(details)}` };
    case "cancelled":
      return { sign: "⊘", style: "yellow", words: started ? `stopped after ${time}` : "not started" };
    case "timedOut":
      return { sign: "✗", style: "red", words: `ended by its time limit after ${time}` };
    case "unknown":
      return { sign: "?", style: "yellow", words: "unknown outcome; not repeated" };
  }
}

/** "not allowed by the rule "deny: shell(rm *)"", "rejected by ada". */
function refusedBy(details: ToolFinished["details"]): string {
  const permission = permissionIn(details);
  if (permission === null) return "not allowed";
  return permission.layer === "person"
    ? `rejected by ${permissionWords(permission)}`
    : `not allowed by ${permissionWords(permission)}`;
}

function answeredBy(details: ToolFinished["details"]): string {
  const permission = permissionIn(details);
  return permission === null ? "a person answered" : `${permissionWords(permission)} answered`;
}

/** What decided about a call that was not started, where the entry says it. */
export function permissionIn(details: ToolFinished["details"]): Permission | null {
  const found = details?.permission;
  if (!isRecord(found) || typeof found.by !== "string") return null;
  const layer = LAYERS.find((known) => known === found.layer);
  return layer === undefined ? null : { layer, by: found.by };
}

const LAYERS: readonly PermissionLayer[] = ["validation", "mode", "rules", "classifier", "hook", "person"];

function reasonOf(details: ToolFinished["details"]): string {
  if (details?.sandboxDied === true) return "lost its sandbox";
  if (typeof details?.signal === "string") return `ended by ${oneLine(details.signal)}`;
  return typeof details?.exitCode === "number" ? `exit status ${details.exitCode}` : "failed";
}
