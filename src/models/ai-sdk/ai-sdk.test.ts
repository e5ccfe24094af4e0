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
  remembered,
  request,
  resultsFor,
  shell,
  user,
} from "../../../test/provider-client.ts";
import { type Play, serveProvider } from "../../../test/provider-server.ts";
import type { Message } from "../../log/content.ts";
import type { ModelEvent } from "../model.ts";
import { createModelResolver } from "../resolve.ts";

describe("Anthropic Messages", () => {
  test("thinking, text, parallel calls, usage", async () => {
    const events = await play(anthropic, { fixture: "anthropic/thinking-and-tools.sse" });
    expect(events.slice(0, -1)).toEqual([
      { type: "reasoningDelta", text: "The user wants to know " },
      { type: "reasoningDelta", text: "what is in the workspace." },
      { type: "textDelta", text: "I look at the files" },
      { type: "textDelta", text: " – and the log." },
      { type: "toolCallStarted", callId: "toolu_01BBB", name: "shell" },
      { type: "toolCallDelta", callId: "toolu_01BBB", text: '{"command": "ls' },
      { type: "toolCallDelta", callId: "toolu_01BBB", text: ' -l"}' },
      expect.objectContaining({ type: "callCompleted" }),
      { type: "toolCallStarted", callId: "toolu_01CCC", name: "read" },
      { type: "toolCallDelta", callId: "toolu_01CCC", text: '{"path": "a.log"}' },
    ]);
    expect(finished(events)).toMatchObject({
      blocks: [
        { type: "reasoning", text: "The user wants to know what is in the workspace." },
        { type: "reasoning", text: "" },
        { type: "text", text: "I look at the files – and the log." },
        { type: "toolCall", callId: "toolu_01BBB", name: "shell", input: { command: "ls -l" } },
        { type: "toolCall", callId: "toolu_01CCC", name: "read", input: { path: "a.log" } },
      ],
      stopReason: "toolCalls",
      usage: { input: 25, cacheRead: 3400, cacheWrite: 1200, output: 189, reasoning: 0 },
    });
  });

  test("the next request brings signatures back byte for byte, and marks what to cache", async () => {
    await using server = await serveProvider(
      { fixture: "anthropic/thinking-and-tools.sse" },
      { fixture: "anthropic/text.sse" },
    );
    const model = modelAt(server, anthropic);
    const first = finished(await collect(model.stream(request(), never)));
    const history = [user("What is here?"), remembered(anthropic, first), resultsFor(first)];
    const breakpoints = [
      { after: "system" },
      { after: "message", index: 0 },
      { after: "message", index: 2 },
    ] as const;
    const cache = { key: "k1", lifetime: "5m", breakpoints } as const;
    const asked = request(history, { reasoning: "high", cache });
    const second = finished(await collect(model.stream(asked, never)));
    expect(second).toMatchObject({ blocks: [{ type: "text", text: "Two files." }], stopReason: "endTurn" });
    expect(second).not.toHaveProperty("sidecar");

    const cached = { cache_control: { type: "ephemeral" } };
    const { body, headers, path } = server.requests[1] ?? {};
    expect(path).toBe("/v1/messages");
    expect(headers?.["x-api-key"]).toBe("sk-test-0123456789");
    expect(body).toMatchObject({
      model: "claude-sonnet-4-6",
      output_config: { effort: "high" },
      stream: true,
    });
    expect(body.system).toEqual([{ type: "text", text: "Be brief.", ...cached }]);
    expect(body.tools).toMatchObject([{ name: "shell", input_schema: shell.inputSchema }]);
    expect(body.messages).toEqual([
      { role: "user", content: [{ type: "text", text: "What is here?", ...cached }] },
      {
        role: "assistant",
        content: [
          {
            type: "thinking",
            thinking: "The user wants to know what is in the workspace.",
            signature: "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds+/==",
          },
          {
            type: "redacted_thinking",
            data: "EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr3qpP+==",
          },
          { type: "text", text: "I look at the files – and the log." },
          { type: "tool_use", id: "toolu_01BBB", name: "shell", input: { command: "ls -l" } },
          { type: "tool_use", id: "toolu_01CCC", name: "read", input: { path: "a.log" } },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "toolu_01BBB", content: "did shell" },
          { type: "tool_result", tool_use_id: "toolu_01CCC", content: "did read", ...cached },
        ],
      },
    ]);
  });

  test("connections serve request after request", async () => {
    await using server = await serveProvider({ fixture: "anthropic/text.sse" });
    const model = modelAt(server, anthropic);
    for (let i = 0; i < 6; i++) finished(await collect(model.stream(request(), never)));
    // `fetch` gives a connection back a moment after the end of the body, so that the second request may open another.
    expect(server.connections).toBeLessThanOrEqual(2);
  });

  test("arguments that are not JSON", async () => {
    const answer = finished(await play(anthropic, { fixture: "anthropic/malformed-arguments.sse" }));
    expect(answer).toMatchObject({
      blocks: [{ type: "toolCall", input: {}, malformed: '{"command": "cat <<EOF' }],
      stopReason: "maxTokens",
    });
  });

  test("a refusal is an answer", async () => {
    const answer = finished(await play(anthropic, { fixture: "anthropic/refusal.sse" }));
    expect(answer).toMatchObject({ blocks: [], stopReason: "refused" });
  });
});

