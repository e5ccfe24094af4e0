import type { Redirection, Word, WordPart } from "unbash";
import { UNSEEN } from "./command-pattern.ts";

/** A word as the command gets it, without quotes; UNSEEN in the place of what the shell puts in. */
export function wordText(word: Word): string {
  return word.parts === undefined ? word.value : word.parts.map((part) => partText(part, false)).join("");
}

function partText(part: WordPart, isQuoted: boolean): string {
  switch (part.type) {
    case "Literal":
    case "SingleQuoted":
    case "AnsiCQuoted":
      return part.value;
    case "ProcessSubstitution":
      // An empty one leaves no word at all.
      return (part.script?.commands.length ?? 0) > 0 ? "/dev/fd/63" : UNSEEN + UNSEEN;
    case "DoubleQuoted":
      return part.parts.map((each) => partText(each, true)).join("");
    case "Glob":
    case "LocaleString":
    case "ArithmeticExpansion":
    case "ExtendedGlob":
    case "BraceExpansion":
      return UNSEEN;
    case "SimpleExpansion":
    case "ParameterExpansion":
      // "$@" and "${x[@]}" are several words, also in quotes.
      return isQuoted && !part.text.includes("@") ? UNSEEN : UNSEEN + UNSEEN;
    case "CommandExpansion":
      return isQuoted ? UNSEEN : UNSEEN + UNSEEN;
  }
}

/** What a command reads from a here-document or here-string; null: it reads something else, or nobody can tell. */
export function hereText(redirections: readonly Redirection[]): string | null {
  const [input, ...more] = redirections.filter(({ type, ...rest }) => type !== "Redirect" || isInput(rest));
  if (input === undefined || more.length > 0) return null;
  if (input.type === "HereString") return input.target === undefined ? null : wordText(input.target);
  if (input.type === "HereDoc") {
    if (input.delimiter?.quoted === true) return withoutTabs(input.body.text, input.operator === "<<-");
    return input.body.parts === undefined ? withoutTabs(input.body.text, input.operator === "<<-") : UNSEEN;
  }
  return null;
}

function isInput(redirection: object): boolean {
  return "operator" in redirection && ["<", "<&", "<>"].includes(String(redirection.operator));
}

function withoutTabs(text: string, strips: boolean): string {
  return strips ? text.replaceAll(/^\t+/gm, "") : text;
}
