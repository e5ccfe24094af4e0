import type { Context } from "hono";
import { accepts } from "hono/accepts";
import { AppError } from "../lib/errors.ts";

/** Request headers that mean something to the API, checked, and described for the OpenAPI document. */
export interface HeaderSpec {
  readonly name: string;
  readonly description: string;
}

export const idempotencyKeyHeader: HeaderSpec = {
  name: "Idempotency-Key",
  description:
    "1 to 255 visible ASCII characters. The same request with the same key is done once; its repetition is answered with the header `Idempotency-Replayed: true`. With other content: 409.",
};

export const sessionHeader: HeaderSpec = {
  name: "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id",
  description:
    "The session to continue, or the id for a new one. Default: a new session. Returned in the same header.",
};

export const lastEventIdHeader: HeaderSpec = {
  name: "Last-Event-ID",
  description: "The id of the last event that the reader has seen; sent by EventSource when it reconnects.",
};

export const exportIdHeader: HeaderSpec = {
  name: "Holdfast-Export-Id",
  description: "Names the content of the file: the SHA-256 of its manifest. `expect` of an import takes it.",
};

export const exportSkippedHeader: HeaderSpec = {
  name: "Holdfast-Export-Skipped",
  description: "How many things of the workspace cannot be moved; the manifest says what, and why.",
};

export const replayedHeader = { "idempotency-replayed": "true" } as const;

/** @throws AppError `invalid_input` */
export function idempotencyKeyOf(c: Context): string | undefined {
  const key = c.req.header(idempotencyKeyHeader.name);
  if (key === undefined || /^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new AppError("invalid_input", "the header Idempotency-Key is not usable", {
    hint: "It takes 1 to 255 visible ASCII characters without spaces, for example a UUID.",
  });
}

/** The cursor that a reconnecting EventSource sends. @throws AppError `invalid_input` */
export function lastEventIdOf(c: Context): number | undefined {
  const id = c.req.header(lastEventIdHeader.name);
  if (id === undefined || id === "") return undefined;
  if (/^\d{1,15}$/.test(id)) return Number(id);
  throw new AppError("invalid_input", `the header Last-Event-ID is not a cursor: "${id.slice(0, 40)}"`, {
    hint: "Send back the id of the last event, a whole number.",
  });
}

/** Whether the caller asks for an event stream rather than JSON; JSON when it does not say. */
export function wantsEventStream(c: Context): boolean {
  const json = "application/json";
  return (
    accepts(c, { header: "Accept", supports: ["text/event-stream", json], default: json }) ===
    "text/event-stream"
  );
}
