import { describe, expect, test } from "vitest";
import { ollamaBaseUrl } from "./ai-sdk/providers.ts";
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
