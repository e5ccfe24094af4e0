import { AppError, type ErrorCode, errorMessage } from "../lib/errors.ts";
import { jsonText } from "./printable.ts";
import { fileSystemError } from "./system-error.ts";
import { stylerFor, type Terminal } from "./terminal.ts";

/**
 * The exit codes of every command, and what a script may conclude from them.
 *
 * | code | meaning |
 * |---|---|
 * | 0 | done |
 * | 1 | the run failed, or the model refused; or a defect in Holdfast |
 * | 2 | wrong use: unknown command or option, a bad value |
 * | 3 | a mistake in harness.json, in a file that it names, or in the environment |
 * | 4 | no such session, agent or file |
 * | 5 | not allowed: a missing or wrong token or key, or a place on the disk that is not this user's |
 * | 6 | in conflict with what is there |
 * | 7 | not available now; trying again may help |
 * | 8 | the store is full or damaged |
 * | 9 | the run ended at a limit: turns, time, the model's output tokens, or because nobody answered for too long |
 * | 10 | the run was stopped by somebody else |
 * | 11 | the run waits for a person: answer with `holdfast interrupts`, then it goes on |
 * | 130 | interrupted (Ctrl-C, SIGTERM) |
 * | 141 | nobody read the output any more (`holdfast run ... \| head`); a run that was not at its end can be taken up |
 */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  config: 3,
  notFound: 4,
  forbidden: 5,
  conflict: 6,
  unavailable: 7,
  storage: 8,
  limited: 9,
  stopped: 10,
  waiting: 11,
  interrupted: 130,
  unread: 141,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

const exitCodeOf: Readonly<Record<ErrorCode, ExitCode>> = {
  invalid_input: exitCodes.usage,
  too_large: exitCodes.usage,
  unsupported: exitCodes.usage,
  invalid_config: exitCodes.config,
  not_found: exitCodes.notFound,
  unauthorized: exitCodes.forbidden,
  forbidden: exitCodes.forbidden,
  conflict: exitCodes.conflict,
  stale_head: exitCodes.conflict,
  fenced: exitCodes.conflict,
  unavailable: exitCodes.unavailable,
  rate_limited: exitCodes.unavailable,
  timeout: exitCodes.unavailable,
  budget_exceeded: exitCodes.limited,
  no_space: exitCodes.storage,
  corrupt: exitCodes.storage,
  cancelled: exitCodes.interrupted,
};

/**
 * Tells an error on stderr and gives its exit code. With `--json` it is one line of JSON there, `{"error": {code, message,
 * hint?, details?}}` as the HTTP API has it, so that stdout holds the command's answer or nothing. A stack is shown only
 * for a defect.
 */
export async function reportError(
  thrown: unknown,
  terminal: Pick<Terminal, "stderr" | "env">,
  { json }: { readonly json: boolean },
): Promise<ExitCode> {
  const error = fileSystemError(thrown, anotherPlace) ?? thrown;
  terminal.stderr.write(json ? asJson(error) : await asText(error, terminal));
  return error instanceof AppError ? exitCodeOf[error.code] : exitCodes.failed;
}

/** What commands write into, unless they say otherwise, is the data directory. */
const anotherPlace = "Choose another place with --data-dir or HOLDFAST_DATA_DIR.";

function asJson(error: unknown): string {
  const { code, hint, details } =
    error instanceof AppError ? error : { code: "internal", hint: undefined, details: undefined };
  return `${jsonText({ error: { code, message: errorMessage(error), hint, details } })}\n`;
}

/** What it quotes may be anybody's: a server's answer, a file of an agent. */
async function asText(error: unknown, { stderr, env }: Pick<Terminal, "stderr" | "env">): Promise<string> {
  const { plain } = await import("./render/plain.ts");
  const style = stylerFor(stderr, env);
  const first = `${style(["bold", "red"], "error:")} ${plain(errorMessage(error))}\n`;
  if (error instanceof AppError) return error.hint === undefined ? first : `${first}${plain(error.hint)}\n`;
  const stack = error instanceof Error ? `${plain(error.stack ?? "")}\n` : "";
  return `${first}This is a defect in Holdfast. Please report it with the lines below.\n${style("dim", stack)}`;
}
