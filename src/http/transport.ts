import { setTimeout } from "node:timers/promises";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { AppError, type ErrorCode, errorMessage, isAppError } from "../lib/errors.ts";
import { isRecord } from "../lib/json.ts";
import { statusOf, type WireError } from "./errors.ts";

/** How the client reaches a server: requests whose failures are `AppError`s, and streams of events. */
export interface Transport {
  /** Without a slash at the end. */
  readonly url: string;
  readonly patienceMs: number;
  /**
   * Sends a request, again if the connection fails and `repeatable` says that this does no harm. Resolves with an answer
   * of status 2xx. @throws AppError as the server said it, or `unavailable` when it cannot be reached.
   */
  send(method: string, path: string, options?: SendOptions): Promise<Response>;
  /** The data of each event of a stream. @throws AppError `unavailable` when the stream is cut or silent for a minute. */
  events(response: Response): AsyncGenerator<unknown>;
  /** Waits before the given retry, 1 being the first. Rejects when the signal is aborted. */
  pause(retry: number, signal?: AbortSignal): Promise<void>;
}

export interface TransportOptions {
  /** For example "http://127.0.0.1:8080". */
  readonly url: string;
  readonly token?: string;
  readonly fetch?: typeof fetch;
  /** Before the first retry; doubles with each, up to 10 seconds. Default 250 ms. */
  readonly retryMs?: number;
  /** How long a stream tries to get back to a server that does not answer. Default 60 seconds; Infinity: for ever. */
  readonly patienceMs?: number;
}

export interface SendOptions {
  readonly json?: unknown;
  readonly body?: Uint8Array | ReadableStream<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Doing it twice is the same as doing it once. */
  readonly repeatable?: boolean;
}

const TRIES = 3;
/** The server sends a heartbeat every 15 seconds. */
const SILENCE_MS = 60_000;
const LONGEST_PAUSE_MS = 10_000;

export function createTransport(options: TransportOptions): Transport {
  const { token, retryMs = 250, patienceMs = 60_000 } = options;
  const base = options.url.replace(/\/+$/, "");
  const request = options.fetch ?? fetch;

  async function once(
    method: string,
    path: string,
    { json, body, headers, signal }: SendOptions,
  ): Promise<Response> {
    const content = json === undefined ? body : JSON.stringify(json);
    const init = {
      method,
      headers: {
        accept: "application/json",
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(content === undefined ? {} : { body: content, duplex: "half" as const }),
      ...(signal === undefined ? {} : { signal }),
    };
    try {
      return await request(`${base}${path}`, init);
    } catch (cause) {
      if (signal?.aborted) throw new AppError("cancelled", "the request was given up", { cause });
      throw unreachable(base, cause);
    }
  }

  const pause = (retry: number, signal?: AbortSignal) =>
    setTimeout(Math.min(LONGEST_PAUSE_MS, retryMs * 2 ** (retry - 1)), undefined, { signal });

  return {
    url: base,
    patienceMs,
    pause,
    events: readEvents,
    async send(method, path, sendOptions = {}) {
      for (let tried = 1; ; tried++) {
        try {
          const response = await once(method, path, sendOptions);
          if (!response.ok) throw await errorOf(response);
          return response;
        } catch (error) {
          const again = sendOptions.repeatable === true && tried < TRIES && isConnectionLoss(error);
          if (!again) throw error;
          await pause(tried, sendOptions.signal);
        }
      }
    },
  };
}

/** Whether the same request may fare better in a moment: nobody answered, the answer was cut, or the server is closing. */
export function isConnectionLoss(error: unknown): boolean {
  if (!isAppError(error, "unavailable")) return false;
  const wireCode = error.details?.wireCode;
  return wireCode === undefined || wireCode === "unavailable";
}

async function* readEvents(response: Response): AsyncGenerator<unknown> {
  const received: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => received.push(event) });
  const decoder = new TextDecoder();
  for await (const chunk of untilSilent(response)) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    for (const { data } of received.splice(0)) yield JSON.parse(data);
  }
}

/** The bytes of a stream that sends something at least once a minute; one that does not has lost its connection. */
async function* untilSilent(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  let silent = false;
  const timer = globalThis.setTimeout(() => {
    silent = true;
    reader.cancel().catch(() => {});
  }, SILENCE_MS);
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) break;
      yield value;
      timer.refresh();
    }
    if (silent) throw cut(new Error(`nothing came for ${SILENCE_MS} ms`));
  } catch (cause) {
    throw cut(cause);
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
}

function cut(cause: unknown): AppError {
  return new AppError("unavailable", `the connection to the server was cut: ${errorMessage(cause)}`, {
    cause,
  });
}

function unreachable(base: string, cause: unknown): AppError {
  const reason = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
  return new AppError("unavailable", `cannot reach a server at ${base}: ${errorMessage(reason)}`, {
    hint: "Start one with: holdfast start",
    cause,
  });
}

/** What the server said, as the error that it was there. */
async function errorOf(response: Response): Promise<AppError> {
  const body: unknown = await response.json().catch(() => undefined);
  if (isWireError(body)) return fromWireError(body);
  return new AppError("unsupported", `the answer has status ${response.status} and is not Holdfast's`, {
    hint: "Is this the address of a Holdfast server?",
    details: { status: response.status },
  });
}

export function isWireError(body: unknown): body is WireError {
  return isRecord(body) && isRecord(body.error) && typeof body.error.code === "string";
}

export function fromWireError({ error: { code, message, hint, details } }: WireError): AppError {
  return new AppError(localCode(code), message, {
    ...(hint === undefined ? {} : { hint }),
    details: { ...details, wireCode: code },
  });
}

function localCode(code: string): ErrorCode {
  if (code === "method_not_allowed" || code === "unsupported_media_type") return "unsupported";
  if (code === "internal" || code === "run_failed" || !Object.hasOwn(statusOf, code)) return "unavailable";
  return code as ErrorCode;
}
