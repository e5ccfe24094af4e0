import {
  AISDKError,
  APICallError,
  EmptyResponseBodyError,
  InvalidResponseDataError,
  JSONParseError,
  LoadAPIKeyError,
  TypeValidationError,
} from "@ai-sdk/provider";
import { errorMessage, isAppError, systemErrorCode } from "../../lib/errors.ts";
import { isRecord } from "../../lib/json.ts";
import type { ModelFailure, ModelFailureKind } from "../../log/entry.ts";

/** Whatever was thrown by a provider package, or came as an error in its stream. Never holds a key. */
export function toFailure(error: unknown): ModelFailure {
  const facts = factsOf(error);
  const retryAfterMs = readRetryAfter(facts.headers);
  return {
    kind: kindOf(facts),
    message: tidy(facts.message),
    ...(facts.status === undefined ? {} : { status: facts.status }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

interface Facts {
  readonly message: string;
  readonly status?: number | undefined;
  /** The provider's own words for the error, such as "insufficient_quota"; in lower case. */
  readonly codes: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly isNetwork?: boolean;
  readonly isTimeout?: boolean;
  readonly isConfiguration?: boolean;
}

function factsOf(error: unknown): Facts {
  if (APICallError.isInstance(error)) return factsOfCall(error);
  if (isAppError(error)) {
    const hint = error.hint === undefined ? "" : `. ${error.hint}`;
    return { message: error.message + hint, codes: "", isConfiguration: true };
  }
  if (LoadAPIKeyError.isInstance(error)) return { message: error.message, codes: "authentication" };
  if (isUnreadable(error))
    return { message: `the answer cannot be read: ${error.message}`, codes: "", isNetwork: true };
  if (AISDKError.isInstance(error)) return { message: error.message, codes: "", isConfiguration: true };
  if (error instanceof Error) return factsOfThrown(error);
  return factsOfFrame(error);
}

/** What came is not what the protocol says: cut or changed on its way. Asking again usually helps. */
function isUnreadable(error: unknown): error is Error {
  return (
    JSONParseError.isInstance(error) ||
    TypeValidationError.isInstance(error) ||
    InvalidResponseDataError.isInstance(error) ||
    EmptyResponseBodyError.isInstance(error)
  );
}

function factsOfCall(error: APICallError): Facts {
  const { statusCode: status, responseHeaders: headers, data, cause } = error;
  if (status !== undefined && status >= 400) {
    const message = error.message || `the provider answered with status ${status}`;
    return { message, status, headers, codes: codesOf(data ?? parse(error.responseBody)) };
  }
  const thrown = factsOfThrown(cause instanceof Error ? cause : error);
  return { ...thrown, message: `${error.message.replace(/: *$/, "")}${codeSuffix(error.message, cause)}` };
}

/** Errors of `fetch` and of sockets: what matters stands in the causes. */
function factsOfThrown(error: Error): Facts {
  const codes = causesOf(error).map(systemErrorCode);
  const isTimeout = codes.some((code) => code !== undefined && TIMEOUT_CODES.has(code));
  const isNetwork =
    codes.some((code) => code !== undefined && NETWORK_CODE.test(code)) ||
    (error instanceof TypeError && NETWORK_MESSAGE.test(error.message));
  return {
    message: errorMessage(error) + codeSuffix(errorMessage(error), error),
    codes: "",
    isTimeout,
    isNetwork,
  };
}

/** Errors that came as data in a stream which had begun well. */
function factsOfFrame(error: unknown): Facts {
  if (!isRecord(error)) return { message: errorMessage(error), codes: "" };
  const inner = isRecord(error.error) ? error.error : error;
  const message = typeof inner.message === "string" ? inner.message : errorMessage(error);
  const status = typeof error.statusCode === "number" ? error.statusCode : undefined;
  return { message, status, codes: codesOf(error) };
}

function kindOf({ status, codes, message, ...facts }: Facts): ModelFailureKind {
  if (facts.isTimeout) return "timeout";
  if (facts.isNetwork) return "network";
  if (CONTEXT_OVERFLOW.test(codes) || CONTEXT_OVERFLOW.test(message)) return "contextOverflow";
  if (QUOTA.test(codes) || QUOTA.test(message)) return "quota";
  if (REFUSED.test(codes)) return "refused";
  const byCode = CODES.find(([pattern]) => pattern.test(codes));
  if (status === undefined) return byCode?.[1] ?? (facts.isConfiguration ? "badRequest" : "unknown");
  return kindOfStatus(status) ?? byCode?.[1] ?? "unknown";
}

function kindOfStatus(status: number): ModelFailureKind | undefined {
  if (status === 401 || status === 403) return "authentication";
  if (status === 402) return "quota";
  if (status === 408) return "timeout";
  if (status === 413) return "contextOverflow";
  if (status === 429) return "rateLimited";
  if (status === 502 || status === 504) return "network";
  if (status >= 500) return "overloaded";
  if (status >= 400) return "badRequest";
  return undefined;
}

const CODES: readonly (readonly [RegExp, ModelFailureKind])[] = [
  [/overloaded|server_error|api_error|unavailable/, "overloaded"],
  [/rate_limit/, "rateLimited"],
  [/authentication|permission|invalid_api_key/, "authentication"],
  [/timeout/, "timeout"],
  [/invalid_request|not_found/, "badRequest"],
];

/** The words of Anthropic, OpenAI, Google, Bedrock, vLLM, llama.cpp and others for "the prompt is too long". */
const CONTEXT_OVERFLOW =
  /context_length_exceeded|prompt is too long|exceeds? (?:the )?(?:available |model's |maximum )?context|maximum context length|maximum prompt length|input token count.*exceeds|input is too long|exceed_context_size/i;
const QUOTA = /insufficient_quota|credit balance is too low|billing_hard_limit|billing_error/i;
const REFUSED = /content_policy|content_filter|invalid_prompt|safety_violation/;
const NETWORK_CODE = /^(?:E[A-Z]+|UND_ERR_\w+)$/;
const NETWORK_MESSAGE = /^(?:fetch failed|terminated|failed to fetch|network error)/i;
const TIMEOUT_CODES: ReadonlySet<string> = new Set([
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
]);

/** Providers put their codes into `type`, `code` and `status`, at the top or in `error`. */
function codesOf(data: unknown): string {
  if (!isRecord(data)) return "";
  const own = [data.type, data.code, data.status].filter((item) => typeof item === "string").join(" ");
  return `${own} ${codesOf(data.error ?? (isRecord(data.response) ? data.response.error : undefined))}`.toLowerCase();
}

function parse(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function causesOf(error: unknown): readonly unknown[] {
  const chain: unknown[] = [];
  for (let next = error; next instanceof Error && chain.length < 5; next = next.cause) {
    chain.push(next);
    if (next instanceof AggregateError) chain.push(...next.errors);
  }
  return chain;
}

/** " (ECONNREFUSED)", unless the text says it already. */
function codeSuffix(text: string, error: unknown): string {
  const code = causesOf(error)
    .map(systemErrorCode)
    .find((found) => found !== undefined);
  return code === undefined || text.includes(code) ? "" : ` (${code})`;
}

/** `retry-after` is seconds or a date. Dates are read against the answer's own clock. */
function readRetryAfter(headers: Readonly<Record<string, string>> | undefined): number | undefined {
  const precise = Number.parseFloat(headers?.["retry-after-ms"] ?? "");
  if (precise >= 0) return Math.round(precise);
  const text = headers?.["retry-after"];
  if (text === undefined) return undefined;
  if (/^\d+(?:\.\d+)?$/.test(text)) return Math.round(Number.parseFloat(text) * 1000);
  const wait = Date.parse(text) - Date.parse(headers?.date ?? "");
  return wait >= 0 ? wait : undefined;
}

const MAX_MESSAGE = 1000;
const SECRET = /\b(?:sk-|AIza|gsk_|xai-|Bearer\s+)[\w.*-]{6,}/g;

function tidy(message: string): string {
  const clean = message.trim().replace(SECRET, "[secret]");
  return clean.length <= MAX_MESSAGE ? clean : `${clean.slice(0, MAX_MESSAGE)}…`;
}
