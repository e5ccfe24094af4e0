import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import {
  anthropic,
  collect,
  finished,
  modelAt,
  never,
  ollama,
  openai,
  play,
  request,
} from "../../../test/provider-client.ts";
import { serveProvider } from "../../../test/provider-server.ts";
import type { ModelEvent } from "../model.ts";

function completedCalls(events: readonly ModelEvent[]) {
  return events.flatMap((event) => (event.type === "callCompleted" ? [event.soFar] : []));
}

test.each([
  { id: anthropic, fixture: "anthropic/thinking-and-tools.sse", blocks: 4 },
  { id: openai, fixture: "openai/reasoning-and-tools.sse", blocks: 4 },
])("$id: a call is told when the next one begins, the last one is not", async ({ id, fixture, blocks }) => {
  const events = await play(id, { fixture });
  const answer = finished(events);
  const told = completedCalls(events);
  expect(told).toHaveLength(1);
  expect(told[0]?.blocks).toEqual(answer.blocks.slice(0, blocks));
  expect(told[0]?.blocks.at(-1)?.type).toBe("toolCall");
  const kept = (data: unknown) => (Array.isArray(data) ? data.slice(0, blocks) : data);
  expect(kept(told[0]?.sidecar?.data)).toEqual(kept(answer.sidecar?.data));
  const order = events.map(({ type }) => type);
  expect(order.lastIndexOf("toolCallStarted")).toBe(order.indexOf("callCompleted") + 1);
});

describe("Chat Completions, which says what is complete only at the end", () => {
  const args = (index: number, text: string) => ({ tool_calls: [{ index, function: { arguments: text } }] });
  const start = (index: number, text = "") => ({
    tool_calls: [
      { index, id: `call_${index}`, type: "function", function: { name: "shell", arguments: text } },
    ],
  });

  function chatStream(deltas: readonly object[], finish_reason = "tool_calls"): string {
    const chunks = [
      ...deltas.map((delta) => ({ choices: [{ index: 0, delta, finish_reason: null }] })),
      { choices: [{ index: 0, delta: {}, finish_reason }] },
    ];
    return [...chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), "data: [DONE]\n\n"].join("");
  }

  test.each<{ name: string; deltas: readonly object[]; told: number[]; blocks: object[] }>([
    {
      name: "a call whose object is closed is told when the next one begins",
      deltas: [
        { content: "I look." },
        start(0, '{"command":'),
        args(0, '"ls"}'),
        start(1, "{}"),
        start(2),
        args(2, "{}"),
      ],
      told: [2, 3],
      blocks: [{ text: "I look." }, { input: { command: "ls" } }, { input: {} }, { input: {} }],
    },
    {
      name: "calls that are written alternately are told with the end",
      deltas: [start(0, '{"command":'), start(1, '{"path":'), args(0, '"ls"}'), args(1, '"a"}')],
      told: [1],
      blocks: [{ input: { command: "ls" } }, { input: { path: "a" } }],
    },
    {
      name: "a call without arguments may still get some",
      deltas: [start(0), start(1, "{}"), args(0, '{"command":"ls"}')],
      told: [1],
      blocks: [{ input: { command: "ls" } }, { input: {} }],
    },
    {
      name: "what was told does not change",
      deltas: [start(0, '{"command":"ls"}'), start(1, "{}"), args(0, "}")],
      told: [1],
      blocks: [{ input: { command: "ls" } }, { input: {} }],
    },
    {
      name: "text between calls stands between them",
      deltas: [{ content: "One." }, start(0, "{}"), { content: "Two." }, start(1, "{}")],
      told: [2],
      blocks: [{ text: "One." }, { input: {} }, { text: "Two." }, { input: {} }],
    },
  ])("$name", async ({ deltas, told, blocks }) => {
    const events = await play(ollama, { body: chatStream(deltas) });
    const answer = finished(events);
    expect(answer.blocks).toMatchObject(blocks);
    expect(completedCalls(events).map((soFar) => soFar.blocks.length)).toEqual(told);
    for (const soFar of completedCalls(events)) {
      expect(soFar.blocks).toEqual(answer.blocks.slice(0, soFar.blocks.length));
    }
  });

  test("it is told before the next one is complete", async () => {
    const body = chatStream([start(0, "{}"), start(1, '{"command":'), args(1, '"ls"}')]);
    const order = (await play(ollama, { body })).map(({ type }) => type);
    expect(order).toEqual([
      "toolCallStarted",
      "toolCallDelta",
      "toolCallStarted",
      "callCompleted",
      "toolCallDelta",
      "toolCallDelta",
      "finished",
    ]);
  });

  test("what the output limit cuts off is the last call only", async () => {
    const body = chatStream([start(0, '{"command":"ls"}'), start(1, '{"command":"l')], "length");
    const events = await play(ollama, { body });
    expect(completedCalls(events)).toMatchObject([{ blocks: [{ input: { command: "ls" } }] }]);
    expect(finished(events)).toMatchObject({
      stopReason: "maxTokens",
      blocks: [{ input: { command: "ls" } }, { input: {}, malformed: '{"command":"l' }],
    });
  });
});

