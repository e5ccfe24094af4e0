import type { Risk } from "../log/entry.ts";
import type { Place } from "./paths.ts";
import type { PolicyCall } from "./policy.ts";
import { commandOf, riskOf } from "./risk.ts";
import { SHELL } from "./rule.ts";
import { SEPARATOR, UNSEEN } from "./shell/command-pattern.ts";
import { riskOfCommand } from "./shell/command-risk.ts";
import { launches } from "./shell/executing.ts";
import { type FileUse, parseShell, type ShellCommand } from "./shell/shell.ts";
import { NO_RISK, riskOfWriting, worst } from "./worst.ts";

/** A call in the pieces that rules are matched with. Every one has to be allowed; one that is forbidden is enough. */
export interface Subject {
  readonly parts: readonly Part[];
  readonly risk: Risk;
  /** Why a shell line may do more than its parts; empty for other tools. */
  readonly opaque: readonly string[];
  readonly isUnreadable: boolean;
}

export type Part = CallPart | CommandPart | FilePart;

interface PartBase {
  /** For people. */
  readonly text: string;
  readonly risk: Risk;
}

/** The whole call of a tool that is no shell. */
export interface CallPart extends PartBase {
  readonly type: "call";
}

export interface CommandPart extends PartBase {
  readonly type: "command";
  readonly command: ShellCommand;
  readonly directories: readonly Place[];
  /** It runs what its arguments say, which is not looked into. */
  readonly launches: boolean;
}

/** A redirection. */
export interface FilePart extends PartBase {
  readonly type: "file";
  readonly use: FileUse;
}

export function partsOf(call: PolicyCall): Subject {
  if (call.name !== SHELL) {
    const risk = riskOf(call);
    return { parts: [{ type: "call", text: call.name, risk }], risk, opaque: [], isUnreadable: false };
  }
  const line = parseShell(commandOf(call));
  const commands = line.commands.map((command): CommandPart => {
    const { words, source, isWrapper } = command;
    return {
      type: "command",
      text: source !== undefined && words.some((word) => word.includes(UNSEEN)) ? cut(source) : shown(words),
      risk: isWrapper ? NO_RISK : riskOfCommand(words, line.directories),
      command,
      directories: line.directories,
      launches: launches(words),
    };
  });
  const files = line.files.map(
    (use): FilePart => ({
      type: "file",
      text: `${use.how === "write" ? ">" : "<"} ${shown([use.text])}`,
      risk: use.how === "read" ? NO_RISK : worst(use.places.map(riskOfWriting)),
      use,
    }),
  );
  return {
    parts: [...commands, ...files],
    risk: riskOf(call),
    opaque: line.opaque,
    isUnreadable: line.isUnreadable,
  };
}

/** As one could type it, shortened. */
function shown(words: readonly string[]): string {
  const text = words
    .map((word) => (/^[\w@%+=:,./~^\0-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(" ")
    .replaceAll(UNSEEN_PARTS, "...")
    .replaceAll(SEPARATOR, " ");
  return cut(text);
}

const UNSEEN_PARTS = new RegExp(`${UNSEEN}+`, "g");

function cut(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)} [...]` : text;
}
