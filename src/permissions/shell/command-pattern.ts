import { anyHolds, type Holds, matchesParts } from "../match.ts";

/** Between words, so that a space within a word is none between words. */
export const SEPARATOR = "\u0001";
/** In a word: what stands here is only known when the command runs; twice where the shell may split it into several words. */
export const UNSEEN = "\0";

/** Whether a word may turn out to be an option, or to contain one: UNSEEN at its beginning, or where the shell splits words. */
export function mayBeOption(word: string): boolean {
  return word.startsWith(UNSEEN) || word.includes(UNSEEN + UNSEEN);
}

/** What `shell(npm test*)` says of one command. */
export interface CommandPattern {
  readonly text: string;
  /** The texts between its `*`, words separated by SEPARATOR. One part: no `*`. */
  readonly parts: readonly string[];
}

const OPERATOR_CHARACTERS = /[;&|<>()]/;

/** @returns a complaint for people where no command can match it. */
export function parseCommandPattern(text: string): CommandPattern | string {
  const parts: string[] = [""];
  const add = (character: string) => {
    parts[parts.length - 1] += character;
  };
  for (let at = 0; at < text.trim().length; ) {
    const rest = text.trim().slice(at);
    const [token = ""] = TOKEN.exec(rest) ?? [];
    at += token.length;
    if (token === "*") parts.push("");
    else if (/^\s/.test(token)) add(SEPARATOR);
    else if (token.length > 1) add(unquoted(token));
    else if (token === '"' || token === "'") return `a quote is opened and not closed in "${text}"`;
    else if (OPERATOR_CHARACTERS.test(token)) {
      return `a rule is about one command, so "${token}" can only stand in it in quotes; each command of a line is matched by itself`;
    } else if (token === "$" || token === "`") {
      return `"${token}" can only stand in quotes: what the shell puts in its place is not known before; write * there`;
    } else add(token);
  }
  return { text, parts };
}

const TOKEN = /^(?:\s+|'[^']*'|"(?:[^"\\]|\\.)*"|\\.|.)/su;

function unquoted(token: string): string {
  if (token.startsWith("'")) return token.slice(1, -1);
  if (token.startsWith('"')) return token.slice(1, -1).replaceAll(/\\(["\\$`])/g, "$1");
  return token.startsWith("\\") ? token.slice(1) : token;
}

/** For `allow`: whatever the unseen parts turn out to be. */
export function allowsCommand({ parts }: CommandPattern, words: readonly string[]): boolean {
  const text = words.join(SEPARATOR);
  return endings(parts).some((each) => matchesParts(text, each));
}

/** For `deny` and `ask`: `maybe` where it depends on unseen parts. The words may be quoted in any way. */
export function concernsCommand({ parts }: CommandPattern, words: readonly string[]): Holds {
  const text = asSpaces(words.join(" "));
  return anyHolds(
    endings(parts).map((each) => {
      const spaced = each.map(asSpaces);
      if (matchesParts(text, spaced)) return "yes";
      return text.includes(UNSEEN) && canMatch(text, spaced) ? "maybe" : "no";
    }),
  );
}

/** Whether the pattern names the command by itself: all that stands before its first `*` reaches as far. */
export function spellsOut({ parts: [first = "", ...rest] }: CommandPattern, prefix: string): boolean {
  if (!first.startsWith(prefix)) return false;
  const next = first[prefix.length];
  return next === SEPARATOR || (next === undefined && rest.length === 0);
}

/** `npm test *` is also meant for `npm test` alone. */
function endings(parts: readonly string[]): readonly (readonly string[])[] {
  const before = parts.at(-2);
  return parts.at(-1) === "" && before?.endsWith(SEPARATOR)
    ? [parts, [...parts.slice(0, -2), before.slice(0, -1)]]
    : [parts];
}

function asSpaces(text: string): string {
  return text.replaceAll(/[\s\u0001]+/g, " ");
}

/**
 * Whether two patterns can mean the same text: what follows `*` in the one, and UNSEEN in the other. Walks both at once; a row holds,
 * for each place in the pattern, whether it can be reached with the text so far.
 */
function canMatch(text: string, parts: readonly string[]): boolean {
  const pattern: (string | null)[] = parts.flatMap((part, i) => (i === 0 ? [...part] : [null, ...part]));
  let row = skipStars(pattern, new Array<boolean>(pattern.length + 1).fill(false).with(0, true));
  for (const character of text) {
    const next = new Array<boolean>(pattern.length + 1).fill(false);
    if (character === UNSEEN) {
      const from = row.indexOf(true);
      if (from !== -1) next.fill(true, from);
    } else {
      for (const [i, wanted] of pattern.entries()) {
        if (!row[i]) continue;
        if (wanted === null) next[i] = true;
        else if (wanted === character) next[i + 1] = true;
      }
    }
    row = skipStars(pattern, next);
  }
  return row.at(-1) === true;
}

function skipStars(pattern: readonly (string | null)[], row: boolean[]): boolean[] {
  for (const [i, wanted] of pattern.entries()) if (wanted === null && row[i]) row[i + 1] = true;
  return row;
}