test("a call that is the whole answer is not told", async () => {
  const events = await play(anthropic, { body: await anthropicStream(call("toolu_1", '{"command": "ls"}')) });
  expect(completedCalls(events)).toEqual([]);
  expect(finished(events).blocks).toMatchObject([{ input: { command: "ls" } }]);
});

describe("a provider that is silent behind a call", () => {
  test("is taken to be writing what follows", async () => {
    const body = await readFixture("anthropic/thinking-and-tools.sse");
    const hangAfter = Buffer.byteLength(body.slice(0, body.indexOf(NEXT_BLOCK)));
    await using server = await serveProvider({ body, hangAfter });
    const controller = new AbortController();
    const events: ModelEvent[] = [];
    for await (const event of modelAt(server, anthropic).stream(request(), controller.signal)) {
      events.push(event);
      if (event.type === "callCompleted") controller.abort();
    }
    expect(completedCalls(events)).toMatchObject([
      { blocks: [{ type: "reasoning" }, { type: "reasoning" }, { type: "text" }, { callId: "toolu_01BBB" }] },
    ]);
    expect(events.at(-1)).toMatchObject({ type: "failed", failure: { kind: "unknown" } });
  });

  test("is still watched", async () => {
    const body = await readFixture("anthropic/thinking-and-tools.sse");
    const hangAfter = Buffer.byteLength(body.slice(0, body.indexOf(NEXT_BLOCK)));
    await using server = await serveProvider({ body, hangAfter });
    const model = modelAt(server, anthropic, { limits: () => ({ betweenTokensMs: 400 }) });
    const events = await collect(model.stream(request(), never));
    expect(completedCalls(events)).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ type: "failed", failure: { kind: "timeout" } });
  });
});

describe("arguments that are not JSON", () => {
  const second = call("toolu_2", '{"path": "a"}');

  test("malformed ones are told as they are", async () => {
    const events = await play(anthropic, { body: await anthropicStream(call("toolu_1", "ls -l"), second) });
    expect(completedCalls(events)).toMatchObject([{ blocks: [{ input: {}, malformed: "ls -l" }] }]);
    expect(finished(events).blocks[0]).toMatchObject({ input: {}, malformed: "ls -l" });
  });

  test("repaired ones only with the end, when it is known that nothing was cut off", async () => {
    const stream = await anthropicStream(call("toolu_1", '{"command": "ls"'), second);
    const events = await play(anthropic, { body: stream });
    expect(completedCalls(events)).toEqual([]);
    expect(finished(events).blocks).toMatchObject([
      { input: { command: "ls" }, repaired: '{"command": "ls"' },
      { input: { path: "a" } },
    ]);
    const cut = finished(
      await play(anthropic, { body: stream.replace('"tool_use","stop_seq', '"max_tokens","stop_seq') }),
    );
    expect(cut).toMatchObject({
      stopReason: "maxTokens",
      blocks: [{ input: {}, malformed: '{"command": "ls"' }, { input: { path: "a" } }],
    });
  });
});

/** Where the block behind the first call begins. */
const NEXT_BLOCK = 'event: content_block_start\ndata: {"type":"content_block_start","index":4';

interface WireCall {
  readonly id: string;
  readonly json: string;
}

function call(id: string, json: string): WireCall {
  return { id, json };
}

/** An answer of nothing but calls, framed as the fixture with one call is. */
async function anthropicStream(...calls: readonly WireCall[]): Promise<string> {
  const frames = (await readFixture("anthropic/malformed-arguments.sse")).trim().split("\n\n");
  const [start = "", , , , delta = "", stop = ""] = frames;
  const blocks = calls.flatMap(({ id, json }, index) => [
    frame({
      type: "content_block_start",
      index,
      content_block: { type: "tool_use", id, name: "shell", input: {} },
    }),
    frame({ type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json: json } }),
    frame({ type: "content_block_stop", index }),
  ]);
  return `${[start, ...blocks, delta.replace("max_tokens", "tool_use"), stop].join("\n\n")}\n\n`;
}

function frame(data: Readonly<Record<string, unknown>>): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}`;
}

function readFixture(name: string): Promise<string> {
  return readFile(new URL(`../../../test/fixtures/providers/${name}`, import.meta.url), "utf8");
}
