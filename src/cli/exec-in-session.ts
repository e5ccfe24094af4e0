import { constants } from "node:os";
import { AppError } from "../lib/errors.ts";
import { LONGEST_TIMER_MS } from "../lib/units.ts";
import type { DirectCommand, Sessions } from "../run/session/sessions.ts";
import { openRuntime } from "../runtime.ts";
import type { ExecResult, Execution } from "../sandboxes/sandbox.ts";
import { exitCodes } from "./exit.ts";
import { ONE_SHOT } from "./local-sessions.ts";
import { createNotices, type Notices } from "./notices.ts";
import { readAll } from "./prompt.ts";
import { readDuration } from "./read-number.ts";
import { plainStream } from "./render/plain.ts";
import { getSession, harnessOf, openPlace, type PlaceWishes } from "./sessions/session.ts";
import { shellWord } from "./shell-word.ts";
import type { Terminal, TextStream } from "./terminal.ts";

export interface ExecWishes extends PlaceWishes {
  readonly session: string;
  readonly words: readonly string[];
  readonly cwd: string | undefined;
  readonly timeout: string | undefined;
}

/** `holdfast exec`. The exit code is that of the command. */
export async function execInSession(wishes: ExecWishes, terminal: Terminal): Promise<number> {
  const command = commandOf(wishes);
  const notices = createNotices(terminal, { json: false });
  await using place = await openPlace(wishes, terminal);
  const session = await getSession(place.sessions, wishes.session);
  const { local } = place;
  if (local === null) return await exec(place.sessions, session.id, command, { terminal, notices });
  await using runtime = await openRuntime({
    config: local.config,
    dataDir: local.dataDir,
    agents: [await harnessOf(session, local)],
    work: "none",
    ...ONE_SHOT,
    notify: notices.tell,
  });
  return await exec(runtime.sessions, session.id, command, { terminal, notices });
}

/** A single word is a script, so that pipes and variables can be used; several are passed on exactly as they are. */
function commandOf({ words, cwd, timeout }: ExecWishes): DirectCommand {
  const timeoutMs = timeout === undefined ? undefined : readDuration("--timeout", timeout);
  if (timeoutMs !== undefined && timeoutMs > LONGEST_TIMER_MS) {
    throw new AppError("invalid_input", "--timeout is longer than 24 days");
  }
  return {
    command: words.length === 1 ? (words[0] ?? "") : words.map(shellWord).join(" "),
    ...(cwd === undefined ? {} : { cwd }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
}

async function exec(
  sessions: Pick<Sessions, "exec">,
  sessionId: string,
  command: DirectCommand,
  { terminal, notices }: { readonly terminal: Terminal; readonly notices: Notices },
): Promise<number> {
  const stdin = await readStdin(terminal, notices);
  const interruption = terminal.interruption();
  await using execution = await sessions.exec(sessionId, {
    ...command,
    ...(stdin === undefined ? {} : { stdin }),
  });
  const kill = () => execution.kill().catch(() => {});
  if (interruption.aborted) await kill();
  interruption.addEventListener("abort", kill, { once: true });
  terminal.whenNobodyReads?.(kill);
  await passOn(execution, terminal);
  const result = await execution.result;
  if (result.timedOut) notices.tell("the command was ended by its time limit");
  if (result.droppedBytes > 0) notices.tell(`${result.droppedBytes} bytes of output were not kept`);
  return exitCodeOf(result, interruption.aborted);
}

const MAX_STDIN = 64 * 1_048_576;
/** After so long it is told what is waited for: a pipe that nobody closes looks like a command that hangs. */
const PATIENCE_MS = 2_000;

/** What is piped in; undefined where a person sits at the keyboard. */
async function readStdin({ stdin }: Terminal, notices: Notices): Promise<Uint8Array | undefined> {
  if (stdin.isTTY === true) return undefined;
  const hint = setTimeout(
    () => notices.tell("waiting for the end of standard input; for none: < /dev/null"),
    PATIENCE_MS,
  );
  try {
    const bytes = await readAll(stdin, MAX_STDIN);
    if (bytes !== undefined) return bytes.length === 0 ? undefined : bytes;
  } finally {
    clearTimeout(hint);
  }
  throw new AppError("too_large", "standard input is over 64 MiB", {
    hint: "Put it into a file of the workspace first, for example with `holdfast run --file`.",
  });
}

/**
 * A program gets a command's output byte for byte; a person's terminal gets its text, since what stands in a file of the
 * workspace must not steer it. Waits for whoever reads, so that a command that prints without end does not fill memory.
 */
async function passOn(execution: Execution, { stdout, stderr }: Terminal): Promise<void> {
  const shown = { stdout: shownOn(stdout), stderr: shownOn(stderr) };
  for await (const { stream, bytes } of execution.output) {
    await written(stream === "stdout" ? stdout : stderr, shown[stream](bytes));
  }
}

function shownOn({ isTTY }: TextStream): (bytes: Uint8Array) => string | Uint8Array {
  if (isTTY !== true) return (bytes) => bytes;
  const decoder = new TextDecoder();
  const clean = plainStream();
  return (bytes) => clean(decoder.decode(bytes, { stream: true })).replaceAll(/\r\n?/g, "\n");
}

function written(stream: TextStream, output: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    stream.write(output, () => resolve());
  });
}

/** As shells and timeout(1) have it: 124 for a time limit, 128 and the signal's number for a signal. */
function exitCodeOf({ exitCode, signal, timedOut }: ExecResult, interrupted: boolean): number {
  if (interrupted) return exitCodes.interrupted;
  if (timedOut) return 124;
  if (exitCode !== null) return exitCode;
  const number = Object.entries(constants.signals).find(([name]) => name === signal)?.[1];
  return 128 + (number ?? 9);
}
