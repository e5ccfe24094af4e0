import { inspect } from "node:util";

/**
 * The one error class for failures that a caller can act on. Everything else that is thrown is a defect.
 *
 * A message is written for the person who reads it: what is wrong and where. `hint` says what to do about it.
 * `code` is stable and is what programs switch on; the HTTP status and the exit code follow from it
 * (`http/errors.ts`, `cli/exit.ts`).
 */
export type ErrorCode =
  | "invalid_input"
  | "invalid_config"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "conflict"
  /** More than is allowed at once. `details.retryAfterMs`: when it may be tried again. */
  | "rate_limited"
  /** A call to a model would cost more than what is left of a budget that sessions share. */
  | "budget_exceeded"
  | "too_large"
  | "unsupported"
  | "unavailable"
  | "timeout"
  | "cancelled"
  | "no_space"
  | "stale_head"
  | "fenced"
  | "corrupt";

export interface AppErrorOptions {
  /** What the reader can do about it, as one sentence or one command. */
  readonly hint?: string;
  /** Plain data for programs: field paths, limits, ids. Crosses the wire, so never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
  }
}

export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code);
}

/** The message of anything that was thrown; for logs and for texts that name a cause. */
export function errorMessage(error: unknown): string {
  if (error instanceof Error) return error.message || error.name;
  return typeof error === "string" ? error : inspect(error);
}

/** The `code` of a Node system error ("ENOENT", "ENOSPC"), or undefined. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Marks a case of a union that cannot occur; a new member then fails to compile where it is not handled. */
export function unreachable(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`);
}
