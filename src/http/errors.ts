import { HTTPException } from "hono/http-exception";
import { AppError, type ErrorCode } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";

/** The one shape of every error that leaves the server, as the body of a response or as the last event of a stream. */
export interface WireError {
  readonly error: {
    readonly code: WireCode;
    /** What is wrong and where, for the person who reads it. */
    readonly message: string;
    /** What to do about it. */
    readonly hint?: string;
    /** Plain data for programs. */
    readonly details?: Readonly<Record<string, unknown>>;
  };
}

/** The codes of `AppError`, and those that only a server has. */
export type WireCode =
  | ErrorCode
  | "method_not_allowed"
  | "unsupported_media_type"
  /** The run that should have answered failed; `details.code` is the run's own code. */
  | "run_failed"
  /** A defect in the server; `details.errorId` is in its log. */
  | "internal";

export type ErrorStatus =
  | 400
  | 401
  | 403
  | 404
  | 405
  | 409
  | 413
  | 415
  | 422
  | 429
  | 500
  | 501
  | 502
  | 503
  | 504
  | 507;

export const statusOf: Readonly<Record<WireCode, ErrorStatus>> = {
  invalid_input: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  stale_head: 409,
  cancelled: 409,
  budget_exceeded: 409,
  too_large: 413,
  unsupported_media_type: 415,
  invalid_config: 422,
  rate_limited: 429,
  corrupt: 500,
  internal: 500,
  unsupported: 501,
  run_failed: 502,
  unavailable: 503,
  fenced: 503,
  timeout: 504,
  no_space: 507,
};

/** Told of every error that the caller of the API is not told, with the id that the caller was given instead. */
export type DefectLog = (error: unknown, errorId: string) => void;

/** Whatever was thrown, as it may cross the wire: an `AppError` as it is, anything else as an id that is in the log. */
export function toWireError(error: unknown, log: DefectLog): WireError {
  if (error instanceof AppError) return wireError(error.code, error.message, error);
  const errorId = newId("err");
  log(error, errorId);
  return wireError("internal", "the server failed to do this", {
    hint: `The cause is in the server's log as ${errorId}.`,
    details: { errorId },
  });
}

export function wireError(
  code: WireCode,
  message: string,
  more: {
    readonly hint?: string | undefined;
    readonly details?: WireError["error"]["details"] | undefined;
  } = {},
): WireError {
  return {
    error: {
      code,
      message,
      ...(more.hint === undefined ? {} : { hint: more.hint }),
      ...(more.details === undefined ? {} : { details: more.details }),
    },
  };
}

export function errorResponse(
  body: WireError,
  headers: Readonly<Record<string, string>> = {},
  status: ErrorStatus = statusOf[body.error.code],
): Response {
  return Response.json(body, { status, headers });
}

/** An error that only a server has, to be thrown from anywhere in a request. */
export function httpProblem(body: WireError, headers?: Readonly<Record<string, string>>): HTTPException {
  const res = errorResponse(body, headers);
  return new HTTPException(statusOf[body.error.code], { res, message: body.error.message });
}

/** Anything that was thrown during a request, as its answer. */
export function responseOf(error: unknown, log: DefectLog): Response {
  if (error instanceof HTTPException) return error.getResponse();
  const body = toWireError(error, log);
  return errorResponse(body, headersOf(body));
}

/** Where nothing says when what is not available now will be. */
const USUAL_RETRY_MS = 5_000;

function headersOf({ error: { code, details } }: WireError): Readonly<Record<string, string>> {
  if (code === "unauthorized") return { "www-authenticate": "Bearer" };
  const retryAfterMs = details?.retryAfterMs ?? (statusOf[code] === 503 ? USUAL_RETRY_MS : undefined);
  return typeof retryAfterMs === "number" ? { "retry-after": String(Math.ceil(retryAfterMs / 1_000)) } : {};
}