describe("OpenAI Responses", () => {
  test("reasoning summaries, text, parallel calls, usage", async () => {
    const events = await play(openai, { fixture: "openai/reasoning-and-tools.sse" });
    expect(events.filter((event) => event.type === "reasoningDelta").map(({ text }) => text)).toEqual([
      "Looking ",
      "first.",
      "\n\nThen reading.",
    ]);
    expect(finished(events)).toMatchObject({
      blocks: [
        { type: "reasoning", text: "Looking first." },
        { type: "reasoning", text: "Then reading." },
        { type: "text", text: "I look at the files." },
        { type: "toolCall", callId: "call_01", name: "shell", input: { command: "ls -l" } },
        { type: "toolCall", callId: "call_02", name: "read", input: { path: "a.log" } },
      ],
      stopReason: "toolCalls",
      usage: { input: 180, cacheRead: 1920, cacheWrite: 0, output: 150, reasoning: 96 },
    });
  });

  test("the next request brings reasoning items back byte for byte, and nothing is stored there", async () => {
    await using server = await serveProvider({ fixture: "openai/reasoning-and-tools.sse" });
    const model = modelAt(server, openai);
    const cache = { key: "session-1", lifetime: "1h", breakpoints: [{ after: "system" }] } as const;
    const first = finished(await collect(model.stream(request(), never)));
    const history = [user("What is here?"), remembered(openai, first), resultsFor(first)];
    await collect(model.stream(request(history, { reasoning: "low", maxOutputTokens: 500, cache }), never));

    const { body, path, headers } = server.requests[1] ?? {};
    expect(path).toBe("/v1/responses");
    expect(headers?.authorization).toBe("Bearer sk-test-0123456789");
    expect(body).toMatchObject({
      model: "gpt-5.2",
      store: false,
      include: ["reasoning.encrypted_content"],
      prompt_cache_key: "session-1",
      reasoning: { effort: "low" },
      max_output_tokens: 500,
      tools: [{ type: "function", name: "shell", strict: false }],
    });
    expect(body.input).toEqual([
      { role: "developer", content: "Be brief." },
      { role: "user", content: [{ type: "input_text", text: "What is here?" }] },
      {
        type: "reasoning",
        id: "rs_01",
        encrypted_content: "gAAAAABo+encrypted/reasoning==",
        summary: [
          { type: "summary_text", text: "Looking first." },
          { type: "summary_text", text: "Then reading." },
        ],
      },
      { role: "assistant", content: "I look at the files.", phase: "commentary" },
      { type: "function_call", call_id: "call_01", name: "shell", arguments: '{"command":"ls -l"}' },
      { type: "function_call", call_id: "call_02", name: "read", arguments: '{"path":"a.log"}' },
      { type: "function_call_output", call_id: "call_01", output: "did shell" },
      { type: "function_call_output", call_id: "call_02", output: "did read" },
    ]);
  });

  test("cut at the output limit", async () => {
    const answer = finished(await play(openai, { fixture: "openai/incomplete.sse" }));
    expect(answer).toMatchObject({ blocks: [{ type: "text", text: "Two" }], stopReason: "maxTokens" });
  });
});

