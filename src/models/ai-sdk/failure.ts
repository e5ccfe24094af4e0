import {
  AISDKError,
  APICallError,
  EmptyResponseBodyError,
  InvalidResponseDataError,
  JSONParseError,
  LoadAPIKeyError,
  TypeValidationError,
} from "@ai-sdk/provider";
import { systemClock } from "../../lib/clock.ts";
import { errorMessage, isAppError, systemErrorCode } from "../../lib/errors.ts";
import { isRecord } from "../../lib/json.ts";
import type { ModelFailure } from "../../log/entry.ts";
import { type FailureFacts, kindOf } from "./failure-kind.ts";
import { type RetryHints, readRetryAfter } from "./retry-after.ts";

/** Whatever was thrown by a provider package, or came as an error in its stream. Never holds a key. */
export function toFailure(error: unknown): ModelFailure {
  const facts = factsOf(error);
  const retryAfterMs = readRetryAfter(facts, systemClock.now());
  return {
    kind: kindOf(facts),
    message: tidy(facts.message),
    ...(facts.status === undefined ? {} : { status: facts.status }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

type Facts = FailureFacts & RetryHints;

function factsOf(error: unknown): Facts {
  if (APICallError.isInstance(error)) return factsOfCall(error);
  if (isAppError(error)) {
    const hint = error.hint === undefined ? "" : `. ${error.hint}`;
    return { message: error.message + hint, codes: "", isConfiguration: true };
  }
  if (LoadAPIKeyError.isInstance(error)) return { message: error.message, codes: "authentication" };
  if (isUnreadable(error)) return factsOfUnreadable(error);
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

/** Some servers send errors of another shape than their protocol's, which are then not read as errors. */
function factsOfUnreadable(error: Error): Facts {
  const value = TypeValidationError.isInstance(error) ? error.value : undefined;
  if (isRecord(value) && value.error !== undefined) return factsOfFrame(value);
  return { message: `the answer cannot be read: ${error.message}`, codes: "", isNetwork: true };
}

function factsOfCall(error: APICallError): Facts {
  const { statusCode: status, responseHeaders: headers, responseBody, cause } = error;
  if (status !== undefined && status >= 400) {
    const data = error.data ?? parse(responseBody);
    const message =
      sentenceOf(parse(responseBody)) ??
      titleOf(responseBody) ??
      (error.message || `the provider answered with status ${status}`);
    return { message, status, headers, data, codes: codesOf(data) };
  }
  const thrown = factsOfThrown(cause instanceof Error ? cause : error);
  return {
    ...thrown,
    // Without a status there was no answer at all, for whatever reason: a certificate, a proxy that wants a password.
    isNetwork: thrown.isNetwork || status === undefined,
    message: `${error.message.replace(/: *$/, "")}${codeSuffix(error.message, cause)}`,
  };
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
  return {
    message: sentenceOf(error) ?? errorMessage(error),
    status: statusOf(error),
    codes: codesOf(error),
    data: error,
  };
}

/** OpenRouter and llama.cpp write the status into the error's code. */
function statusOf(frame: Readonly<Record<string, unknown>>): number | undefined {
  const inner = isRecord(frame.error) ? frame.error : {};
  const candidates = [frame.statusCode, frame.code, inner.code].map(Number);
  return candidates.find((status) => Number.isInteger(status) && status >= 400 && status < 600);
}

const NETWORK_CODE = /^(?:E[A-Z]+|UND_ERR_\w+)$/;
const NETWORK_MESSAGE = /^(?:fetch failed|terminated|failed to fetch|network error)/i;
const TIMEOUT_CODES: ReadonlySet<string> = new Set([
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
]);

/** Providers put their codes into `type`, `code`, `status` and, for details, `reason`: at the top or in `error`. */
function codesOf(data: unknown, depth = 0): string {
  if (Array.isArray(data)) return data.map((item) => codesOf(item, depth)).join(" ");
  if (!isRecord(data) || depth > MAX_DEPTH) return "";
  const own = [data.type, data.code, data.status, data.reason].filter((item) => typeof item === "string");
  const inner = [data.error, data.response, data.details].map((item) => codesOf(item, depth + 1));
  return [...own, ...inner].join(" ").toLowerCase();
}

const MAX_DEPTH = 4;

/** The sentence for people: `error.message`, `error` itself, `message`, `detail`; the first that is there. */
function sentenceOf(data: unknown): string | undefined {
  const body = Array.isArray(data) ? data[0] : data;
  if (!isRecord(body)) return undefined;
  const { error, response, message, detail } = body;
  const inner = sentenceOf(error) ?? sentenceOf(response);
  const found = inner ?? [error, message, detail].find((text) => typeof text === "string" && text !== "");
  return typeof found === "string" ? found : undefined;
}

/** Of a page that a proxy sent instead of the provider's answer. */
function titleOf(body: string | undefined): string | undefined {
  const title = /<title[^>]*>([^<]*)<\/title>/i.exec(body ?? "")?.[1]?.trim();
  return title === undefined || title === "" ? undefined : `a page instead of an answer: ${title}`;
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

const MAX_MESSAGE = 1000;
const SECRET = /\b(?:sk-|AIza|gsk_|xai-|Bearer\s+)[\w.*-]{6,}/g;

function tidy(message: string): string {
  const clean = message.trim().replace(SECRET, "[secret]");
  return clean.length <= MAX_MESSAGE ? clean : `${clean.slice(0, MAX_MESSAGE)}…`;
}
