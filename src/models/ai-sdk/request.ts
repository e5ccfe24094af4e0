import type {
  JSONSchema7,
  LanguageModelV4CallOptions,
  LanguageModelV4FunctionTool,
  LanguageModelV4Message,
  SharedV4ProviderOptions,
} from "@ai-sdk/provider";
import { sha256 } from "../../lib/ids.ts";
import type { ModelRequest, ToolSpec } from "../model.ts";
import type { Dialect } from "./dialect.ts";
import { createMessageMapper } from "./transcript.ts";

export type MapRequest = (request: ModelRequest) => LanguageModelV4CallOptions;

/** The mapping of requests for one dialect. Keep it: it remembers the messages that it has mapped. */
export function createRequestMapper(dialect: Dialect): MapRequest {
  const mapMessage = createMessageMapper(dialect);
  const mapTools = createToolMapper(dialect);

  return (request) => {
    const { system, tools, messages, maxOutputTokens, reasoning } = request;
    const transcript = messages.map(mapMessage);
    const prompt: LanguageModelV4Message[] = system === "" ? [] : [{ role: "system", content: system }];
    prompt.push(...transcript.flat());
    const options: LanguageModelV4CallOptions = {
      prompt: dialect.protocol === "anthropic" ? withCacheBreakpoints(prompt) : prompt,
      ...(tools.length === 0 ? {} : { tools: mapTools(tools, system === "") }),
      ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
      ...(reasoning === undefined ? {} : { reasoning }),
    };
    return dialect.protocol === "openai" ? { ...options, providerOptions: openAiOptions(request) } : options;
  };
}

/** Everything up to here is to be cached. The provider's default time to live: five minutes, renewed by each use. */
const CACHE_BREAKPOINT: SharedV4ProviderOptions = { anthropic: { cacheControl: { type: "ephemeral" } } };

/**
 * Three of the four breakpoints that Anthropic allows: behind the system prompt (tools stand before it), behind the last
 * message, and where the last message of the previous request stood. Without the third one, a turn with more than twenty
 * blocks would not find what the previous request cached.
 */
function withCacheBreakpoints(prompt: readonly LanguageModelV4Message[]): LanguageModelV4Message[] {
  const lastAnswer = prompt.findLastIndex((message) => message.role === "assistant");
  const marked = new Set([prompt.length - 1, lastAnswer - 1]);
  if (prompt[0]?.role === "system") marked.add(0);
  return prompt.map((message, index) =>
    marked.has(index) ? { ...message, providerOptions: CACHE_BREAKPOINT } : message,
  );
}

/**
 * `store: false` keeps the provider from storing the conversation; reasoning comes and goes encrypted instead. The cache key
 * leads the requests of a session to the same machine.
 */
function openAiOptions({ sessionId, reasoning }: ModelRequest): SharedV4ProviderOptions {
  const promptCacheKey = sessionId.length <= MAX_CACHE_KEY ? sessionId : sha256(sessionId, MAX_CACHE_KEY);
  const thinks = reasoning !== undefined && reasoning !== "none";
  return { openai: { store: false, promptCacheKey, ...(thinks ? { reasoningSummary: "auto" } : {}) } };
}

const MAX_CACHE_KEY = 64;

function createToolMapper(dialect: Dialect) {
  const mapped = new WeakMap<readonly ToolSpec[], LanguageModelV4FunctionTool[]>();
  return (tools: readonly ToolSpec[], withoutSystem: boolean): LanguageModelV4FunctionTool[] => {
    let known = mapped.get(tools);
    if (known === undefined) {
      known = tools.map((tool) => mapTool(tool, dialect));
      mapped.set(tools, known);
    }
    return withoutSystem && dialect.protocol === "anthropic" ? withLastCached(known) : known;
  };
}

function mapTool(
  { name, description, inputSchema }: ToolSpec,
  dialect: Dialect,
): LanguageModelV4FunctionTool {
  return {
    type: "function",
    name,
    description,
    inputSchema: inputSchema as JSONSchema7,
    // The Responses API is strict unless told otherwise, and then makes every optional field required.
    ...(dialect.protocol === "openai" ? { strict: false } : {}),
  };
}

/** Without a system prompt, the end of the tools is the end of what never changes. */
function withLastCached(tools: readonly LanguageModelV4FunctionTool[]): LanguageModelV4FunctionTool[] {
  return tools.map((tool, index) =>
    index === tools.length - 1 ? { ...tool, providerOptions: CACHE_BREAKPOINT } : tool,
  );
}
