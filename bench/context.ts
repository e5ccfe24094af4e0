import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { headOfState, newContext } from "../src/context/epoch.ts";
import { estimateText } from "../src/context/tokens.ts";
import { defineTool, type Entry, openRuntime, type Tool } from "../src/index.ts";
import { noUsage } from "../src/log/content.ts";
import { fold } from "../src/log/fold.ts";
import type { Model } from "../src/models/model.ts";
import { agentWith } from "../src/testing/agent-builder.ts";
import type { Figure } from "./cases.ts";

/** Tokens, as Holdfast estimates them: how much of a session's input a provider's cache can serve, and what many tools take. */
export async function measureContext(): Promise<readonly Figure[]> {
  return [...(await cacheFigures()), ...toolFigures()];
}

const TURNS = 50;

/** A session of the usual proportions: a project's file of 2,000 tokens, answers of 100 tokens, results of 500. */
async function cacheFigures(): Promise<readonly Figure[]> {
  const prefixes = (await recordSession()).flatMap((entry) =>
    entry.type === "modelCalled" && entry.prefix !== undefined ? [entry.prefix] : [],
  );
  const sum = (of: readonly number[]) => of.reduce((total, value) => total + value, 0);
  const all = sum(prefixes.map(({ tokens }) => tokens));
  const reusable = sum(prefixes.map(({ reusable }) => reusable));
  const sentBefore = all - (prefixes.at(-1)?.tokens ?? 0);
  return [
    { what: `input tokens of ${prefixes.length} requests`, unit: "", value: all },
    { what: "of them held by the request before", unit: "%", value: (100 * reusable) / all },
    {
      what: "of what requests held, lost to the next one",
      unit: "%",
      value: 100 * (1 - reusable / sentBefore),
      goal: 2,
    },
  ];
}

async function recordSession(): Promise<readonly Entry[]> {
  const home = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  try {
    await writeFile(join(home, "AGENTS.md"), words(2_000));
    await using runtime = await openRuntime({
      dataDir: join(home, "data"),
      notify: () => {},
      models: () => model,
      agents: [
        {
          name: "reader",
          systemPrompt: "You read what you are asked to read.",
          model: "scripted/reader",
          workspace: home,
          tools: [lookTool],
          sandbox: { isolation: "none" },
        },
      ],
    });
    const session = await runtime.session();
    await (await session.send("Read everything.")).result();
    return await runtime.sessions.entries(session.id);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

const model: Model = {
  id: "scripted/reader",
  async *stream({ messages }) {
    const turn = messages.filter(({ role }) => role === "assistant").length;
    const call = { type: "toolCall", callId: `call_${turn}`, name: "look", input: { turn } } as const;
    const isLast = turn === TURNS - 1;
    const text = { type: "text", text: words(90) } as const;
    yield {
      type: "finished",
      answer: {
        blocks: isLast ? [text] : [text, call],
        stopReason: isLast ? "endTurn" : "toolCalls",
        usage: noUsage,
      },
    };
  },
};

const lookTool = defineTool({
  name: "look",
  description: "Looks.",
  input: z.object({ turn: z.number() }),
  effect: "readonly",
  run: () => words(500),
});

/** So many tokens of text. */
function words(tokens: number): string {
  return "abc ".repeat(tokens);
}

const TOOLS = 300;

function toolFigures(): readonly Figure[] {
  const tools = Array.from({ length: TOOLS }, (_, i) => connectorTool(i));
  const all = tokensWith(tools, { maxTools: 10_000, maxToolTokens: 10_000_000 });
  return [
    { what: `${TOOLS} tools and the built-in ones in full`, unit: "tokens", value: all },
    {
      what: "64 in full, the others to be found (the default)",
      unit: "tokens",
      value: tokensWith(tools, { maxTools: 64, maxToolTokens: 20_000 }),
      floor: all,
    },
    {
      what: `all ${TOOLS} to be found`,
      unit: "tokens",
      value: tokensWith(tools, { maxTools: 1, maxToolTokens: 20_000 }),
      floor: all,
    },
  ];
}

/** Of what the model is told of tools: schemas, and the list of those that have to be found. */
function tokensWith(
  tools: readonly Tool[],
  limits: { readonly maxTools: number; readonly maxToolTokens: number },
): number {
  const agent = agentWith(tools, { context: { compactAt: null, ...limits } });
  const state = fold([]);
  const context = newContext("start", state, agent, { now: 0, project: null });
  const { toolTokens, sections } = headOfState({ ...state, context }, agent);
  const listed = sections.find(({ name }) => name === "deferredTools");
  return toolTokens + (listed === undefined ? 0 : estimateText(listed.text));
}

/** As connectors to other systems have them: a paragraph, and six parameters with a sentence each. */
function connectorTool(i: number): Tool {
  const thing = ["issue", "invoice", "customer", "ticket", "order", "page"][i % 6] ?? "";
  const verb = ["list", "get", "create", "update", "search"][i % 5] ?? "";
  return defineTool({
    name: `${verb}_${thing}_${i}`,
    description: `${verb} ${thing} records of the connected workspace. Results come in pages of at most one hundred, newest first. Use the cursor of the answer for the page that follows, and ask for the fields that you need only.`,
    input: z.object({
      id: z.string().describe(`The identifier of the ${thing}, as other tools return it.`),
      query: z.string().optional().describe("Words that have to stand in its title or its body."),
      fields: z.array(z.string()).optional().describe("Names of the fields that are wanted. Default: all."),
      limit: z.number().int().optional().describe("The most records to return, one to one hundred."),
      cursor: z.string().optional().describe("Where the page before ended."),
      archived: z.boolean().optional().describe("Whether archived records are wanted, too."),
    }),
    run: () => "",
  });
}
