import { constants } from "node:os";
import { AppError, type ErrorCode } from "../../lib/errors.ts";

type Errno = keyof typeof constants.errno;

interface Meaning {
  readonly code: ErrorCode;
  readonly text: string;
}

const meanings: Partial<Record<Errno, Meaning>> = {
  EXDEV: { code: "forbidden", text: "it lies outside of the workspace" },
  ELOOP: { code: "forbidden", text: "its symbolic links cannot be followed" },
  EACCES: { code: "forbidden", text: "permission denied" },
  EPERM: { code: "forbidden", text: "permission denied" },
  ENOENT: { code: "not_found", text: "it does not exist" },
  EISDIR: { code: "invalid_input", text: "it is a directory" },
  ENOTDIR: { code: "invalid_input", text: "it is not a directory" },
  EINVAL: { code: "invalid_input", text: "it is not a regular file" },
  EBUSY: { code: "invalid_input", text: "it is the workspace itself" },
  ENAMETOOLONG: { code: "invalid_input", text: "the name is too long" },
  EFBIG: { code: "too_large", text: "it would be larger than a file may be" },
  E2BIG: { code: "too_large", text: "it has too many entries" },
  ENOSPC: { code: "no_space", text: "the disk is full" },
  EDQUOT: { code: "no_space", text: "the quota is used up" },
  EMFILE: { code: "unavailable", text: "too many commands run, or ended without anybody who was told" },
  EAGAIN: { code: "unavailable", text: "too many processes or commands run at once" },
};

/** What the agent's error number means to a caller. `subject` says what it happened to. */
export function errorFromAgent(error: number | Errno, subject: string): AppError {
  const name = typeof error === "string" ? error : errnoName(error);
  const meaning = name === undefined ? undefined : meanings[name];
  if (meaning) return new AppError(meaning.code, `${subject}: ${meaning.text}`, { details: { errno: name } });
  return new AppError("unavailable", `${subject}: the sandbox answered ${name ?? error}`);
}

export function isMissing(errno: number): boolean {
  return errno === constants.errno.ENOENT;
}

function errnoName(errno: number): Errno | undefined {
  for (const [name, value] of Object.entries(constants.errno)) {
    // Two names for one number: the one that has a meaning here.
    if (value === errno && name in meanings) return name as Errno;
  }
  return undefined;
}
