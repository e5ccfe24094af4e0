import type { LanguageModelV4Message } from "@ai-sdk/provider";
import { describe, expect, test } from "vitest";
import { collect, modelAt, never, request, user } from "../../../test/provider-client.ts";
import { serveProvider } from "../../../test/provider-server.ts";
import { isRecord } from "../../lib/json.ts";
import type { AssistantBlock, Message, ResultBlock, Sidecar, ToolResultMessage } from "../../log/content.ts";
import { createRequestMapper } from "./request.ts";

/*
 * One conversation with everything in it that some provider refuses, written by each model and sent to each other one; then
 * what arrives is held against the rules of that provider's wire. See docs/models.md.
 */

const models = [
  "anthropic/claude-sonnet-4-6",
  "anthropic/claude-opus-5",
  "openai/gpt-5.2",
  "openai/gpt-5-mini",
  "ollama/qwen3",
  "workshop/some-model",
] as const;

const image = { type: "image", mediaType: "image/png", data: "iVBORw0KGgo=" } as const;
const text = (value: string) => ({ type: "text", text: value }) as const;
const THOUGHT = "A thought.";
const SIGNATURE = "EqQBsignature";

/** What the provider of `model` would want back with these blocks. */
function sidecarOf(model: string, blocks: readonly AssistantBlock[]): Sidecar {
  const [provider = ""] = model.split("/");
  const metadata: Readonly<Record<string, (block: AssistantBlock, index: number) => unknown>> = {
    anthropic: ({ type }) => (type === "reasoning" ? { anthropic: { signature: SIGNATURE } } : null),
    openai: ({ type }, i) =>
      type === "reasoning"
        ? { openai: { itemId: `rs_${i}`, reasoningEncryptedContent: SIGNATURE } }
        : { openai: { itemId: `${type === "toolCall" ? "fc" : "msg"}_${i}` } },
  };
  return { provider, data: blocks.map(metadata[provider] ?? (() => null)) };
}

function answer(model: string, ...blocks: readonly AssistantBlock[]): Message {
  return { role: "assistant", model, blocks, sidecar: sidecarOf(model, blocks) };
}

function call(
  callId: string,
  more: Partial<Extract<AssistantBlock, { type: "toolCall" }>> = {},
): AssistantBlock {
  return { type: "toolCall", callId, name: "shell", input: { command: "ls" }, ...more };
}

function result(callId: string, blocks: readonly ResultBlock[], isError = false): ToolResultMessage {
  return { callId, name: "shell", blocks, isError };
}

const reasoning: AssistantBlock = { type: "reasoning", text: THOUGHT };
const LONG_ID = `call:${"ü".repeat(80)}`;

function nasty(model: string): readonly Message[] {
  return [
    user("Look around"),
    answer(
      model,
      reasoning,
      text(""),
      text(" \n"),
      text("I look."),
      call("call_1"),
      call(LONG_ID),
      call("call_3", { input: {}, malformed: '{"command": "ca' }),
      call("call_4", { repaired: '{"command": "ls"' }),
    ),
    {
      role: "tool",
      results: [
        result("call_1", [text("here"), image]),
        result(LONG_ID, [image], true),
        result("call_3", [text("not valid JSON")], true),
        result("call_4", []),
      ],
    },
    user("Wait, also this:"),
    answer(model, reasoning),
    user("  "),
    { role: "user", blocks: [text(""), image, text("See?")] },
    answer(model, text("\n\n"), call("call_5")),
    { role: "tool", results: [result("call_5", [text(" ")])] },
    answer(model, reasoning, text("Done.")),
    user("Thanks"),
  ];
}

const pairs = models.flatMap((from) => models.map((to) => ({ from, to })));

test.each(pairs)("$from -> $to", async ({ from, to }) => {
  await using server = await serveProvider({ body: "" });
  await collect(modelAt(server, to).stream(request(nasty(from)), never));
  const { body } = server.requests[0] ?? {};
  const [provider = ""] = to.split("/");
  checks[provider]?.(body);

  const wire = JSON.stringify(body);
  const isOwn = from === to;
  expect(wire.match(/A thought/g) ?? []).toHaveLength(isOwn ? 2 : 0);
  expect(wire.includes(SIGNATURE)).toBe(isOwn && (provider === "anthropic" || provider === "openai"));
  if (!isOwn) expect(wire).not.toMatch(/"(?:rs|fc|msg)_\d+"/);
  // Nothing of what was said and done is lost.
  for (const said of [
    "Look around",
    "I look.",
    "here",
    "Wait, also this:",
    "(empty message)",
    "See?",
    "Done.",
    "Thanks",
  ]) {
    expect(wire).toContain(said);
  }
  expect(wire.match(/iVBORw0KGgo=/g)).toHaveLength(3);
  expect(wire.match(/\(no output\)/g)).toHaveLength(2);
  expect(wire).not.toContain("ü");
});