describe("Chat Completions", () => {
  test("interleaved fragments of parallel calls, reasoning, usage", async () => {
    const answer = finished(await play(ollama, { fixture: "chat/parallel-tools.sse" }));
    expect(answer).toEqual({
      blocks: [
        { type: "reasoning", text: "Both at once." },
        { type: "text", text: "I look." },
        { type: "toolCall", callId: "call_a", name: "shell", input: { command: "ls -l" } },
        { type: "toolCall", callId: "call_b", name: "read", input: { path: "a.log" } },
      ],
      stopReason: "toolCalls",
      usage: { input: 44, cacheRead: 256, cacheWrite: 0, output: 40, reasoning: 10 },
    });
  });

  test("a server that says stop although it calls a tool", async () => {
    const answer = finished(await play(ollama, { fixture: "chat/says-stop-but-calls.sse" }));
    expect(answer.stopReason).toBe("toolCalls");
  });

  test("images of results go into a message of the user", async () => {
    await using server = await serveProvider({ fixture: "chat/parallel-tools.sse" });
    const call = { type: "toolCall", callId: "c1", name: "read", input: { path: "a.png" } } as const;
    const image = { type: "image", mediaType: "image/png", data: "iVBORw0KGgo=" } as const;
    const history: Message[] = [
      user("Look"),
      { role: "assistant", blocks: [call], model: ollama },
      { role: "tool", results: [{ callId: "c1", name: "read", blocks: [image], isError: false }] },
    ];
    await collect(modelAt(server, ollama).stream(request(history), never));
    expect(server.requests[0]?.body.messages.slice(-2)).toEqual([
      { role: "tool", tool_call_id: "c1", content: "[image/png: see the next message]" },
      {
        role: "user",
        content: [
          { type: "text", text: "From the result of read:" },
          { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } },
        ],
      },
    ]);
  });

  test("a server of one's own under any name, without a key", async () => {
    await using server = await serveProvider({ fixture: "chat/parallel-tools.sse" });
    const model = modelAt(server, "workshop/some/model", { keys: () => undefined });
    finished(await collect(model.stream(request(), never)));
    expect(server.requests[0]?.body.model).toBe("some/model");
    expect(server.requests[0]?.headers).not.toHaveProperty("authorization");
  });
});

test.each([
  {
    from: anthropic,
    fixture: "anthropic/thinking-and-tools.sse",
    to: openai,
    answer: "openai/incomplete.sse",
  },
  { from: openai, fixture: "openai/reasoning-and-tools.sse", to: anthropic, answer: "anthropic/text.sse" },
  {
    from: anthropic,
    fixture: "anthropic/thinking-and-tools.sse",
    to: ollama,
    answer: "chat/parallel-tools.sse",
  },
  { from: ollama, fixture: "chat/parallel-tools.sse", to: anthropic, answer: "anthropic/text.sse" },
])(
  "a change from $from to $to drops reasoning and all that belongs to it",
  async ({ from, fixture, to, answer }) => {
    await using before = await serveProvider({ fixture });
    await using after = await serveProvider({ fixture: answer });
    const first = finished(await collect(modelAt(before, from).stream(request(), never)));
    const history = [user("What is here?"), remembered(from, first), resultsFor(first)];
    finished(await collect(modelAt(after, to).stream(request(history), never)));
    const text = JSON.stringify(after.requests[0]?.body.messages ?? after.requests[0]?.body.input);
    expect(text).toContain("I look");
    expect(text).toContain("did shell");
    for (const word of ["thinking", "EqQB", "reasoning", "gAAAA", "rs_01", "Looking first", "Both at once"]) {
      expect(text).not.toContain(word);
    }
  },
);

