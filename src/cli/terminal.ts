import type { Readable } from "node:stream";
import { styleText } from "node:util";
import type { Environment } from "../config.ts";
import { jsonText, printable } from "./printable.ts";

/** What a command sees of the outside. `main.ts` makes the real one; tests make their own. */
export interface Terminal {
  readonly cwd: string;
  readonly env: Environment;
  readonly stdin: Readable & {
    readonly isTTY?: boolean;
    /** Keys one by one, without an echo; only where a person types. */
    setRawMode?(raw: boolean): unknown;
  };
  /** What was asked for. With `--json`: JSON and nothing else. */
  readonly stdout: TextStream;
  /** What is told besides: progress, notices, errors. */
  readonly stderr: TextStream;
  /**
   * Aborted at the first Ctrl-C (or SIGTERM); a second one ends the process at once. Before the first call of this
   * function Ctrl-C ends the process, so a command that does not clean up need not care.
   */
  interruption(): AbortSignal;
  /** What Ctrl-C does, for whoever reads it as a key. */
  interrupt?(): void;
  /**
   * When nobody reads standard output any more (`holdfast ... | head`) the process ends at once. Before that it calls this,
   * and waits for it.
   */
  whenNobodyReads?(cleanUp: () => Promise<unknown>): void;
}

export interface TextStream {
  /** `written` is called when there is room for more. */
  write(text: string | Uint8Array, written?: () => void): unknown;
  readonly isTTY?: boolean;
  /** Width in characters; undefined or 0 where it is not known. Read it with `columnsOf`. */
  readonly columns?: number;
}

/**
 * The last gate before the terminal. Titles, names, paths, providers' messages and tools' output may be anybody's, and a
 * terminal obeys what it is sent: sequences that set its title, fill the clipboard, hide or overwrite what stands there, or
 * make a line read in another order. Renderers clean such text where they use it (`render/plain.ts`), which looks best; a
 * place that was forgotten, or is new, is held here: only text, line breaks, our own colours and the erasing of our own line
 * get through. JSON passes unchanged, since `jsonText` escapes what would not.
 *
 * Bytes are passed on as they are: they are a command's own output, for a program (`holdfast exec`).
 */
export function guarded(terminal: Terminal): Terminal {
  const { stdout, stderr, env } = terminal;
  return { ...terminal, stdout: guardedStream(stdout, env), stderr: guardedStream(stderr, env) };
}

function guardedStream(stream: TextStream, env: Terminal["env"]): TextStream {
  return {
    write(text, written) {
      const allowed = { colours: hasColour(stream, env), erasing: isLive(stream, env) };
      return stream.write(typeof text === "string" ? printable(text, allowed) : text, written);
    },
    // Asked each time: a window changes its size.
    get isTTY() {
      return stream.isTTY === true;
    },
    get columns() {
      return stream.columns ?? 0;
    },
  };
}

export type Style = Parameters<typeof styleText>[0];

/** Whether a stream gets colours: https://no-color.org, then FORCE_COLOR, then whether a person looks at it. */
export function hasColour(stream: TextStream, env: Environment): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== "0" && env.FORCE_COLOR !== "false";
  return stream.isTTY === true && env.TERM !== "dumb";
}

/** A function that styles text for a stream, or leaves it as it is where the stream has no colours. */
export function stylerFor(stream: TextStream, env: Environment): (style: Style, text: string) => string {
  if (!hasColour(stream, env)) return (_style, text) => text;
  return (style, text) => styleText(style, text, { validateStream: false });
}

/** Whether a person watches, so that lines may be rewritten (spinner, progress). Never in a pipe or in CI. */
export function isLive(stream: TextStream, env: Environment): boolean {
  return stream.isTTY === true && env.TERM !== "dumb" && !isCi(env);
}

function isCi(env: Environment): boolean {
  return Boolean(env.CI) && env.CI !== "false";
}

/** The width of a terminal in characters: 80 where it is not known, for which some say 0. */
export function columnsOf({ columns }: Pick<TextStream, "columns">): number {
  return columns || 80;
}

/** One JSON document on stdout, the whole answer of a command with `--json`. */
export function printJson(terminal: Pick<Terminal, "stdout">, value: unknown): void {
  const indent = terminal.stdout.isTTY === true ? 2 : 0;
  terminal.stdout.write(`${jsonText(value, indent)}\n`);
}

export function printLine(stream: TextStream, line = ""): void {
  stream.write(`${line}\n`);
}
