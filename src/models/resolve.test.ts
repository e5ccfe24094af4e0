import { describe, expect, test } from "vitest";
import { collect, never, request } from "../../test/provider-client.ts";
import { serveProvider } from "../../test/provider-server.ts";
import { createFakeClock } from "../testing/fake-clock.ts";
import { ollamaBaseUrl } from "./ai-sdk/providers.ts";
import { createCircuitBreakers } from "./circuit-breaker.ts";
import type { Model } from "./model.ts";
import { createModelResolver, parseModelId } from "./resolve.ts";
import { createScriptedModel } from "./scripted/scripted.ts";

const resolve = createModelResolver({ keys: (provider) => (provider === "openai" ? "k" : undefined) });

test.each([
  ["anthropic/claude-sonnet-4-6", { provider: "anthropic", name: "claude-sonnet-4-6" }],
  ["openrouter/meta/llama-4", { provider: "openrouter", name: "meta/llama-4" }],
  ["scripted", { provider: "scripted", name: "" }],
  ["scripted/demo", { provider: "scripted", name: "demo" }],
])("the parts of %s", (id, parts) => {
  expect(parseModelId(id)).toEqual(parts);
});

test.each(["", "gpt-5", "/gpt-5", "openai/"])('"%s" is no model id', (id) => {
  expect(() => parseModelId(id)).toThrow(expect.objectContaining({ code: "invalid_config" }));
});

describe("mistakes", () => {
  test.each([
    ["antropic/claude", /no model provider is named "antropic"/, /Did you mean "anthropic"\?/],
    ["acme/model", /no model provider is named "acme"/, /Known: anthropic, openai/],
    ["anthropic/claude-sonnet-4-6", /no key for anthropic/, /Set ANTHROPIC_API_KEY/],
    ["google/gemini-2.5-pro", /no key for google/, /Set GEMINI_API_KEY or GOOGLE_GENERATIVE_AI_API_KEY/],
    ["scripted", /no script is given/, /script/],
  ])("%s", (id, message, hint) => {
    expect(() => resolve(id)).toThrow(
      expect.objectContaining({
        code: "invalid_config",
        message: expect.stringMatching(message),
        hint: expect.stringMatching(hint),
      }),
    );
  });
});

test("a model is made once", () => {
  expect(resolve("openai/gpt-5.2")).toBe(resolve("openai/gpt-5.2"));
  expect(resolve("openai/gpt-5.2").id).toBe("openai/gpt-5.2");
});

test("providers that find their own credentials, and local ones, need no key", () => {
  expect(resolve("amazon-bedrock/some-model").id).toBe("amazon-bedrock/some-model");
  expect(resolve("ollama/qwen3").id).toBe("ollama/qwen3");
});

test("a server at a given address needs no key", () => {
  const local = createModelResolver({ keys: () => undefined, baseUrl: () => "http://127.0.0.1:1/v1" });
  expect(local("openai/some-model").id).toBe("openai/some-model");
  expect(local("acme/model").id).toBe("acme/model");
});

test("the scripted model", () => {
  const scripted = createScriptedModel({ turns: [{ text: "hi" }] });
  const withScript = createModelResolver({ keys: () => undefined, scripted });
  expect(withScript("scripted")).toBe(scripted);
  expect(withScript("scripted/demo")).toBe(scripted);
});

test.each([
  ["127.0.0.1:11434", "http://127.0.0.1:11434/v1"],
  ["http://10.0.0.5:8080", "http://10.0.0.5:8080/v1"],
  ["gpu-box", "http://gpu-box:11434/v1"],
  ["0.0.0.0", "http://127.0.0.1:11434/v1"],
  ["https://ollama.example.test/", "https://ollama.example.test/v1"],
  ["https://example.test/ollama/v1", "https://example.test/ollama/v1"],
])("OLLAMA_HOST=%s", (host, url) => {
  expect(ollamaBaseUrl(host)).toBe(url);
});

describe("circuit breakers", () => {
  const down = {
    status: 529,
    body: JSON.stringify({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } }),
  };

  async function ask(model: Model) {
    return (await collect(model.stream(request(), never))).at(-1);
  }

  test("one for each provider and server, for all models and resolvers of a process", async () => {
    await using first = await serveProvider(down);
    await using second = await serveProvider(down);
    const clock = createFakeClock();
    const breakers = createCircuitBreakers(clock);
    const at = (url: string) =>
      createModelResolver({ keys: () => "k", baseUrl: () => `${url}/v1`, breakers });
    const [here, alsoHere, elsewhere] = [at(first.url), at(first.url), at(second.url)];

    for (let i = 0; i < 5; i++) await ask(here("anthropic/claude-sonnet-4-6"));
    expect(first.requests).toHaveLength(5);
    expect(await ask(alsoHere("anthropic/claude-opus-5"))).toMatchObject({
      failure: {
        kind: "overloaded",
        message: expect.stringMatching(/circuit is open/),
        retryAfterMs: 15_000,
      },
    });
    expect(first.requests).toHaveLength(5);

    await ask(here("ollama/qwen3"));
    await ask(elsewhere("anthropic/claude-sonnet-4-6"));
    expect([first.requests.length, second.requests.length]).toEqual([6, 1]);

    await clock.advance(15_000);
    await ask(alsoHere("anthropic/claude-opus-5"));
    expect(first.requests).toHaveLength(7);
  });

  test("a model that plays a script has none", async () => {
    const error = { kind: "overloaded" } as const;
    const scripted = createScriptedModel({ turns: [{ times: 9, error }, { text: "at last" }] });
    const model = createModelResolver({ keys: () => undefined, scripted })("scripted");
    for (let i = 0; i < 9; i++) await ask(model);
    expect(await ask(model)).toMatchObject({ type: "finished" });
  });
});

test("each model has its own limits for silence", async () => {
  await using server = await serveProvider({ body: "", hangAfter: 0 });
  const models = createModelResolver({
    keys: () => "k",
    baseUrl: () => `${server.url}/v1`,
    limits: (modelId) => ({ firstTokenMs: modelId.endsWith("fast") ? 30 : 70 }),
  });
  const told = async (id: string) => (await collect(models(id).stream(request(), never))).at(-1);
  const failed = (seconds: number) => ({
    type: "failed",
    failure: { kind: "timeout", message: `no answer began within ${seconds} s` },
  });
  expect(await told("ollama/fast")).toEqual(failed(0.03));
  expect(await told("ollama/slow")).toEqual(failed(0.07));
});
