import { describe, expect, test } from "vitest";
import {
  anthropic,
  collect,
  modelAt,
  never,
  ollama,
  openai,
  request,
  user,
} from "../../../test/provider-client.ts";
import { serveProvider } from "../../../test/provider-server.ts";
import type { AssistantBlock, Message, ResultBlock } from "../../log/content.ts";
import type { CacheBreakpoint, CacheLifetime, ModelRequest } from "../model.ts";

const image = { type: "image", mediaType: "image/png", data: "iVBORw0KGgo=" } as const;
const system: CacheBreakpoint = { after: "system" };

function behind(index: number): CacheBreakpoint {
  return { after: "message", index };
}

function plan(breakpoints: readonly CacheBreakpoint[], lifetime: CacheLifetime = "5m") {
  return { key: "holdfast-1", lifetime, breakpoints };
}

function assistant(...blocks: readonly AssistantBlock[]): Message {
  return { role: "assistant", model: anthropic, blocks };
}

function call(callId: string): AssistantBlock {
  return { type: "toolCall", callId, name: "shell", input: {} };
}

function results(...all: readonly (readonly ResultBlock[])[]): Message {
  return {
    role: "tool",
    results: all.map((blocks, i) => ({ callId: `c${i}`, name: "shell", blocks, isError: false })),
  };
}

const text = (value: string) => ({ type: "text", text: value }) as const;
const thought = { type: "reasoning", text: "Hm." } as const;

async function sent(id: string, asked: ModelRequest) {
  await using server = await serveProvider({ body: "" });
  await collect(modelAt(server, id).stream(asked, never));
  return server.requests[0]?.body;
}

/** The paths of everything that carries a mark, such as "messages.0.content.1", and the marks. */
function marks(value: unknown, path: readonly string[] = []): readonly (readonly [string, unknown])[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === "cache_control" ? [[path.join("."), inner] as const] : marks(inner, [...path, key]),
  );
}

describe.each<{
  name: string;
  messages: readonly Message[];
  breakpoints: CacheBreakpoint[];
  marked: string[];
}>([
  {
    name: "system and the last part of a message",
    messages: [{ role: "user", blocks: [text("a"), image] }],
    breakpoints: [system, behind(0)],
    marked: ["messages.0.content.1", "system.0"],
  },
  {
    name: "the last of parallel results",
    messages: [user("a"), assistant(text("b"), call("c0"), call("c1")), results([text("x")], [image])],
    breakpoints: [behind(0), behind(2)],
    marked: ["messages.0.content.0", "messages.2.content.1"],
  },
  {
    name: "an answer",
    messages: [user("a"), assistant(text("b")), user("c")],
    breakpoints: [behind(1)],
    marked: ["messages.1.content.0"],
  },
  {
    name: "users that become one message of the wire",
    messages: [user("a"), user("b"), user("c")],
    breakpoints: [behind(1)],
    marked: ["messages.0.content.1"],
  },
  {
    name: "a message of which nothing is sent: what stands before it",
    messages: [user("a"), assistant(thought), user("b")],
    breakpoints: [behind(1)],
    marked: ["messages.0.content.0"],
  },
  {
    name: "two breakpoints that fall together",
    messages: [user("a"), assistant(thought), user("b")],
    breakpoints: [behind(0), behind(1), behind(2)],
    marked: ["messages.0.content.0", "messages.0.content.1"],
  },
  {
    name: "nothing before it at all",
    messages: [assistant(thought), user("b")],
    breakpoints: [behind(0)],
    marked: ["system.0"],
  },
  {
    name: "a message that the request does not have",
    messages: [user("a")],
    breakpoints: [behind(7)],
    marked: ["tools.0"],
  },
  { name: "no breakpoints", messages: [user("a")], breakpoints: [], marked: [] },
])("Anthropic: $name", ({ messages, breakpoints, marked }) => {
  test("is marked", async () => {
    const body = await sent(anthropic, request(messages, { cache: plan(breakpoints) }));
    const found = marks(body);
    expect(found.map(([path]) => path).sort()).toEqual(marked);
    for (const [, mark] of found) expect(mark).toEqual({ type: "ephemeral" });
  });
});

test("an answer that ends in a thought is marked before it, because the thought is not sent", async () => {
  const signed = { anthropic: { signature: "EqQB" } };
  const answer: Message = {
    role: "assistant",
    model: anthropic,
    blocks: [thought, text("b"), thought],
    sidecar: { provider: "anthropic", data: [signed, null, signed] },
  };
  const body = await sent(anthropic, request([user("a"), answer, user("c")], { cache: plan([behind(1)]) }));
  expect(body.messages[1].content).toMatchObject([{ type: "thinking", signature: "EqQB" }, { type: "text" }]);
  expect(marks(body).map(([path]) => path)).toEqual(["messages.1.content.1"]);
});

test("an hour is asked for only where the plan says so", async () => {
  const body = await sent(anthropic, request(undefined, { cache: plan([system], "1h") }));
  expect(marks(body)).toEqual([["system.0", { type: "ephemeral", ttl: "1h" }]]);
});

test("without a system prompt, what never changes ends with the tools", async () => {
  const body = await sent(anthropic, request(undefined, { system: "", cache: plan([system]) }));
  expect(body).not.toHaveProperty("system");
  expect(marks(body).map(([path]) => path)).toEqual(["tools.0"]);
});

test("without a plan nothing is marked", async () => {
  expect(marks(await sent(anthropic, request()))).toEqual([]);
  expect(await sent(openai, request())).not.toHaveProperty("prompt_cache_key");
});

test("a plan changes nothing but the marks", async () => {
  const messages = [user("a"), assistant(text("b"), call("c0")), results([text("x")])];
  const without = await sent(anthropic, request(messages));
  const marked = await sent(anthropic, request(messages, { cache: plan([system, behind(0), behind(2)]) }));
  const bare: unknown = JSON.parse(JSON.stringify(marked), (key, value: unknown) =>
    key === "cache_control" ? undefined : value,
  );
  expect(bare).toEqual(without);
});

test("OpenAI gets the key", async () => {
  const body = await sent(openai, request(undefined, { cache: plan([system, behind(0)], "1h") }));
  expect(body.prompt_cache_key).toBe("holdfast-1");
  expect(marks(body)).toEqual([]);
});

test("servers that speak Chat Completions get nothing that they might refuse", async () => {
  const asked = request();
  expect(await sent(ollama, { ...asked, cache: plan([system, behind(0)]) })).toEqual(
    await sent(ollama, asked),
  );
});
