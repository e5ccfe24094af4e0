import { Command as CommanderCommand, CommanderError, Option as CommanderOption } from "commander";
import { AppError } from "../lib/errors.ts";
import type { Command, CommandGroup, Example, Input, Option, RunnableCommand } from "./command.ts";
import { exitCodes } from "./exit.ts";
import { stylerFor, type Terminal } from "./terminal.ts";

export interface ProgramInfo {
  readonly summary: string;
  readonly version: string;
  readonly commands: readonly Command[];
}

/**
 * Finds the command that the words name and runs it. Help and version are printed here.
 * @throws AppError `invalid_input` for wrong use, with the help to look at; and what the command throws.
 */
export async function runProgram(
  info: ProgramInfo,
  words: readonly string[],
  terminal: Terminal,
): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const program = quiet(new CommanderCommand("holdfast"), terminal)
    .description(info.summary)
    .version(info.version, "-v, --version", "print the version")
    .enablePositionalOptions();
  const perform: Perform = async (command, input) => {
    exitCode = await command.run(input, terminal);
  };
  for (const command of info.commands) add(program, command, perform);
  try {
    await program.parseAsync(words.length === 0 ? ["--help"] : [...words], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw wrongUse(error, program, words);
  }
  return exitCode;
}

type Perform = (command: RunnableCommand, input: Input) => Promise<void>;

/** Commander neither ends the process nor writes errors: that is done in one place, for all kinds of errors. */
function quiet(command: CommanderCommand, { stdout, stderr, env }: Terminal): CommanderCommand {
  const style = stylerFor(stdout, env);
  return command
    .exitOverride()
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show the help of a command")
    .configureHelp({ styleTitle: (title) => style("bold", title) })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: () => {},
      getOutHelpWidth: () => stdout.columns || 100,
      getOutHasColors: () => true,
    });
}

function add(parent: CommanderCommand, command: Command, perform: Perform): void {
  if ("commands" in command) addGroup(parent, command, perform);
  else addRunnable(parent, command, perform);
}

function addGroup(
  parent: CommanderCommand,
  { name, summary, commands }: CommandGroup,
  perform: Perform,
): void {
  const group = parent.command(name).description(summary);
  for (const command of commands) addRunnable(group, command, perform);
}

function addRunnable(parent: CommanderCommand, command: RunnableCommand, perform: Perform): void {
  const added = parent.command(command.name).description(command.summary);
  for (const { syntax, description } of command.arguments ?? []) added.argument(syntax, description);
  for (const option of command.options ?? []) added.addOption(toOption(option));
  added.addHelpText("after", () => examplesText(command.examples));
  added.action(() => perform(command, inputOf(added)));
}

function toOption({ flags, description, repeatable }: Option): CommanderOption {
  const option = new CommanderOption(flags, description);
  if (repeatable !== true) return option;
  return option.argParser((value, earlier: readonly string[] = []) => [...earlier, value]);
}

function examplesText(examples: readonly Example[]): string {
  const lines = examples.flatMap(({ command, explanation }) => [`  ${command}`, `      ${explanation}`]);
  return `\n${examples.length > 1 ? "Examples:" : "Example:"}\n${lines.join("\n")}`;
}

function inputOf(command: CommanderCommand): Input {
  const options: Readonly<Record<string, unknown>> = command.opts();
  const values = new Map<string, unknown>(Object.entries(options));
  for (const [i, argument] of command.registeredArguments.entries()) {
    values.set(argument.name(), command.processedArgs[i]);
  }
  return {
    text(name) {
      const value = values.get(name);
      return typeof value === "string" ? value : undefined;
    },
    flag: (name) => values.get(name) === true,
    list(name) {
      const value = values.get(name);
      return Array.isArray(value) ? value.map(String) : [];
    },
  };
}

function wrongUse(error: CommanderError, program: CommanderCommand, words: readonly string[]): AppError {
  const { name, path } = commandOf(program, words);
  const message =
    error.code === "commander.help" ? `which command of "${name}"?` : error.message.replace(/^error: /, "");
  return new AppError("invalid_input", message, { hint: `See: ${path} --help`, cause: error });
}

/** The command that the words name, as far as there is one. */
function commandOf(program: CommanderCommand, words: readonly string[]): { name: string; path: string } {
  let command = program;
  let path = program.name();
  for (const word of words) {
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (next === undefined) break;
    command = next;
    path = `${path} ${word}`;
  }
  return { name: command.name(), path };
}
