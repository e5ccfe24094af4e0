import type {
  JSONSchema7,
  LanguageModelV4CallOptions,
  LanguageModelV4FunctionTool,
  LanguageModelV4Message,
  SharedV4ProviderOptions,
} from "@ai-sdk/provider";
import type { Message } from "../../log/content.ts";
import type { CachePlan, ModelRequest, ReasoningEffort, ToolSpec } from "../model.ts";
import { cacheControl, placeMarks } from "./cache-marks.ts";
import {
  bindsThoughtsToPrefix,
  type Dialect,
  takesUserAfterResults,
  wantsThoughtsBeforeCalls,
} from "./dialect.ts";
import { createMessageMapper, type MapMessage } from "./transcript.ts";

export type MapRequest = (request: ModelRequest) => LanguageModelV4CallOptions;

/** The mapping of requests for one dialect. Keep it: it remembers the messages and tools that it has mapped. */
export function createRequestMapper(dialect: Dialect): MapRequest {
  const mapMessage = createMessageMapper(dialect);
  const mapTools = createToolMapper(dialect);

  return (request) => {
    const { maxOutputTokens } = request;
    const written = writePrompt(request, mapMessage, dialect);
    const reasoning = mayThink(written.prompt, dialect) ? request.reasoning : undefined;
    const { prompt, tools } = withCachePlan(written, mapTools(request.tools), request.cache, dialect);
    const providerOptions = optionsFor(request, dialect);
    return {
      prompt,
      ...(tools.length === 0 ? {} : { tools }),
      ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
      ...(reasoning === undefined ? {} : { reasoning }),
      ...(providerOptions === undefined ? {} : { providerOptions }),
    };
  };
}

interface WrittenPrompt {
  readonly prompt: LanguageModelV4Message[];
  /** See `placeMarks`. */
  readonly ends: readonly number[];
}

function writePrompt(
  { system, messages }: ModelRequest,
  mapMessage: MapMessage,
  dialect: Dialect,
): WrittenPrompt {
  const prompt: LanguageModelV4Message[] = system === "" ? [] : [{ role: "system", content: system }];
  const ends = messages.map((message: Message) => {
    for (const next of mapMessage(message)) {
      const isBehindResults = next.role === "user" && prompt.at(-1)?.role === "tool";
      if (isBehindResults && !takesUserAfterResults(dialect)) prompt.push(BRIDGE);
      prompt.push(next);
    }
    return prompt.length - 1;
  });
  return { prompt, ends };
}

/** Stands between results and a user where they may not meet. */
const BRIDGE: LanguageModelV4Message = {
  role: "assistant",
  content: [{ type: "text", text: "I have the results." }],
};

/** Not while the calls of another model are being answered, whose thoughts are not here to be sent. */
function mayThink(prompt: readonly LanguageModelV4Message[], dialect: Dialect): boolean {
  if (!wantsThoughtsBeforeCalls(dialect)) return true;
  const index = prompt.findLastIndex(({ role }) => role === "assistant");
  const answer = prompt[index];
  const isBeingAnswered = prompt[index + 1]?.role === "tool";
  return !isBeingAnswered || (answer?.role === "assistant" && answer.content[0]?.type === "reasoning");
}

/**
 * Only Anthropic is told where to cache. OpenAI and the servers that speak like it find the longest known prefix by
 * themselves, and many of them refuse fields that they do not know.
 */
function withCachePlan(
  { prompt, ends }: WrittenPrompt,
  tools: LanguageModelV4FunctionTool[],
  plan: CachePlan | undefined,
  { protocol }: Dialect,
): { prompt: LanguageModelV4Message[]; tools: LanguageModelV4FunctionTool[] } {
  if (plan === undefined || protocol !== "anthropic") return { prompt, tools };
  const marks = placeMarks(plan, prompt, ends);
  const mark = cacheControl(plan);
  const marked = [...prompt];
  for (const index of marks.messages) {
    const message = prompt[index];
    if (message !== undefined) marked[index] = { ...message, providerOptions: mark };
  }
  return {
    prompt: marked,
    tools: marks.tools
      ? tools.map((tool, index) => (index === tools.length - 1 ? { ...tool, providerOptions: mark } : tool))
      : tools,
  };
}

function optionsFor(
  { cache, reasoning }: ModelRequest,
  dialect: Dialect,
): SharedV4ProviderOptions | undefined {
  if (dialect.protocol === "openai") return openAiOptions(cache, reasoning);
  return bindsThoughtsToPrefix(dialect) ? DROP_STALE_THOUGHTS : undefined;
}

/**
 * `store: false` keeps the provider from storing the conversation; reasoning comes and goes encrypted instead. The cache key
 * leads the requests of a session to the same machine.
 */
function openAiOptions(
  cache: CachePlan | undefined,
  reasoning: ReasoningEffort | undefined,
): SharedV4ProviderOptions {
  const thinks = reasoning !== undefined && reasoning !== "none";
  return {
    openai: {
      store: false,
      ...(cache === undefined ? {} : { promptCacheKey: cache.key }),
      ...(thinks ? { reasoningSummary: "auto" } : {}),
    },
  };
}

/** Such models always think adaptively: saying so changes nothing else. */
const DROP_STALE_THOUGHTS: SharedV4ProviderOptions = {
  anthropic: { thinking: { type: "adaptive", blockBinding: { prefixMismatchBehavior: "drop_block" } } },
};

function createToolMapper(dialect: Dialect) {
  const mapped = new WeakMap<readonly ToolSpec[], LanguageModelV4FunctionTool[]>();
  return (tools: readonly ToolSpec[]): LanguageModelV4FunctionTool[] => {
    let known = mapped.get(tools);
    if (known === undefined) {
      known = tools.map((tool) => mapTool(tool, dialect));
      mapped.set(tools, known);
    }
    return known;
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
