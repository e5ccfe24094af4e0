import { expect, test } from "vitest";
import { chooseModel } from "./choose-model.ts";

const nothing = { id: null, baseUrl: null, script: null };
const claude = "anthropic/claude-sonnet-4-6";
const playing = "playing a scripted model; tools, sandbox and log are real";

test.each([
  // An agent that names no model.
  { keys: ["anthropic"], wanted: {}, type: "provider", id: claude },
  { keys: ["openai", "anthropic"], wanted: {}, type: "provider", id: claude },
  { keys: ["openai"], wanted: {}, type: "provider", id: "openai/gpt-5.2" },
  { keys: ["ollama"], wanted: {}, type: "provider", id: "ollama/qwen3" },
  { keys: ["ollama"], usual: "ollama/llama3", wanted: {}, type: "provider", id: "ollama/llama3" },
  { keys: ["openai"], wanted: { script: "/s" }, type: "provider", id: "openai/gpt-5.2" },
  { keys: ["google"], wanted: { script: "/s" }, type: "scripted", notice: `no model key found: ${playing}` },
  { keys: [], wanted: { script: "/s" }, type: "scripted", notice: `no model key found: ${playing}` },
  { keys: [], wanted: {}, type: "missing", id: claude },
  // An agent that names one.
  { keys: ["anthropic"], wanted: { id: claude }, type: "provider", id: claude },
  { keys: ["openai"], wanted: { id: claude }, type: "missing", id: claude },
  {
    keys: [],
    wanted: { id: claude, script: "/s" },
    type: "scripted",
    notice: `no model key found: ${playing}`,
  },
  {
    keys: ["openai"],
    wanted: { id: claude, script: "/s" },
    type: "scripted",
    notice: `no key for ${claude} found: ${playing}`,
    insteadOf: claude,
  },
  { keys: [], wanted: { id: "amazon-bedrock/x" }, type: "provider", id: "amazon-bedrock/x" },
  { keys: [], wanted: { id: "ollama/x" }, type: "provider", id: "ollama/x" },
  { keys: [], wanted: { id: "ollama/x", script: "/s" }, type: "scripted" },
  { keys: ["anthropic"], usual: "openai/x", wanted: { id: claude }, type: "provider", id: claude },
  // A server of one's own needs no key.
  { keys: [], wanted: { id: "openai/x", baseUrl: "http://h" }, type: "provider", baseUrl: "http://h" },
  {
    keys: [],
    wanted: { id: "openai/x", baseUrl: "http://h", script: "/s" },
    type: "provider",
    baseUrl: "http://h",
  },
  // An agent that asks for its script.
  {
    keys: ["anthropic"],
    wanted: { id: "scripted", script: "/s" },
    type: "scripted",
    notice: null,
    insteadOf: null,
  },
  { keys: [], wanted: { id: "scripted" }, type: "missing", id: "scripted" },
  { keys: [], usual: "scripted", wanted: { script: "/s" }, type: "scripted", notice: null },
])("keys $keys, usual $usual, wanted $wanted: $type $id", ({ keys, usual, wanted, ...expected }) => {
  const access = {
    hasKey: (provider: string) => keys.some((key) => key === provider),
    defaultModel: usual ?? null,
  };
  expect(chooseModel({ ...nothing, ...wanted }, access)).toMatchObject(expected);
});

test("says which variable to set", () => {
  const access = { hasKey: () => false, defaultModel: null };
  expect(chooseModel({ ...nothing, id: "google/x" }, access)).toEqual({
    type: "missing",
    id: "google/x",
    message: 'no key for the model "google/x" found',
    hint: "Set GEMINI_API_KEY or GOOGLE_GENERATIVE_AI_API_KEY.",
  });
  expect(chooseModel(nothing, access)).toMatchObject({
    hint: "Set ANTHROPIC_API_KEY, OPENAI_API_KEY or OLLAMA_HOST, or name a server of your own in model.baseUrl.",
  });
});
