import { z } from "zod";
import type { Agent } from "../agents/agent.ts";
import { nearest } from "../lib/json.ts";
import { CALL_TOOL, FIND_TOOLS } from "../log/call-tool.ts";
import type { SessionState } from "../log/state.ts";
import type { ToolSpec } from "../models/model.ts";
import { builtinTools } from "../tools/builtin/builtin.ts";
import { defineTool } from "../tools/define.ts";
import type { Tool } from "../tools/tool.ts";
import { estimateTool, sum } from "./estimate.ts";
import { indexTools } from "./tool-search.ts";

export { unwrapCall as resolveCall } from "../log/call-tool.ts";

/** Which tools the model is told of in full from now on, in order, and which it has to find. */
export interface ToolOffer {
  /** With `find_tools` and `call_tool` at its end where something has to be found. */
  readonly tools: readonly string[];
  readonly deferred: readonly string[];
}

/**
 * Everything in full while it is little. Above a budget: the built-in tools, then those that this session has used most, then
 * those that are declared first, for as long as they fit. @pure
 */
export function offerTools({ toolUses }: Pick<SessionState, "toolUses">, agent: Agent): ToolOffer {
  const all = [...agent.tools.values()];
  const { maxTools, maxToolTokens } = agent.context;
  if (all.length <= maxTools && sum(all, estimateTool) <= maxToolTokens) {
    return { tools: all.map(({ name }) => name), deferred: [] };
  }
  const kept = new Set(builtinTools().map(({ name }) => name));
  const uses = ({ name }: Tool) => toolUses.get(name) ?? 0;
  const always = [...all.filter(({ name }) => kept.has(name)), findToolsSpec, callToolSpec];
  let count = always.length;
  let tokens = sum(always, estimateTool);
  for (const tool of all.filter(({ name }) => !kept.has(name)).sort((a, b) => uses(b) - uses(a))) {
    const size = estimateTool(tool);
    if (count + 1 > maxTools || tokens + size > maxToolTokens) continue;
    kept.add(tool.name);
    count += 1;
    tokens += size;
  }
  const names = all.map(({ name }) => name);
  const deferred = names.filter((name) => !kept.has(name));
  if (deferred.length === 0) return { tools: names, deferred };
  return { tools: [...names.filter((name) => kept.has(name)), FIND_TOOLS, CALL_TOOL], deferred };
}

/** What the model is told of a tool; undefined when the agent does not have it any more. @pure */
export function toolSpec(name: string, agent: Agent): ToolSpec | undefined {
  if (name === FIND_TOOLS) return findToolsSpec;
  if (name === CALL_TOOL) return callToolSpec;
  const tool = agent.tools.get(name);
  return tool && specOf(tool);
}

/** The tool that a call names: one of the agent's, or one of those by which others are found. @pure */
export function toolNamed(name: string, agent: Agent): Tool | undefined {
  const tool = agent.tools.get(name);
  if (tool !== undefined) return tool;
  if (name === FIND_TOOLS) return findToolsOf(agent);
  return name === CALL_TOOL ? callTool : undefined;
}

/** "- refund: Pays an order back.", for each tool that has to be found. @pure */
export function deferredLines(names: readonly string[], agent: Agent): readonly string[] {
  return names.map((name) => `- ${name}: ${firstSentence(agent.tools.get(name)?.description ?? "")}`);
}

const LINE_LENGTH = 100;

function firstSentence(description: string): string {
  const line = description.replaceAll(/\s+/g, " ").trim();
  const sentence = /^.*?[.!?](?= |$)/.exec(line)?.[0] ?? line;
  return sentence.length <= LINE_LENGTH ? sentence : `${sentence.slice(0, LINE_LENGTH - 1).trimEnd()}…`;
}

const findInput = z.object({
  query: z.string().min(1).describe("What it should do, in a few words, or its name."),
  limit: z.int().min(1).max(20).default(5).describe("How many tools to show."),
});

const findToolsOfAgents = new WeakMap<Agent, Tool>();

function findToolsOf(agent: Agent): Tool {
  let tool = findToolsOfAgents.get(agent);
  if (tool === undefined) {
    const builtin = new Set(builtinTools().map(({ name }) => name));
    tool = findTools([...agent.tools.values()].filter(({ name }) => !builtin.has(name)));
    findToolsOfAgents.set(agent, tool);
  }
  return tool;
}

function findTools(tools: readonly Tool[]): Tool {
  const index = indexTools(tools);
  return defineTool({
    name: FIND_TOOLS,
    description: `Searches the tools that are listed to you by name only, and shows their descriptions and the schemas of their arguments. Call the one you want with ${CALL_TOOL}.`,
    input: findInput,
    effect: "readonly",
    run({ query, limit }) {
      const found = index.search(query, limit);
      return { content: foundText(query, found, tools), details: { found: found.map(({ name }) => name) } };
    },
  });
}

function foundText(query: string, found: readonly Tool[], tools: readonly Tool[]): string {
  if (found.length === 0) {
    const near = nearest(
      query,
      tools.map(({ name }) => name),
    );
    const hint = near === undefined ? "Try other words." : `Did you mean ${near}?`;
    return `None of the ${tools.length} tools matches ${JSON.stringify(query)}. ${hint}`;
  }
  const shown = found.map((tool) => {
    const { name, description, inputSchema } = tool;
    return `${name}\n${description.trim()}\nArguments: ${JSON.stringify(inputSchema)}`;
  });
  return `${shown.join("\n\n")}\n\nCall one with ${CALL_TOOL}: {"name": "${found[0]?.name}", "arguments": {...}}.`;
}

/** Its calls are taken for calls of the tool that they name (`resolveCall`), so that it only ever runs by mistake. */
const callTool = defineTool({
  name: CALL_TOOL,
  description: `Calls a tool that is listed to you by name only. See its arguments with ${FIND_TOOLS} first.`,
  input: z.object({
    name: z.string().describe("The tool's name."),
    arguments: z.record(z.string(), z.unknown()).describe("Its arguments, as its schema wants them."),
  }),
  effect: "readonly",
  run: () => ({
    content: `${CALL_TOOL} cannot call itself: give the name of another tool.`,
    isError: true,
  }),
});

const callToolSpec = specOf(callTool);
const findToolsSpec = specOf(findTools([]));

function specOf({ name, description, inputSchema }: Tool): ToolSpec {
  return { name, description, inputSchema };
}
