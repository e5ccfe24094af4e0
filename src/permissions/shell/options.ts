import { mayBeOption } from "./command-pattern.ts";

/** The options of a command as far as they matter to find what follows them. Any other one makes the rest unclear. */
export interface OptionSpec {
  /** Letters without a value: "v". */
  readonly flags?: string;
  /** Letters with a value, attached or in the next word: "ks". */
  readonly valued?: string;
  readonly long?: readonly string[];
  /** With a value, after `=` or in the next word. */
  readonly longValued?: readonly string[];
}

export interface Options {
  /** The index of the first word that is no option. */
  readonly next: number;
  /** Without dashes; those without a value have null. */
  readonly given: readonly (readonly [name: string, value: string | null])[];
}

/** @returns undefined where an option is unknown or unseen, so that nobody can say where they end. */
export function readOptions(words: readonly string[], start: number, spec: OptionSpec): Options | undefined {
  const given: (readonly [string, string | null])[] = [];
  let at = start;
  for (; at < words.length; at++) {
    const word = words[at] ?? "";
    if (mayBeOption(word)) return undefined;
    if (word === "--") return { next: at + 1, given };
    if (!word.startsWith("-") || word === "-") break;
    const option = word.startsWith("--") ? readLong(word.slice(2), spec) : readShort(word.slice(1), spec);
    if (option === undefined) return undefined;
    given.push(...option.given);
    if (option.wants === null) continue;
    at += 1;
    const value = words[at];
    if (value === undefined) return undefined;
    given.push([option.wants, value]);
  }
  return { next: at, given };
}

interface Read {
  readonly given: readonly (readonly [string, string | null])[];
  /** The name of an option whose value is the next word. */
  readonly wants: string | null;
}

function readLong(text: string, { long = [], longValued = [] }: OptionSpec): Read | undefined {
  const [name = "", ...value] = text.split("=");
  if (longValued.includes(name)) {
    return value.length === 0
      ? { given: [], wants: name }
      : { given: [[name, value.join("=")]], wants: null };
  }
  return value.length === 0 && long.includes(name) ? { given: [[name, null]], wants: null } : undefined;
}

function readShort(text: string, { flags = "", valued = "" }: OptionSpec): Read | undefined {
  const given: [string, string | null][] = [];
  for (const [i, letter] of [...text].entries()) {
    if (valued.includes(letter)) {
      const value = text.slice(i + 1);
      return value === "" ? { given, wants: letter } : { given: [...given, [letter, value]], wants: null };
    }
    if (!flags.includes(letter)) return undefined;
    given.push([letter, null]);
  }
  return { given, wants: null };
}
