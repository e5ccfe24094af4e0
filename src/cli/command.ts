import type { Terminal } from "./terminal.ts";

/**
 * One command, described as data: help, parsing and errors are made from it in one place (`program.ts`). Each lives in
 * `commands/<name>.ts`. All of them are loaded for every start of the program, so a file imports statically only what is
 * small; `run` imports the rest.
 */
export type Command = RunnableCommand | CommandGroup;

export interface RunnableCommand {
  readonly name: string;
  /** One line for the list of commands, without a full stop. */
  readonly summary: string;
  readonly arguments?: readonly Argument[];
  /** Every command has `--help`; those that answer programs list `jsonOption`. */
  readonly options?: readonly Option[];
  /** At least one; shown by `--help`. */
  readonly examples: readonly Example[];
  /**
   * Resolves with the exit code: one of `exitCodes`, or that of another program which the command ran.
   * @throws AppError what went wrong; printed with its hint, and its code decides the exit code.
   */
  run(input: Input, terminal: Terminal): Promise<number>;
}

/** Commands below a word, such as `sessions list`. */
export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly RunnableCommand[];
}

export interface Argument {
  /** "<name>": required, "[name]": optional; "<name...>" and "[name...]" take all that follow. */
  readonly syntax: string;
  readonly description: string;
}

export interface Option {
  /** "--model <id>", "-f, --follow". */
  readonly flags: string;
  readonly description: string;
  /** May be given several times; read with `Input.list`. */
  readonly repeatable?: true;
}

export interface Example {
  readonly command: string;
  readonly explanation: string;
}

/** What stood on the command line. Names are those of arguments, and of options in camel case ("dataDir"). */
export interface Input {
  /** Undefined when it was not given. */
  text(name: string): string | undefined;
  flag(name: string): boolean;
  /** All values of an argument that takes several, or of a repeatable option; empty when there are none. */
  list(name: string): readonly string[];
}

export const jsonOption: Option = {
  flags: "--json",
  description: "print JSON for programs; errors too, on stderr",
};

export const dataDirOption: Option = {
  flags: "--data-dir <path>",
  description: "where sessions are kept (default: .holdfast beside harness.json, or HOLDFAST_DATA_DIR)",
};

export const serverOption: Option = {
  flags: "--url <address>",
  description:
    "ask this server (default: HOLDFAST_URL unless a place here is named, else the data directory); its token is in HOLDFAST_TOKEN",
};

export const agentOption: Option = {
  flags: "--agent <path>",
  description: "the agent's folder or harness.json (default: this folder)",
};
