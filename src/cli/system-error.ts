import { AppError, type ErrorCode, systemErrorCode } from "../lib/errors.ts";

const reasons: Readonly<Record<string, readonly [code: ErrorCode, reason: string]>> = {
  EACCES: ["forbidden", "this user may not do that there"],
  EPERM: ["forbidden", "this user may not do that there"],
  EROFS: ["forbidden", "the file system is read-only"],
  EEXIST: ["conflict", "something else has that name"],
  ENOTDIR: ["conflict", "a part of the path is a file, not a folder"],
  EISDIR: ["conflict", "it is a folder"],
  ENOENT: ["not_found", "a part of the path does not exist"],
  ENAMETOOLONG: ["invalid_input", "the name is too long"],
  ELOOP: ["invalid_input", "its symbolic links lead in a circle"],
  ENOSPC: ["no_space", "the disk is full"],
  EDQUOT: ["no_space", "the disk quota is used up"],
  EMFILE: ["unavailable", "this process has too many files open"],
  ENFILE: ["unavailable", "this machine has too many files open"],
};

/** Node says ENOENT of a folder that it was to make with those above it on a read-only file system. */
const notMade: readonly [ErrorCode, string] = ["forbidden", "the file system there is read-only, or gone"];

const doings: Readonly<Record<string, string>> = {
  mkdir: "cannot make the folder",
  open: "cannot open",
  scandir: "cannot list",
  write: "cannot write",
};

/**
 * What the file system refused, which is about the machine and not a defect, as an error for people; undefined for any
 * other error. `hint` says what to do where another place would help.
 */
export function fileSystemError(error: unknown, hint: string): AppError | undefined {
  const found = reasons[systemErrorCode(error) ?? ""];
  if (found === undefined || !(error instanceof Error)) return undefined;
  const { path, syscall } = error as NodeJS.ErrnoException;
  if (syscall?.startsWith("spawn")) return undefined;
  const [code, reason] = syscall === "mkdir" && systemErrorCode(error) === "ENOENT" ? notMade : found;
  // Writing to a file that is open tells no path; what else tells none is a socket or a pipe.
  if (path === undefined && code !== "no_space") return undefined;
  const where = path === undefined ? "" : ` ${path}`;
  return new AppError(code, `${doings[syscall ?? ""] ?? "cannot use"}${where}: ${reason}`, {
    hint,
    details: { path, systemCode: systemErrorCode(error) },
    cause: error,
  });
}