/** Whatever JSON arrived. */
// biome-ignore lint/suspicious/noExplicitAny: the shapes of three wires, looked at field by field.
type Wire = any;

const checks: Readonly<Record<string, (body: Wire) => void>> = {
  anthropic: checkAnthropic,
  openai: checkResponses,
  ollama: checkChat,
  workshop: checkChat,
};

function checkAnthropic({ messages }: Wire): void {
  expect(messages[0].role).toBe("user");
  let open: string[] = [];
  const seen = new Set<string>();
  for (const [index, { role, content }] of messages.entries()) {
    expect(role, "roles alternate").not.toBe(messages[index - 1]?.role);
    expect(content.length, "no message is empty").toBeGreaterThan(0);
    const resultsIn = content.filter((block: Wire) => block.type === "tool_result");
    expect(
      resultsIn.map((block: Wire) => block.tool_use_id),
      "each call is answered at once",
    ).toEqual(open);
    expect(content.slice(0, resultsIn.length), "results stand first").toEqual(resultsIn);
    open = [];
    for (const block of content) {
      if (block.type === "text") expect(block.text).toMatch(/\S/);
      if (block.type === "thinking")
        expect(block, "a thought is followed by what it led to").not.toBe(content.at(-1));
      if (block.type === "thinking") expect(block.signature).toBe(SIGNATURE);
      if (block.type === "tool_result") expect(JSON.stringify(block.content)).not.toMatch(/^"\s*"$/);
      if (block.type !== "tool_use") continue;
      expect(block.id).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
      expect(isRecord(block.input)).toBe(true);
      expect(seen.has(block.id)).toBe(false);
      seen.add(block.id);
      open.push(block.id);
    }
  }
  const errors = messages.flatMap(({ content }: Wire) => content.filter((block: Wire) => block.is_error));
  expect(errors).toHaveLength(1);
}

function checkResponses({ input, store }: Wire): void {
  expect(store).toBe(false);
  const calls = input.filter(({ type }: Wire) => type === "function_call");
  const outputs = input.filter(({ type }: Wire) => type === "function_call_output");
  expect(outputs.map((item: Wire) => item.call_id)).toEqual(calls.map((item: Wire) => item.call_id));
  for (const item of calls) {
    expect(item.call_id).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
    expect(isRecord(JSON.parse(item.arguments))).toBe(true);
  }
  for (const [index, item] of input.entries()) {
    if (item.type === "reasoning") {
      expect(item.encrypted_content).toBe(SIGNATURE);
      const { type, role } = input[index + 1] ?? {};
      expect(type ?? role, "a thought is followed by what it led to").toMatch(
        /^(?:function_call|assistant)$/,
      );
    }
    if (item.role === undefined) continue;
    expect(item.content.length).toBeGreaterThan(0);
    if (typeof item.content === "string") expect(item.content).toMatch(/\S/);
    else for (const part of item.content) if (part.type === "input_text") expect(part.text).toMatch(/\S/);
  }
}

function checkChat({ messages }: Wire): void {
  let open: string[] = [];
  for (const { role, content, tool_calls: calls = [], tool_call_id: callId } of messages) {
    if (role === "tool") {
      expect(typeof content).toBe("string");
      expect(content).toMatch(/\S/);
      expect(callId).toBe(open.shift());
      continue;
    }
    expect(open, "each call is answered at once").toEqual([]);
    open = calls.map(({ id }: Wire) => id);
    for (const { id, function: called } of calls) {
      expect(id).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
      expect(isRecord(JSON.parse(called.arguments))).toBe(true);
    }
    if (typeof content === "string") expect(content).toMatch(/\S/);
    else if (content === null) expect(calls.length).toBeGreaterThan(0);
    else for (const part of content) if (part.type === "text") expect(part.text).toMatch(/\S/);
  }
  expect(open).toEqual([]);
  expect(JSON.stringify(messages).match(/The call failed:/g)).toHaveLength(2);
}

