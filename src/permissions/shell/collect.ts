import { type Command, forEachChild, type ParsedScript, parse, type Redirect, type SyntaxNode } from "unbash";
import type { ShellCommand } from "./command.ts";
import { SEPARATOR, UNSEEN } from "./command-pattern.ts";
import { dangerOf, evaluatesVariables, setsTrickyText } from "./expansions.ts";
import { openCommand } from "./open.ts";
import type { Opened } from "./opened.ts";
import { changesMeaning } from "./variables.ts";
import { hereText, wordText } from "./words.ts";

/** What stands in a line, before it is known where its commands run. */
export interface Collected {
  readonly commands: ShellCommand[];
  readonly redirections: { readonly how: "read" | "write"; readonly target: string }[];
  /** What `cd` and its like go to, in order; UNSEEN where that is not known. */
  readonly directories: string[];
  readonly opaque: Set<string>;
  isUnreadable: boolean;
}

/** `sh` reads some of it differently from bash, which is dangerous only where both find it valid. */
type Dialect = "bash" | "sh";

interface At {
  readonly dialect: Dialect;
  readonly depth: number;
}

const DEEPEST = 50;
const MOST_COMMANDS = 2_000;

/** Controls but tab and line feed, and what is invisible or changes the direction of the text. */
const HIDDEN =
  /[\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]|[^\P{Cc}\t\n]|\u{115f}|\u{1160}|\u{3164}|\u{ffa0}|\u{17b4}|\u{17b5}|[\u{fe00}-\u{fe0f}]|[\u{e0100}-\u{e01ef}]/u;

export function collect(source: string): Collected {
  const into: Collected = {
    commands: [],
    redirections: [],
    directories: [],
    opaque: new Set(),
    isUnreadable: false,
  };
  // Texts that variables get, and whether something evaluates the text of a variable: each is harmless without the other.
  const variables = { areTricky: false, areEvaluated: false };

  const readScript = (text: string, at: At) => {
    if (HIDDEN.test(text)) into.opaque.add("it contains characters that are not shown");
    if (text.includes("\0") || text.includes(SEPARATOR)) {
      giveUp("it contains control characters");
      return;
    }
    visit(parse(text), at);
  };

  const giveUp = (why: string) => {
    into.opaque.add(why);
    into.isUnreadable = true;
  };

  const visit = (node: SyntaxNode, at: At): void => {
    if (at.depth > DEEPEST) {
      giveUp("it is nested too deeply");
      return;
    }
    const problem = dangerOf(node, at.dialect === "sh");
    if (problem !== null) into.opaque.add(problem);
    if (setsTrickyText(node)) variables.areTricky = true;
    if (evaluatesVariables(node)) variables.areEvaluated = true;
    switch (node.type) {
      case "Script":
        if (hasErrors(node)) giveUp("its grammar is not understood");
        break;
      case "Assignment":
        if (changesMeaning(node.name)) into.opaque.add(`${node.name}= changes what commands do`);
        break;
      case "Redirect":
        redirect(node);
        break;
      case "Command":
        command(node, at);
        break;
    }
    const deeper =
      node.type === "Script" || node.type === "CompoundList" ? { ...at, depth: at.depth + 1 } : at;
    forEachChild(node, (child) => visit(child, deeper));
  };

  const redirect = ({ operator, target }: Redirect) => {
    if (target === undefined) return;
    const text = wordText(target);
    if (operator === "<&" || operator === ">&") {
      if (/^(?:\d+-?|-)$/.test(text)) return;
      // What is not seen may as well be the number of a file that is open.
    }
    if (target.parts?.length === 1 && target.parts[0]?.type === "ProcessSubstitution") return;
    if (/^\/dev\/(?:null|stdout|stderr|stdin|tty|zero|u?random|fd\/\d+)$/.test(text)) return;
    if (/^\/dev\/(?:tcp|udp)\//.test(text)) into.opaque.add(`${text} is a network connection`);
    const isRead = operator === "<" || operator === "<&";
    into.redirections.push({ how: isRead ? "read" : "write", target: text });
    if (operator === "<>") into.redirections.push({ how: "read", target: text });
  };

  const command = (node: Command, at: At) => {
    if (node.name === undefined) return;
    const words = [node.name, ...node.args].map((arg) =>
      arg.type === "Word" ? wordText(arg) : `${arg.name}${arg.append ? "+" : ""}=${assignedText(arg.value)}`,
    );
    const source = [node.name, ...node.args].map(({ text }) => text).join(" ");
    open({ words, source, isWrapper: false, startedBy: null }, hereText(node.redirects), at);
  };

  /** Lists a command, and what it starts. */
  const open = (command: ShellCommand, input: string | null, at: At): void => {
    if (into.commands.length >= MOST_COMMANDS || at.depth > DEEPEST) {
      giveUp("it has too many commands");
      return;
    }
    const { words } = command;
    const [name = ""] = words;
    if (name.includes(UNSEEN)) into.opaque.add("the name of a command is only known when it runs");
    else if (/[^!-~]|^[-+]./.test(name))
      into.opaque.add(`the name of the command ${JSON.stringify(name)} has unusual characters`);
    const opened = openCommand(words, input);
    into.commands.push({ ...command, isWrapper: opened.isWrapper });
    for (const why of opened.opaque) into.opaque.add(why);
    into.directories.push(...opened.directories);
    if (opened.setsVariables) variables.areTricky = true;
    openInner(words, opened, { ...at, depth: at.depth + 1 });
  };

  const openInner = (words: readonly string[], opened: Opened, at: At) => {
    for (const inner of opened.commands) {
      const startedBy =
        inner.from === undefined ? null : { words, prefix: words.slice(0, inner.from + 1).join(SEPARATOR) };
      if (inner.words.length > 0) open({ words: inner.words, isWrapper: false, startedBy }, null, at);
    }
    for (const { text, shell } of opened.scripts) {
      if (text.includes(UNSEEN)) into.opaque.add("a script is put together when it runs");
      else readScript(text, { dialect: shell === "same" ? at.dialect : shell, depth: at.depth });
    }
  };

  readScript(source, { dialect: "bash", depth: 0 });
  if (variables.areTricky && variables.areEvaluated) {
    into.opaque.add("a calculation with a variable can run commands that are in its text");
  }
  return into;
}

function hasErrors({ errors = [] }: ParsedScript): boolean {
  return errors.length > 0;
}

function assignedText(value: Extract<SyntaxNode, { type: "Word" | "ArrayValue" }>): string {
  return value.type === "Word" ? wordText(value) : UNSEEN;
}
