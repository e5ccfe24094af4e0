import { setTimeout as delay } from "node:timers/promises";
import { AppError, errorMessage, systemErrorCode } from "../../lib/errors.ts";

/** Primary result codes of SQLite (the low byte of an extended code). */
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const CONSTRAINT = 19;
const NOTADB = 26;

/** With SQLite's own waiting between the tries, about five seconds. */
const BUSY_TRIES = 170;
const BUSY_PAUSE_MS = 10;

/** Repeats what fails because another process writes, without holding up this one. */
export async function retryBusy<T>(attempt: () => T): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error) || tries === BUSY_TRIES) throw error;
    }
    await delay(BUSY_PAUSE_MS);
  }
}

export function isBusy(error: unknown): boolean {
  const code = resultCode(error);
  return code === BUSY || code === LOCKED;
}

export function isConstraint(error: unknown): boolean {
  return resultCode(error) === CONSTRAINT;
}

/** What SQLite said, as an error for people; anything that is not from SQLite is passed through. */
export function translate(error: unknown, path: string): unknown {
  if (systemErrorCode(error) === "ERR_INVALID_STATE") {
    return new AppError("unavailable", `The store ${path} is closed.`, { cause: error });
  }
  const code = resultCode(error);
  if (code === undefined) return error;
  const said = errorMessage(error);
  switch (code) {
    case FULL:
    case IOERR:
      return new AppError("no_space", `Cannot write to the database ${path}: ${said}.`, {
        hint: "Nothing was stored by halves. Free disk space (or raise the quota) where the database is; work goes on by itself.",
        cause: error,
      });
    case NOTADB:
      return new AppError("corrupt", `${path} is not a database.`, {
        hint: "Name another file, or move this one away; a new database is created when the file does not exist.",
        cause: error,
      });
    case CORRUPT:
      return new AppError("corrupt", `The database ${path} is damaged: ${said}.`, {
        hint: `Stop all processes that use it, copy it together with its -wal file, then try: sqlite3 ${path} .recover`,
        cause: error,
      });
    case CANTOPEN:
    case READONLY:
      return new AppError("unavailable", `Cannot open the database ${path} for writing: ${said}.`, {
        hint: "Its folder must exist and be writable, since SQLite keeps two more files beside the database.",
        cause: error,
      });
    case BUSY:
    case LOCKED:
      return new AppError("unavailable", `The database ${path} is locked by another process.`, {
        hint: "Look for a process that is stopped in the middle of a write, or for a tool that holds the file open.",
        cause: error,
      });
    default:
      return error;
  }
}

function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
}