describe("providers behind optional packages, whose wire is their package's business", () => {
  const map = (provider: string, from: string): readonly LanguageModelV4Message[] => {
    const dialect = { provider, protocol: "package", model: `${provider}/large` } as const;
    return createRequestMapper(dialect)(request(nasty(from))).prompt;
  };
  const callIds = (prompt: readonly LanguageModelV4Message[], type: "tool-call" | "tool-result") =>
    prompt.flatMap(({ content }) =>
      typeof content === "string"
        ? []
        : content.flatMap((part) => (part.type === type && "toolCallId" in part ? [part.toolCallId] : [])),
    );

  test.each(models)("Mistral after %s: ids of nine characters, and no user behind results", (from) => {
    const prompt = map("mistral", from);
    const ids = callIds(prompt, "tool-call");
    for (const id of ids) expect(id).toMatch(/^[a-zA-Z0-9]{9}$/);
    expect(new Set(ids).size).toBe(5);
    expect(callIds(prompt, "tool-result")).toEqual(ids);
    for (const [index, { role }] of prompt.entries()) {
      if (role === "user") expect(prompt[index - 1]?.role).not.toBe("tool");
    }
    expect(JSON.stringify(prompt)).not.toContain(THOUGHT);
  });

  test("elsewhere ids stay as they are where they can", () => {
    expect(callIds(map("google", "openai/gpt-5.2"), "tool-call")).toEqual([
      "call_1",
      expect.stringMatching(/^[0-9a-f]{9}$/),
      "call_3",
      "call_4",
      "call_5",
    ]);
  });

  test("a signature on a text without characters comes back", () => {
    const signed = { google: { thoughtSignature: "abc" } };
    const blocks = [text("Hello."), text("")];
    const message: Message = {
      role: "assistant",
      model: "google/large",
      blocks,
      sidecar: { provider: "google", data: [null, signed] },
    };
    const dialect = { provider: "google", protocol: "package", model: "google/large" } as const;
    const { prompt } = createRequestMapper(dialect)(request([user("Hi"), message, user("?")]));
    expect(prompt[2]?.content).toEqual([
      { type: "text", text: "Hello." },
      { type: "text", text: "", providerOptions: signed },
    ]);
  });
});

test("a model that binds its thoughts to what stood before them is told to drop those that no longer fit", async () => {
  const asked = async (id: string) => {
    await using server = await serveProvider({ body: "" });
    await collect(modelAt(server, id).stream(request(nasty(id), { reasoning: "high" }), never));
    return server.requests[0];
  };
  const { body, headers } = (await asked("anthropic/claude-fable-5-1")) ?? {};
  expect(body).toMatchObject({
    thinking: { type: "adaptive", block_binding: { prefix_mismatch_behavior: "drop_block" } },
    output_config: { effort: "high" },
  });
  expect(headers?.["anthropic-beta"]).toContain("thinking-binding-controls");
  expect((await asked("anthropic/claude-sonnet-4-6"))?.body.thinking).not.toHaveProperty("block_binding");
});

describe("a model that thinks in the older mode only, with reasoning asked for", () => {
  const own = "anthropic/claude-haiku-4-5";
  const results: Message = { role: "tool", results: [result("call_1", [text("here")])] };

  async function thinking(id: string, messages: readonly Message[]) {
    await using server = await serveProvider({ body: "" });
    await collect(modelAt(server, id).stream(request(messages, { reasoning: "medium" }), never));
    return server.requests[0]?.body.thinking?.type;
  }

  test.each([
    {
      name: "its own calls",
      messages: [user("Go"), answer(own, reasoning, call("call_1")), results],
      type: "enabled",
    },
    {
      name: "calls of another model, which it goes on with",
      messages: [user("Go"), answer("openai/gpt-5.2", reasoning, call("call_1")), results],
      type: undefined,
    },
    {
      name: "calls of another model, with a word of the user behind the results",
      messages: [user("Go"), answer("openai/gpt-5.2", reasoning, call("call_1")), results, user("Also:")],
      type: undefined,
    },
    {
      name: "calls of another model that are long answered",
      messages: [
        user("Go"),
        answer("openai/gpt-5.2", call("call_1")),
        results,
        answer(own, text("Yes")),
        user("On"),
      ],
      type: "enabled",
    },
  ])("$name", async ({ messages, type }) => {
    expect(await thinking(own, messages)).toBe(type);
  });

  test("later ones need no such care", async () => {
    const messages = [user("Go"), answer("openai/gpt-5.2", call("call_1")), results];
    expect(await thinking("anthropic/claude-sonnet-4-6", messages)).toBe("adaptive");
  });
});
