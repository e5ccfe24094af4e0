import { createAnthropic } from "@ai-sdk/anthropic";
import type { LanguageModelV4FunctionTool, LanguageModelV4Message } from "@ai-sdk/provider";
import { cpuMs, REPEATS, WARM_UP } from "./measure.ts";
import { systemPrompt, toolSpecs } from "./request.ts";

/**
 * The same tool loop over the provider package that Holdfast uses, and nothing else: what of Holdfast's cost is the package's.
 *
 *     node bench/packages.ts turns URL TURNS
 */
const [, url = "", turns = "50"] = process.argv.slice(2);
const tools = toolSpecs.map(
  (tool) => ({ type: "function" as const, ...tool }) as LanguageModelV4FunctionTool,
);

for (let i = 0; i < WARM_UP; i++) await toolLoop("turns-50");
const since = process.cpuUsage();
for (let i = 0; i < REPEATS; i++) await toolLoop(`turns-${turns}`);
console.log(JSON.stringify({ cpuMsPerTurn: cpuMs(since) / (Number(turns) * REPEATS) }));
process.exit();

async function toolLoop(name: string): Promise<void> {
  const model = createAnthropic({ apiKey: "bench", baseURL: `${url}/v1` })(name);
  const prompt: LanguageModelV4Message[] = [
    {
      role: "system",
      content: systemPrompt,
    },
    { role: "user", content: [{ type: "text", text: "Do the work." }] },
  ];
  for (;;) {
    const { stream } = await model.doStream({ prompt, tools });
    let text = "";
    const calls: { readonly toolCallId: string; readonly toolName: string; readonly input: unknown }[] = [];
    for await (const part of stream) {
      if (part.type === "text-delta") text += part.delta;
      if (part.type === "tool-call") {
        const { toolCallId, toolName, input } = part;
        calls.push({ toolCallId, toolName, input: JSON.parse(input) });
      }
    }
    if (calls.length === 0) return;
    prompt.push({
      role: "assistant",
      content: [{ type: "text", text }, ...calls.map((call) => ({ type: "tool-call" as const, ...call }))],
    });
    prompt.push({
      role: "tool",
      content: calls.map(({ toolCallId, toolName, input }) => ({
        type: "tool-result" as const,
        toolCallId,
        toolName,
        output: { type: "text" as const, value: `did step ${JSON.stringify(input)}` },
      })),
    });
  }
}
