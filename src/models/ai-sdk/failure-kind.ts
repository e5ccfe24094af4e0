import type { ModelFailureKind } from "../../log/entry.ts";

/** What is known of a failure, in whatever way it came. */
export interface FailureFacts {
  /** The provider's own sentence. */
  readonly message: string;
  readonly status?: number | undefined;
  /** The provider's own words for the error, such as "insufficient_quota"; in lower case. */
  readonly codes: string;
  readonly isNetwork?: boolean;
  readonly isTimeout?: boolean;
  readonly isConfiguration?: boolean;
}

/**
 * One class for every failure. What the provider says counts before its status, because many errors share a status: a prompt
 * that is too long comes as 400, 413, 429 or 500, an empty account as 400, 402, 403 or 429.
 * @pure
 */
export function kindOf(facts: FailureFacts): ModelFailureKind {
  const { message, codes, status } = facts;
  if (facts.isTimeout) return "timeout";
  if (facts.isNetwork) return "network";
  const said = WORDS.find(({ inCodes, inMessage }) => inCodes?.test(codes) || inMessage?.test(message));
  if (said !== undefined) return said.kind;
  const byCode = CODES.find(([pattern]) => pattern.test(codes))?.[1];
  if (status === undefined) return byCode ?? (facts.isConfiguration ? "badRequest" : "unknown");
  // 500 is what is made up for an error that came inside a stream.
  return (status === 500 ? byCode : undefined) ?? kindOfStatus(status) ?? byCode ?? "unknown";
}

interface Words {
  readonly kind: ModelFailureKind;
  readonly inCodes?: RegExp;
  readonly inMessage?: RegExp;
}

const WORDS: readonly Words[] = [
  {
    kind: "contextOverflow",
    inCodes: /context_length_exceeded|exceed_context_size|model_context_window_exceeded|request_too_large/,
    inMessage: oneOf(
      /prompt is too long/, // Anthropic
      /exceeds? context limit/, // Anthropic: input and max_tokens together
      /input is too long/, // Bedrock
      /input token count.*exceeds|prompt token count.*exceeds/, // Google, GitHub
      /maximum context length|context length is only/, // OpenAI, OpenRouter, DeepSeek, Mistral; vLLM
      /maximum prompt length|prompt exceeds max length/, // xAI, Z.ai
      /reduce the length of the (?:input|messages|prompt)/, // OpenAI, Groq, vLLM
      /request too large for/, // one request that is above the tokens of a minute: waiting does not help
      /longer than the (?:model's context length|maximum model length)/, // SGLang, vLLM
      /exceed(?:s|ed)? (?:the )?(?:available |model's |max(?:imum)? )?context/, // llama.cpp, Ollama, LM Studio
      /context (?:size|length|window) (?:has been exceeded|exceed(?:s|ed))|context shift is disabled/, // llama.cpp, MiniMax
      /(?:greater than|reached) (?:the )?context length|context length of only|context the overflows/, // LM Studio
      /exceeded model token limit|too many tokens: /, // Moonshot, Cohere
      /inputs.*tokens.*max_new_tokens.*must be/, // TGI
    ),
  },
  {
    kind: "quota",
    inCodes: /insufficient_quota|billing|insufficient_(?:balance|credits|funds)/,
    inMessage: oneOf(
      /credit balance is too low|specified api usage limits/, // Anthropic
      /insufficient (?:balance|credits|funds)|requires more credits/, // DeepSeek, OpenRouter
      /(?:used|run out of|exhausted) (?:all )?(?:available )?credits|spending limit/, // xAI
    ),
  },
  {
    kind: "refused",
    inCodes: /content_policy|content_filter|invalid_prompt|safety_violation|moderation/,
    inMessage: oneOf(
      /content filtering policy|content management policy/, // Anthropic, Azure
      /requires moderation|input was flagged|flagged as (?:potentially )?violating/, // OpenRouter, OpenAI
    ),
  },
  {
    kind: "authentication",
    // Google and xAI answer a wrong key with 400.
    inCodes: /invalid_api_key|api_key_invalid/,
    inMessage: /api key not valid|(?:incorrect|invalid) api key/i,
  },
];

/** For errors without a status: those that come inside a stream that had begun well. */
const CODES: readonly (readonly [RegExp, ModelFailureKind])[] = [
  [/overloaded|server_error|api_error|unavailable|internal/, "overloaded"],
  [/rate_?limit|resource_exhausted|throttl|too_?many_?requests/, "rateLimited"],
  [/authentication|permission|unauthenticated/, "authentication"],
  [/timeout|deadline_exceeded/, "timeout"],
  [/invalid_request|invalid_argument|not_found|bad_?request|validation/, "badRequest"],
];

function kindOfStatus(status: number): ModelFailureKind | undefined {
  const exact = STATUSES.get(status);
  if (exact !== undefined) return exact;
  // 520 to 530 are Cloudflare's, for a server that it cannot reach.
  if (status >= 520 && status <= 530) return "network";
  if (status >= 500) return "overloaded";
  return status >= 400 ? "badRequest" : undefined;
}

const STATUSES: ReadonlyMap<number, ModelFailureKind> = new Map([
  [401, "authentication"],
  [402, "quota"],
  [403, "authentication"],
  [408, "timeout"],
  // Another request is in the way, or a model behind Bedrock or Groq has no room: asking again helps.
  [409, "overloaded"],
  [413, "contextOverflow"],
  [424, "overloaded"],
  [429, "rateLimited"],
  [498, "overloaded"],
  [501, "badRequest"],
  [502, "network"],
  [504, "timeout"],
  [524, "timeout"],
  [529, "overloaded"],
]);

function oneOf(...patterns: readonly RegExp[]): RegExp {
  return new RegExp(patterns.map(({ source }) => source).join("|"), "i");
}
