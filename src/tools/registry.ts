import { AppError } from "../lib/errors.ts";
import { CALL_TOOL, FIND_TOOLS } from "../log/call-tool.ts";
import type { Tool } from "./tool.ts";

/** Tools from one place; `from` names it for people: "built in", "tools/refund.ts", "MCP server github". */
export interface ToolGroup {
  readonly from: string;
  readonly tools: readonly Tool[];
}

/**
 * The tools of an agent by name, in the order given, which is the order in which the model is told of them.
 * @throws AppError `invalid_config` when a name is taken twice or is one that providers refuse.
 */
export function toolRegistry(groups: readonly ToolGroup[]): ReadonlyMap<string, Tool> {
  const tools = new Map<string, Tool>();
  const origins = new Map<string, string>();
  for (const { from, tools: members } of groups) {
    for (const tool of members) {
      checkName(tool.name, from);
      const other = origins.get(tool.name);
      if (other !== undefined) throw duplicate(tool.name, other, from);
      tools.set(tool.name, tool);
      origins.set(tool.name, from);
    }
  }
  return tools;
}

/** What the model calls when there are too many tools to show it all of them. */
const RESERVED: ReadonlySet<string> = new Set([FIND_TOOLS, CALL_TOOL]);

function checkName(name: string, from: string): void {
  if (RESERVED.has(name)) {
    throw new AppError("invalid_config", `The tool name "${name}" (${from}) is taken by Holdfast itself.`, {
      hint: "Rename the tool: by this name the model reaches tools that it has to search for.",
      details: { name, from },
    });
  }
  if (/^[a-zA-Z0-9_-]{1,64}$/.test(name)) return;
  throw new AppError(
    "invalid_config",
    `The tool name "${name}" (${from}) is not one that model providers accept.`,
    {
      hint: "Use 1 to 64 letters, digits, _ and -.",
      details: { name, from },
    },
  );
}

function duplicate(name: string, first: string, second: string): AppError {
  const where = first === second ? `both ${first}` : `one ${first}, one ${second}`;
  return new AppError("invalid_config", `Two tools are called "${name}": ${where}.`, {
    hint: "Rename one of them; the model tells tools apart by name.",
    details: { name, from: [first, second] },
  });
}
