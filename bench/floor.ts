import { createServer } from "node:http";
import { cpuMs, peakGrowth, REPEATS, WARM_UP } from "./measure.ts";
import { systemPrompt, toolSpecs } from "./request.ts";

/**
 * The least that the work costs: `fetch` and a parser for Anthropic's events, written by hand, without durability, limits
 * or errors. What Holdfast adds is measured against it.
 *
 *     node bench/floor.ts turns URL TURNS         one tool loop, CPU per model call
 *     node bench/floor.ts sessions URL COUNT TURNS LATENCY   many at once, wall clock
 *     node bench/floor.ts stream URL CHUNKS       a server that passes a stream on to one reader
 */
interface Message {
  readonly role: "user" | "assistant";
  readonly content: readonly object[];
}

interface Answer {
  readonly text: string;
  readonly calls: readonly { readonly id: string; readonly name: string; readonly input: unknown }[];
}

const tools = toolSpecs.map(({ name, description, inputSchema }) => ({
  name,
  description,
  input_schema: inputSchema,
}));

const [mode, url = "", ...numbers] = process.argv.slice(2);
const [first = 0, second = 0, third = 0] = numbers.map(Number);

switch (mode) {
  case "turns": {
    for (let i = 0; i < WARM_UP; i++) await toolLoop("turns-50");
    const since = process.cpuUsage();
    for (let i = 0; i < REPEATS; i++) await toolLoop(`turns-${first}`);
    console.log(JSON.stringify({ cpuMsPerTurn: cpuMs(since) / (first * REPEATS) }));
    break;
  }
  case "sessions": {
    await Promise.all(Array.from({ length: 20 }, () => toolLoop(`turns-${second}`)));
    const startedAt = performance.now();
    const bytes = await peakGrowth(() =>
      Promise.all(Array.from({ length: first }, () => toolLoop(`turns-${second}+${third}ms`))),
    );
    const wallMs = performance.now() - startedAt;
    console.log(JSON.stringify({ wallMs, rssKbPerSession: bytes / 1024 / first }));
    break;
  }
  case "stream":
    serveStream(first);
    break;
  default:
    throw new Error(`unknown mode ${mode}`);
}
if (mode !== "stream") process.exit();

/** @returns the number of model calls. */
async function toolLoop(model: string): Promise<number> {
  const messages: Message[] = [{ role: "user", content: [{ type: "text", text: "Do the work." }] }];
  for (let turn = 1; ; turn++) {
    const { text, calls } = await ask(model, messages, () => {});
    const uses = calls.map((call) => ({ type: "tool_use", ...call }));
    messages.push({ role: "assistant", content: [{ type: "text", text }, ...uses] });
    if (calls.length === 0) return turn;
    const results = calls.map(({ id, input }) => ({
      type: "tool_result",
      tool_use_id: id,
      content: [{ type: "text", text: `did step ${JSON.stringify(input)}` }],
    }));
    messages.push({ role: "user", content: results });
  }
}

/** A reader of `GET /chunks` or `/paced` gets every piece as an event; `GET /cpu` tells the CPU that this process has used. */
function serveStream(chunks: number): void {
  const server = createServer(async (request, response) => {
    if (request.url === "/cpu") {
      response.end(JSON.stringify({ cpuMs: cpuMs() }));
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    const model = `${request.url?.slice(1)}-${chunks}`;
    await ask(model, [{ role: "user", content: [{ type: "text", text: "Tell me a story." }] }], (text) =>
      response.write(`event: textDelta\ndata: ${JSON.stringify({ type: "textDelta", text })}\n\n`),
    );
    response.end();
  });
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    if (typeof address === "object" && address !== null) {
      const base = `http://127.0.0.1:${address.port}`;
      console.log(JSON.stringify({ base }));
    }
  });
  process.stdin.on("end", () => process.exit()).resume();
}

async function ask(
  model: string,
  messages: readonly Message[],
  onText: (text: string) => void,
): Promise<Answer> {
  const response = await fetch(`${url}/v1/messages`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": "bench", "anthropic-version": "2023-06-01" },
    body: JSON.stringify({ model, max_tokens: 4096, stream: true, system: systemPrompt, tools, messages }),
  });
  if (!response.ok || response.body === null)
    throw new Error(`model server: ${response.status} ${await response.text()}`);
  let text = "";
  let json = "";
  const calls: { id: string; name: string; input: unknown }[] = [];
  for await (const event of eventsOf(response.body)) {
    if (event.type === "content_block_start" && event.content_block?.type === "tool_use") {
      json = "";
      calls.push({ id: event.content_block.id, name: event.content_block.name, input: {} });
    } else if (event.delta?.type === "text_delta") {
      text += event.delta.text;
      onText(event.delta.text);
    } else if (event.delta?.type === "input_json_delta") {
      json += event.delta.partial_json;
    } else if (event.type === "content_block_stop" && json !== "") {
      const call = calls.at(-1);
      if (call !== undefined) call.input = JSON.parse(json);
      json = "";
    }
  }
  return { text, calls };
}

interface WireEvent {
  readonly type: string;
  readonly content_block?: { readonly type: string; readonly id: string; readonly name: string };
  readonly delta?: { readonly type: string; readonly text: string; readonly partial_json: string };
}

async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<WireEvent, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of body) {
    const events = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      const data = event.slice(event.indexOf("\ndata: ") + 7);
      yield JSON.parse(data);
    }
  }
}