describe("failures", () => {
  const error = (type: string, message: string) =>
    JSON.stringify({ type: "error", error: { type, message } });
  const openaiError = (code: string | null, message: string) =>
    JSON.stringify({ error: { message, type: "invalid_request_error", param: null, code } });

  test.each<{ name: string; id?: string; play: Play; expected: object }>([
    {
      name: "wrong key, which is not repeated",
      play: { status: 401, body: error("authentication_error", "invalid x-api-key sk-test-0123456789") },
      expected: { kind: "authentication", status: 401, message: "invalid x-api-key [secret]" },
    },
    {
      name: "wrong key of OpenAI",
      id: openai,
      play: {
        status: 401,
        body: openaiError("invalid_api_key", "Incorrect API key provided: sk-te****6789."),
      },
      expected: { kind: "authentication", status: 401, message: "Incorrect API key provided: [secret]" },
    },
    {
      name: "rate limit with seconds",
      play: { status: 429, headers: { "retry-after": "7" }, body: error("rate_limit_error", "slow down") },
      expected: { kind: "rateLimited", status: 429, message: "slow down", retryAfterMs: 7000 },
    },
    {
      name: "rate limit with milliseconds",
      id: openai,
      play: {
        status: 429,
        headers: { "retry-after": "1", "retry-after-ms": "350" },
        body: openaiError("rate_limit_exceeded", "slow down"),
      },
      expected: { kind: "rateLimited", retryAfterMs: 350 },
    },
    {
      name: "rate limit until a date",
      play: {
        status: 503,
        headers: { "retry-after": "Thu, 01 Jan 2026 00:00:30 GMT", date: "Thu, 01 Jan 2026 00:00:10 GMT" },
        body: error("overloaded_error", "later"),
      },
      expected: { kind: "overloaded", retryAfterMs: 20_000 },
    },
    {
      name: "no quota",
      id: openai,
      play: { status: 429, body: openaiError("insufficient_quota", "You exceeded your current quota.") },
      expected: { kind: "quota", status: 429 },
    },
    {
      name: "no credit",
      play: { status: 400, body: error("invalid_request_error", "Your credit balance is too low") },
      expected: { kind: "quota", status: 400 },
    },
    {
      name: "overloaded",
      play: { status: 529, body: error("overloaded_error", "Overloaded") },
      expected: { kind: "overloaded", status: 529, message: "Overloaded" },
    },
    {
      name: "overloaded in the middle",
      play: { fixture: "anthropic/overloaded-in-the-middle.sse" },
      expected: { kind: "overloaded", message: "Overloaded" },
    },
    {
      name: "failed in the middle",
      id: openai,
      play: { fixture: "openai/failed-in-the-middle.sse" },
      expected: { kind: "overloaded", message: "The model failed to generate a response." },
    },
    {
      name: "prompt too long for Anthropic",
      play: {
        status: 400,
        body: error("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
      },
      expected: { kind: "contextOverflow", status: 400 },
    },
    {
      name: "prompt too long for OpenAI",
      id: openai,
      play: { status: 400, body: openaiError("context_length_exceeded", "Your input is too large.") },
      expected: { kind: "contextOverflow", status: 400 },
    },
    {
      name: "prompt too long for vLLM",
      id: ollama,
      play: { status: 400, body: openaiError(null, "This model's maximum context length is 4096 tokens.") },
      expected: { kind: "contextOverflow", status: 400 },
    },
    {
      name: "refused before an answer",
      id: openai,
      play: { status: 400, body: openaiError("content_policy_violation", "Not this.") },
      expected: { kind: "refused", status: 400 },
    },
    {
      name: "bad request",
      play: { status: 400, body: error("invalid_request_error", "messages: at least one is required") },
      expected: { kind: "badRequest", status: 400 },
    },
    {
      name: "unknown model",
      play: { status: 404, body: error("not_found_error", "model: claude-none") },
      expected: { kind: "badRequest", status: 404, message: "model: claude-none" },
    },
    {
      name: "500 with a page of HTML",
      play: { status: 500, body: "<html>oops</html>" },
      expected: { kind: "overloaded", status: 500 },
    },
    {
      name: "a gateway without its server",
      id: ollama,
      play: { status: 502, body: "Bad Gateway" },
      expected: { kind: "network", status: 502 },
    },
    {
      name: "socket cut in the middle",
      play: { fixture: "anthropic/thinking-and-tools.sse", cutAfter: 900 },
      expected: { kind: "network" },
    },
    {
      name: "socket cut before the head",
      id: openai,
      play: { fixture: "openai/incomplete.sse", cutAfter: 0 },
      expected: { kind: "network" },
    },
    {
      name: "a stream that ends without finish",
      id: ollama,
      play: { fixture: "chat/no-finish.sse" },
      expected: { kind: "network" },
    },
    {
      name: "a chunk that is not JSON",
      id: ollama,
      play: { fixture: "chat/not-json.sse" },
      expected: { kind: "network" },
    },
    { name: "an empty answer", play: { fixture: "anthropic/empty.sse" }, expected: { kind: "network" } },
    { name: "an empty body", play: { body: "" }, expected: { kind: "network" } },
  ])("$name", async ({ id = anthropic, play: what, expected }) => {
    const events = await play(id, what);
    expect(events.at(-1)).toEqual({ type: "failed", failure: expect.objectContaining(expected) });
    expect(events.filter(({ type }) => type === "failed" || type === "finished")).toHaveLength(1);
  });

  test("a key of any shape is not repeated", async () => {
    const complaint: Play = { status: 401, body: error("authentication_error", "bad key: hunter22") };
    const events = await play(anthropic, complaint, { keys: () => "hunter22" });
    expect(events.at(-1)).toMatchObject({
      failure: { kind: "authentication", message: "bad key: [secret]" },
    });
  });

  test("nobody listens", async () => {
    const server = await serveProvider({});
    await server[Symbol.asyncDispose]();
    const [failed] = await collect(modelAt(server, anthropic).stream(request(), never));
    expect(failed).toMatchObject({ type: "failed", failure: { kind: "network" } });
    expect(JSON.stringify(failed)).toContain("ECONNREFUSED");
  });

  test("an optional package that is not installed", async () => {
    const model = createModelResolver({ keys: () => "k" })("mistral/mistral-large-latest");
    expect(await collect(model.stream(request(), never))).toEqual([
      {
        type: "failed",
        failure: {
          kind: "badRequest",
          message: "models of mistral need the package @ai-sdk/mistral. npm install @ai-sdk/mistral",
        },
      },
    ]);
  });
});

describe("abort and time limits", () => {
  const hanging: Play = { fixture: "anthropic/thinking-and-tools.sse", hangAfter: 900 };

  test("an abort in the middle of the answer ends the request at the socket", async () => {
    await using server = await serveProvider(hanging);
    const controller = new AbortController();
    const events: ModelEvent[] = [];
    for await (const event of modelAt(server, anthropic).stream(request(), controller.signal)) {
      events.push(event);
      controller.abort();
    }
    expect(events.at(-1)).toEqual({
      type: "failed",
      failure: { kind: "unknown", message: "the request was aborted" },
    });
    await server.abandoned;
  });

  test.each([
    { name: "before the head", what: { body: "", hangAfter: 0 } },
    { name: "before it began", what: { fixture: "anthropic/text.sse", hangAfter: 0 } },
  ])("an abort $name", async ({ what }) => {
    await using server = await serveProvider(what);
    const controller = new AbortController();
    const reading = collect(modelAt(server, anthropic).stream(request(), controller.signal));
    setTimeout(() => controller.abort(), 30);
    expect(await reading).toMatchObject([{ type: "failed", failure: { kind: "unknown" } }]);
    await server.abandoned;
  });

  test("an abort before the request", async () => {
    await using server = await serveProvider({ fixture: "anthropic/text.sse" });
    const events = await collect(modelAt(server, anthropic).stream(request(), AbortSignal.abort()));
    expect(events).toMatchObject([{ type: "failed", failure: { kind: "unknown" } }]);
    expect(server.requests).toHaveLength(0);
  });

  test("a reader that leaves ends the request at the socket", async () => {
    await using server = await serveProvider(hanging);
    for await (const _ of modelAt(server, anthropic).stream(request(), never)) break;
    await server.abandoned;
  });

  test("a provider that never begins", async () => {
    await using server = await serveProvider({ fixture: "anthropic/text.sse", hangAfter: 0 });
    const model = modelAt(server, anthropic, { limits: () => ({ firstTokenMs: 50 }) });
    expect(await collect(model.stream(request(), never))).toEqual([
      { type: "failed", failure: { kind: "timeout", message: "no answer began within 0.05 s" } },
    ]);
    await server.abandoned;
  });

  test("a provider that stops in the middle", async () => {
    await using server = await serveProvider(hanging);
    const model = modelAt(server, anthropic, { limits: () => ({ betweenTokensMs: 50 }) });
    const events = await collect(model.stream(request(), never));
    expect(events[0]?.type).toBe("reasoningDelta");
    expect(events.at(-1)).toEqual({
      type: "failed",
      failure: { kind: "timeout", message: "the answer stood still for 0.05 s" },
    });
    await server.abandoned;
  });

  test("a slow reader is not a slow provider", async () => {
    await using server = await serveProvider({ fixture: "anthropic/text.sse" });
    const model = modelAt(server, anthropic, {
      limits: () => ({ firstTokenMs: 10_000, betweenTokensMs: 1_000 }),
    });
    const events: ModelEvent[] = [];
    for await (const event of model.stream(request(), never)) {
      events.push(event);
      if (events.length === 1) await new Promise((resolve) => setTimeout(resolve, 1_300));
    }
    finished(events);
  });
});
