import { isRecord } from "../../lib/json.ts";

export interface RetryHints {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly status?: number | undefined;
  /** The parsed body of the error. */
  readonly data?: unknown;
  readonly message: string;
}

/**
 * How long the provider asks to be left alone, in milliseconds; undefined when it does not say. In order of trust: what it
 * says about this request (`retry-after-ms`, `retry-after`, Google's `RetryInfo`), when the limit that is used up is filled
 * again, and the sentence "Please try again in 20s", which is all there is when the error came inside a stream.
 * @param now milliseconds since 1970, for dates in an answer that does not say what time it is.
 * @pure
 */
export function readRetryAfter(
  { headers = {}, status, data, message }: RetryHints,
  now: number,
): number | undefined {
  const answeredAt = timeOf(headers.date) ?? now;
  return (
    readMilliseconds(headers["retry-after-ms"]) ??
    readDelay(headers["retry-after"], answeredAt) ??
    readRetryInfo(data) ??
    // These headers come with every answer; only here do they say why.
    (status === 429 ? readReset(headers, answeredAt) : undefined) ??
    parseDuration(/try again in ([\d.]+\s?(?:ms|[smh])[\d.msh]*)(?![a-z])/i.exec(message)?.[1])
  );
}

function readMilliseconds(text: string | undefined): number | undefined {
  const milliseconds = Number.parseFloat(text ?? "");
  return milliseconds >= 0 ? Math.round(milliseconds) : undefined;
}

/** Seconds, or a date, which is read against the answer's own clock. */
function readDelay(text: string | undefined, answeredAt: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+(?:\.\d+)?$/.test(text)) return Math.round(Number.parseFloat(text) * 1000);
  const until = timeOf(text);
  return until === undefined ? undefined : Math.max(0, until - answeredAt);
}

/** `{ error: { details: [{ "@type": "…/google.rpc.RetryInfo", retryDelay: "34.07s" }] } }`, at times in an array. */
function readRetryInfo(data: unknown): number | undefined {
  const body = Array.isArray(data) ? data[0] : data;
  const error = isRecord(body) && isRecord(body.error) ? body.error : undefined;
  const details: readonly unknown[] = Array.isArray(error?.details) ? error.details : [];
  for (const detail of details) {
    if (isRecord(detail) && typeof detail.retryDelay === "string") return parseDuration(detail.retryDelay);
  }
  return undefined;
}

/** Of the limits that a provider tells of, the one that is used up decides, and of several the one that is filled last. */
function readReset(headers: Readonly<Record<string, string>>, answeredAt: number): number | undefined {
  const waits: number[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (!RESET.test(name)) continue;
    const remaining = headers[name.replace("reset", "remaining")];
    if (remaining !== undefined && Number(remaining) > 0) continue;
    const wait = readResetTime(value, answeredAt);
    if (wait !== undefined) waits.push(wait);
  }
  return waits.length === 0 ? undefined : Math.max(...waits);
}

/** Anthropic (`anthropic-ratelimit-tokens-reset`), OpenAI, Groq, Azure (`x-ratelimit-reset-tokens`), OpenRouter, and the IETF's draft. */
const RESET = /^(?:anthropic-|x-)?ratelimit-(?:[a-z0-9-]+-)?reset(?:-[a-z0-9_-]+)?$/;

/** A date, a duration such as "6m0s", seconds, or a moment in seconds or milliseconds since 1970. */
function readResetTime(text: string, answeredAt: number): number | undefined {
  const wait = parseDuration(text);
  if (wait !== undefined) return wait;
  if (!/^\d+(?:\.\d+)?$/.test(text)) return readDelay(text, answeredAt);
  const number = Number.parseFloat(text);
  if (number < FIRST_MOMENT) return Math.round(number * 1000);
  return Math.max(0, (number < FIRST_MOMENT * 1000 ? number * 1000 : number) - answeredAt);
}

/** From here on a number is a moment and not a wait: a day of 2001 in seconds, and times a thousand in milliseconds. */
const FIRST_MOMENT = 1_000_000_000;

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Go's notation: "1h2m3.5s", "120ms". Undefined for anything else. */
function parseDuration(text: string | undefined): number | undefined {
  const compact = text?.replace(/\s|\.$/g, "") ?? "";
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[smhd]))+$/.test(compact)) return undefined;
  let total = 0;
  for (const [, amount, unit] of compact.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)) {
    total += Number(amount) * UNITS[unit as keyof typeof UNITS];
  }
  return Math.round(total);
}

function timeOf(text: string | undefined): number | undefined {
  const time = Date.parse(text ?? "");
  return Number.isNaN(time) ? undefined : time;
}
