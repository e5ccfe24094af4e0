import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { Agent } from "../agents/agent.ts";
import { agentWith } from "../testing/agent-builder.ts";
import { builtinTools } from "../tools/builtin/builtin.ts";
import { defineTool } from "../tools/define.ts";
import type { ToolContext } from "../tools/tool.ts";
import { deferredLines, offerTools, resolveCall, toolNamed } from "./find-tools.ts";

const own = (name: string, description = `Does ${name}. Slowly.`) =>
  defineTool({ name, description, input: z.object({ order: z.string() }), run: () => name });

const many = (count: number) => Array.from({ length: count }, (_, i) => own(`tool_${i}`));
const builtin = builtinTools().map(({ name }) => name);

function agentOf(tools: number, limits: Partial<Agent["context"]> = {}): Agent {
  return agentWith(many(tools), {
    context: { compactAt: null, maxTools: 64, maxToolTokens: 20_000, ...limits },
  });
}

const offer = (agent: Agent, uses: Record<string, number> = {}) =>
  offerTools({ toolUses: new Map(Object.entries(uses)) }, agent);

describe("the offer of tools", () => {
  it("is all of them, in their order, while they are few", () => {
    const { tools, deferred } = offer(agentOf(3));
    expect(tools).toEqual([...builtin, "tool_0", "tool_1", "tool_2"]);
    expect(deferred).toEqual([]);
  });

  it("keeps to the number: the built-in ones, then those declared first", () => {
    const { tools, deferred } = offer(agentOf(300, { maxTools: 12 }));
    expect(tools).toEqual([...builtin, "tool_0", "tool_1", "tool_2", "find_tools", "call_tool"]);
    expect(deferred).toHaveLength(297);
  });

  it("keeps to the tokens", () => {
    const { tools, deferred } = offer(agentOf(300, { maxTools: 1_000, maxToolTokens: 4_000 }));
    expect(tools.length + deferred.length).toBe(300 + builtin.length + 2);
    expect(deferred.length).toBeGreaterThan(100);
  });

  it("prefers what the session has used", () => {
    const { tools, deferred } = offer(agentOf(300, { maxTools: 11 }), { tool_250: 2, tool_9: 7 });
    expect(tools).toEqual([...builtin, "tool_9", "tool_250", "find_tools", "call_tool"]);
    expect(deferred).not.toContain("tool_250");
  });

  it("has the built-in ones even where nothing else fits", () => {
    const { tools, deferred } = offer(agentOf(5, { maxTools: 1 }));
    expect(tools).toEqual([...builtin, "find_tools", "call_tool"]);
    expect(deferred).toHaveLength(5);
  });
});

describe("a line for a tool", () => {
  it.each([
    ["its first sentence", "Pays back. And more.", "- t: Pays back."],
    ["one line", "Pays\n  back", "- t: Pays back"],
    ["no more than fits", `${"word ".repeat(40)}end.`, /^- t: (?:word ){19}.*…$/],
    ["versions are no ends of sentences", "Speaks v1.2 of it.", "- t: Speaks v1.2 of it."],
  ])("is %s", (_name, description, expected) => {
    const [line] = deferredLines(["t"], agentWith([own("t", description)]));
    expect(line).toEqual(typeof expected === "string" ? expected : expect.stringMatching(expected));
  });
});

describe("a call through call_tool", () => {
  it.each<[string, unknown, unknown]>([
    ["is one of the tool it names", { name: "refund", arguments: { order: "1" } }, { order: "1" }],
    ["without arguments has none", { name: "refund" }, {}],
    ["with arguments as text has them", { name: "refund", arguments: '{"order":"1"}' }, { order: "1" }],
  ])("%s", (_name, input, expected) => {
    expect(resolveCall({ name: "call_tool", input })).toEqual({ name: "refund", input: expected });
  });

  it.each<[string, unknown]>([
    ["names no tool", { arguments: {} }],
    ["has arguments that are no object", { name: "refund", arguments: [1] }],
    ["has arguments that are no JSON", { name: "refund", arguments: "{order" }],
    ["is no object", "refund"],
  ])("stays what it is when it %s, and is refused", (_name, input) => {
    expect(resolveCall({ name: "call_tool", input })).toEqual({ name: "call_tool", input });
    expect(toolNamed("call_tool", agentWith())?.parse(input).ok).toBe(false);
  });

  it("does not concern other calls", () => {
    const call = { name: "refund", input: { name: "x", arguments: {} } };
    expect(resolveCall(call)).toEqual(call);
  });
});

describe("find_tools", () => {
  const shop = agentWith([
    own("payments_refund", "Pays an order back to its buyer."),
    own("payments_charge", "Charges a card."),
    own("createInvoice", "Writes an invoice as PDF."),
    own("tickets_search", "Searches the tickets of the help desk."),
    own("tickets_create", "Opens a ticket."),
    defineTool({
      name: "lookup",
      description: "Looks something up.",
      input: z.object({ postalCode: z.string().describe("Where the parcel goes.") }),
      run: () => "",
    }),
  ]);

  async function find(query: string, limit?: number): Promise<{ names: unknown; text: string }> {
    const tool = toolNamed("find_tools", shop);
    const parsed = tool?.parse({ query, limit });
    if (tool === undefined || !parsed?.ok) throw new Error("find_tools refuses this");
    const { content, details } = await tool.run(parsed.input, {} as ToolContext);
    return { names: details?.found, text: String(content) };
  }

  it.each([
    ["refund", "payments_refund"],
    ["pay money back", "payments_refund"],
    ["invoices", "createInvoice"],
    ["create an invoice", "createInvoice"],
    ["search ticket", "tickets_search"],
    ["postal code of a parcel", "lookup"],
    ["tickets_create", "tickets_create"],
  ])("finds by %j", async (query, name) => {
    expect((await find(query)).names).toEqual(expect.arrayContaining([name]));
    expect((await find(query, 1)).names).toEqual([name]);
  });

  it("shows the schema of the arguments, and how to call it", async () => {
    const { text } = await find("charge card");
    expect(text).toContain('"order":{"type":"string"}');
    expect(text).toContain('call_tool: {"name": "payments_charge"');
  });

  it("says when nothing matches, with the nearest name", async () => {
    const { names, text } = await find("lokup");
    expect(names).toEqual([]);
    expect(text).toContain("Did you mean lookup?");
  });

  it("does not search the tools that every agent has", async () => {
    expect((await find("shell")).names).toEqual([]);
  });
});
