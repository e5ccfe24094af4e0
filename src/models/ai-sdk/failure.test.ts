import { describe, expect, test } from "vitest";
import { anthropic, ollama, openai, play } from "../../../test/provider-client.ts";
import type { Play } from "../../../test/provider-server.ts";
import type { ModelFailureKind } from "../../log/entry.ts";

// What providers answer, by their documentation and by reports of those who met it; see test/fixtures/providers/README.md.

type Row = readonly [kind: ModelFailureKind, status: number, body: unknown];

async function failureOf(id: string, what: Play) {
  const last = (await play(id, what)).at(-1);
  return last?.type === "failed" ? last.failure : last;
}

function anthropicError(type: string, message: string) {
  return { type: "error", error: { type, message }, request_id: "req_01" };
}

describe("Anthropic", () => {
  test.each<Row>([
    [
      "badRequest",
      400,
      anthropicError("invalid_request_error", "messages: text content blocks must be non-empty"),
    ],
    ["authentication", 401, anthropicError("authentication_error", "invalid x-api-key")],
    ["quota", 402, anthropicError("billing_error", "Your account has a billing problem.")],
    [
      "quota",
      400,
      anthropicError("invalid_request_error", "Your credit balance is too low to access the API."),
    ],
    [
      "quota",
      400,
      anthropicError("invalid_request_error", "You have reached your specified API usage limits."),
    ],
    ["authentication", 403, anthropicError("permission_error", "Your API key may not use this model")],
    ["badRequest", 404, anthropicError("not_found_error", "model: claude-none")],
    ["contextOverflow", 413, anthropicError("request_too_large", "Request exceeds the maximum allowed size")],
    [
      "contextOverflow",
      400,
      anthropicError("invalid_request_error", "prompt is too long: 210 tokens > 200 maximum"),
    ],
    [
      "contextOverflow",
      400,
      anthropicError(
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 190 + 20 > 200",
      ),
    ],
    ["refused", 400, anthropicError("invalid_request_error", "Output blocked by content filtering policy")],
    [
      "rateLimited",
      429,
      anthropicError("rate_limit_error", "Number of request tokens has exceeded your rate limit"),
    ],
    ["overloaded", 500, anthropicError("api_error", "Internal server error")],
    ["timeout", 504, anthropicError("timeout_error", "Request timed out")],
    ["overloaded", 529, anthropicError("overloaded_error", "Overloaded")],
  ])("%s: %i %j", async (kind, status, body) => {
    expect(await failureOf(anthropic, { status, body: JSON.stringify(body) })).toMatchObject({
      kind,
      status,
    });
  });

  test.each([
    ["overloaded", "overloaded_error"],
    ["overloaded", "api_error"],
    ["rateLimited", "rate_limit_error"],
    ["badRequest", "invalid_request_error"],
    ["timeout", "timeout_error"],
  ])("%s inside the stream: %s", async (kind, type) => {
    const body = `event: error\ndata: ${JSON.stringify(anthropicError(type, "No."))}\n\n`;
    expect(await failureOf(anthropic, { body })).toMatchObject({ kind, message: "No." });
  });

  test("a window that is full before the answer is complete", async () => {
    const body = [
      `event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"x","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}`,
      `event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
      `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"So"}}`,
      `event: content_block_stop\ndata: {"type":"content_block_stop","index":0}`,
      `event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"model_context_window_exceeded"},"usage":{"output_tokens":9}}`,
      `event: message_stop\ndata: {"type":"message_stop"}`,
    ].join("\n\n");
    expect(await failureOf(anthropic, { body: `${body}\n\n` })).toMatchObject({ kind: "contextOverflow" });
  });

  test("the wait of a limit that is used up", async () => {
    const headers = {
      date: "Thu, 01 Jan 2026 00:00:10 GMT",
      "anthropic-ratelimit-output-tokens-remaining": "0",
      "anthropic-ratelimit-output-tokens-reset": "2026-01-01T00:00:25Z",
    };
    const body = JSON.stringify(anthropicError("rate_limit_error", "slow down"));
    expect(await failureOf(anthropic, { status: 429, headers, body })).toMatchObject({
      kind: "rateLimited",
      retryAfterMs: 15_000,
    });
  });
});

function openaiError(type: string, code: string | null, message: string) {
  return { error: { message, type, param: null, code } };
}

describe("OpenAI", () => {
  const invalid = "invalid_request_error";
  test.each<Row>([
    ["authentication", 401, openaiError(invalid, "invalid_api_key", "Incorrect API key provided")],
    [
      "authentication",
      403,
      openaiError(invalid, "unsupported_country_region_territory", "Country not supported"),
    ],
    [
      "quota",
      429,
      openaiError("insufficient_quota", "insufficient_quota", "You exceeded your current quota"),
    ],
    ["rateLimited", 429, openaiError("tokens", "rate_limit_exceeded", "Rate limit reached for gpt-5")],
    [
      "contextOverflow",
      429,
      openaiError("tokens", "rate_limit_exceeded", "Request too large for gpt-5 on TPM"),
    ],
    [
      "contextOverflow",
      400,
      openaiError(invalid, "context_length_exceeded", "Your input exceeds the window"),
    ],
    ["refused", 400, openaiError(invalid, "invalid_prompt", "Your prompt was flagged")],
    ["refused", 400, openaiError(invalid, "content_filter", "The response was filtered")],
    ["badRequest", 404, openaiError(invalid, "model_not_found", "The model `gpt-0` does not exist")],
    ["badRequest", 400, openaiError(invalid, "invalid_encrypted_content", "It could not be verified")],
    ["overloaded", 409, openaiError("conflict", null, "Another request holds the lock")],
    ["overloaded", 503, openaiError("server_error", null, "The engine is currently overloaded")],
  ])("%s: %i %j", async (kind, status, body) => {
    expect(await failureOf(openai, { status, body: JSON.stringify(body) })).toMatchObject({ kind, status });
  });

  test.each([
    ["rateLimited", "rate_limit_exceeded", "Please try again in 1.5s."],
    ["quota", "insufficient_quota", "You exceeded your current quota"],
    ["contextOverflow", "context_length_exceeded", "Your input exceeds the context window"],
    ["overloaded", "server_error", "An error occurred"],
    ["refused", "invalid_prompt", "Invalid prompt"],
  ])("%s inside the stream: %s", async (kind, code, message) => {
    const failed = {
      type: "response.failed",
      sequence_number: 1,
      response: { id: "r", error: { code, message } },
    };
    const body = `event: response.failed\ndata: ${JSON.stringify(failed)}\n\n`;
    const failure = await failureOf(openai, { body });
    expect(failure).toMatchObject({ kind, message });
    if (code === "rate_limit_exceeded") expect(failure).toMatchObject({ retryAfterMs: 1500 });
  });
});

describe("servers that speak Chat Completions", () => {
  test.each<readonly [name: string, ...Row]>([
    [
      "vLLM",
      "contextOverflow",
      400,
      { message: "This model's maximum context length is 4096 tokens.", type: "BadRequestError", code: 400 },
    ],
    [
      "a later vLLM",
      "contextOverflow",
      400,
      {
        error: {
          message: "You passed 1015 input tokens. However, the model's context length is only 1024 tokens.",
          code: 400,
        },
      },
    ],
    [
      "vLLM's older wrapper",
      "contextOverflow",
      400,
      { detail: "The prompt is longer than the maximum model length of 4096" },
    ],
    [
      "llama.cpp",
      "contextOverflow",
      400,
      {
        error: {
          code: 400,
          message: "request (1407 tokens) exceeds the available context size (256 tokens)",
          type: "exceed_context_size_error",
          n_ctx: 256,
        },
      },
    ],
    [
      "an older llama.cpp",
      "contextOverflow",
      500,
      { error: { code: 500, message: "context shift is disabled", type: "server_error" } },
    ],
    [
      "Ollama",
      "contextOverflow",
      400,
      { error: { message: "prompt too long; exceeded max context length by 40 tokens", type: "api_error" } },
    ],
    [
      "Ollama, unknown model",
      "badRequest",
      404,
      { error: { message: "model 'x' not found", type: "api_error" } },
    ],
    ["Ollama, plain text", "badRequest", 400, { error: "json: cannot unmarshal" }],
    [
      "LM Studio",
      "contextOverflow",
      400,
      { error: "The number of tokens to keep from the initial prompt is greater than the context length." },
    ],
    [
      "SGLang",
      "contextOverflow",
      400,
      { message: "The input (5000 tokens) is longer than the model's context length (4096 tokens)." },
    ],
    [
      "TGI",
      "contextOverflow",
      422,
      {
        error: "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096",
        error_type: "validation",
      },
    ],
    [
      "Groq",
      "contextOverflow",
      413,
      { error: { message: "Request too large for model on tokens per minute", code: "rate_limit_exceeded" } },
    ],
    ["Groq, no room", "overloaded", 498, { error: { message: "Flex tier capacity exceeded" } }],
    [
      "Mistral",
      "contextOverflow",
      400,
      { message: "Prompt contains 40000 tokens, too large for model with 32768 maximum context length" },
    ],
    ["Mistral, bad request", "badRequest", 422, { detail: [{ msg: "Field required" }] }],
    [
      "xAI",
      "contextOverflow",
      400,
      { error: "This model's maximum prompt length is 131072 but the request contains 537812 tokens." },
    ],
    [
      "xAI, spent",
      "quota",
      403,
      { error: "Your team has used all available credits or reached its monthly spending limit." },
    ],
    ["xAI, wrong key", "authentication", 400, { error: "Incorrect API key provided: xa***12." }],
    ["DeepSeek, spent", "quota", 402, { error: { message: "Insufficient Balance", type: "unknown_error" } }],
    [
      "OpenRouter, spent",
      "quota",
      402,
      { error: { code: 402, message: "This request requires more credits" } },
    ],
    [
      "OpenRouter, moderated",
      "refused",
      403,
      { error: { code: 403, message: "The model requires moderation and your input was flagged" } },
    ],
    [
      "OpenRouter, nobody there",
      "overloaded",
      503,
      { error: { code: 503, message: "No available model provider" } },
    ],
    [
      "Google",
      "contextOverflow",
      400,
      [
        {
          error: {
            code: 400,
            message: "The input token count (2) exceeds the maximum number of tokens allowed (1).",
            status: "INVALID_ARGUMENT",
          },
        },
      ],
    ],
    [
      "Google, wrong key",
      "authentication",
      400,
      {
        error: {
          code: 400,
          message: "API key not valid.",
          status: "INVALID_ARGUMENT",
          details: [{ reason: "API_KEY_INVALID" }],
        },
      },
    ],
    [
      "Google, too many",
      "rateLimited",
      429,
      { error: { code: 429, message: "You exceeded your current quota", status: "RESOURCE_EXHAUSTED" } },
    ],
    [
      "Azure",
      "refused",
      400,
      { error: { code: "content_filter", message: "triggering Azure OpenAI's content management policy" } },
    ],
    [
      "Bedrock's gateway",
      "rateLimited",
      429,
      { message: "Too many tokens, please wait before trying again." },
    ],
    [
      "Bedrock's gateway, too long",
      "contextOverflow",
      400,
      { message: "Input is too long for requested model." },
    ],
    ["a server that does not know the route", "badRequest", 501, {}],
  ])("%s: %s %i", async (_name, kind, status, body) => {
    expect(await failureOf(ollama, { status, body: JSON.stringify(body) })).toMatchObject({ kind, status });
  });

  test("the server's own sentence is told, in whatever field it stands", async () => {
    const told = async (body: unknown) =>
      await failureOf(ollama, { status: 400, body: JSON.stringify(body) });
    for (const body of [{ error: "so" }, { error: { message: "so" } }, { message: "so" }, { detail: "so" }]) {
      expect(await told(body)).toMatchObject({ message: "so" });
    }
  });

  test.each<readonly [ModelFailureKind, unknown]>([
    ["network", { error: { code: 502, message: "Provider disconnected" } }],
    ["rateLimited", { error: { code: "429", message: "slow down" } }],
    ["contextOverflow", { error: { code: 400, message: "too long", type: "exceed_context_size_error" } }],
    ["overloaded", { error: { message: "gone", type: "server_error" } }],
    ["contextOverflow", { error: "Context size has been exceeded." }],
    ["network", { unexpected: true }],
  ])("%s inside the stream: %j", async (kind, data) => {
    expect(await failureOf(ollama, { body: `data: ${JSON.stringify(data)}\n\n` })).toMatchObject({ kind });
  });
});

describe("a proxy's page instead of an answer", () => {
  test.each<readonly [ModelFailureKind, number]>([
    ["network", 502],
    ["overloaded", 503],
    ["timeout", 504],
    ["network", 520],
    ["timeout", 524],
    ["authentication", 403],
    ["contextOverflow", 413],
    ["timeout", 408],
  ])("%s: %i", async (kind, status) => {
    const body = `<html><head><title>${status} from nginx</title></head><body>${"x".repeat(5000)}</body></html>`;
    for (const id of [anthropic, openai, ollama]) {
      expect(await failureOf(id, { status, body })).toEqual({
        kind,
        status,
        message: `a page instead of an answer: ${status} from nginx`,
      });
    }
  });

  test("that wants a password, which `fetch` does not let through as an answer", async () => {
    expect(await failureOf(ollama, { status: 407, body: "" })).toMatchObject({ kind: "network" });
  });

  test("with status 200", async () => {
    const page: Play = {
      headers: { "content-type": "text/html" },
      body: "<html><title>Log in</title></html>",
    };
    for (const id of [anthropic, openai, ollama]) {
      expect(await failureOf(id, page)).toMatchObject({ kind: "network" });
    }
  });
});
