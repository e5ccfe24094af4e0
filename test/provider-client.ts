import type { Message } from "../src/log/content.ts";
import type { ModelAnswer, ModelEvent, ModelRequest } from "../src/models/model.ts";
import { createModelResolver, type ModelResolverOptions } from "../src/models/resolve.ts";
import { type Play, type ProviderServer, serveProvider } from "./provider-server.ts";

/** One model for each dialect, and what asks them on the wire. */
export const anthropic = "anthropic/claude-sonnet-4-6";
export const openai = "openai/gpt-5.2";
export const ollama = "ollama/qwen3";
export const never = new AbortController().signal;

export const shell = {
  name: "shell",
  description: "Runs a command.",
  inputSchema: { type: "object", properties: { command: { type: "string" } } },
};

export function request(
  messages: readonly Message[] = [user("What is here?")],
  more: Partial<ModelRequest> = {},
) {
  return { system: "Be brief.", tools: [shell], messages, sessionId: "session-1", ...more };
}

export function user(text: string): Message {
  return { role: "user", blocks: [{ type: "text", text }] };
}

export function modelAt(server: ProviderServer, id: string, more: Partial<ModelResolverOptions> = {}) {
  const keys = () => "sk-test-0123456789";
  return createModelResolver({ keys, baseUrl: () => `${server.url}/v1`, ...more })(id);
}

export async function collect(events: AsyncIterable<ModelEvent>): Promise<ModelEvent[]> {
  const all: ModelEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

export function finished(events: readonly ModelEvent[]): ModelAnswer {
  const last = events.at(-1);
  if (last?.type !== "finished") throw new Error(`not finished: ${JSON.stringify(last)}`);
  return last.answer;
}

/** The answer as it comes back in the next request, after a round trip through the log's JSON. */
export function remembered(model: string, { blocks, sidecar }: ModelAnswer): Message {
  const message = { role: "assistant", blocks, model, ...(sidecar === undefined ? {} : { sidecar }) };
  return JSON.parse(JSON.stringify(message));
}

export function resultsFor({ blocks }: ModelAnswer): Message {
  return {
    role: "tool",
    results: blocks
      .filter((block) => block.type === "toolCall")
      .map(({ callId, name }) => ({
        callId,
        name,
        blocks: [{ type: "text", text: `did ${name}` }],
        isError: false,
      })),
  };
}

export async function play(
  id: string,
  what: Play,
  more: Partial<ModelResolverOptions> = {},
): Promise<ModelEvent[]> {
  await using server = await serveProvider(what);
  return await collect(modelAt(server, id, more).stream(request(), never));
}
