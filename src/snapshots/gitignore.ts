/**
 * What a `.gitignore` says, as git reads it. Written by hand, because a workspace's rules are written by a model: matching
 * takes at most the product of the lengths of pattern and name, where regular expressions could be made to take for ever.
 * Pure.
 */
export interface IgnoreFile {
  /** How many directories below the workspace it is; its rules are about what is below that. */
  readonly depth: number;
  /** The last one that matches counts. */
  readonly rules: readonly Rule[];
}

interface Rule {
  /** Written with "!": what it matches is not ignored. */
  readonly negated: boolean;
  readonly directoriesOnly: boolean;
  /** Of paths below the file's directory; or else one name, at any depth. */
  readonly anchored: boolean;
  readonly segments: readonly Segment[];
}

/** Stands for any number of characters of a name, or for any number of directories. */
const MANY = Symbol("many");

type Segment = typeof MANY | string | readonly Character[];
type Character = typeof MANY | ((character: string) => boolean);

/** Whether a path is ignored, where none of the directories that it is in is. `files`: from the workspace's down. */
export function isIgnored(
  names: readonly string[],
  isDirectory: boolean,
  files: readonly IgnoreFile[],
): boolean {
  for (const { depth, rules } of files.toReversed()) {
    const below = names.slice(depth);
    const rule = rules.findLast((rule) => appliesTo(rule, below, isDirectory));
    if (rule !== undefined) return !rule.negated;
  }
  return false;
}

function appliesTo(
  { directoriesOnly, anchored, segments }: Rule,
  names: readonly string[],
  isDirectory: boolean,
): boolean {
  if (directoriesOnly && !isDirectory) return false;
  return matches(segments, anchored ? names : names.slice(-1), fits);
}

function fits(segment: Exclude<Segment, typeof MANY>, name: string): boolean {
  if (typeof segment === "string") return segment === name;
  return matches(segment, name, (character, found) => character(found));
}

/** Goes back to the last `MANY` only: what stands before it need not be looked at again. */
function matches<P, T>(
  pattern: readonly (P | typeof MANY)[],
  items: ArrayLike<T>,
  fits: (part: P, item: T) => boolean,
): boolean {
  let at = 0;
  let from = 0;
  let retry: { readonly at: number; readonly from: number } | undefined;
  while (from < items.length) {
    const part = pattern[at];
    if (part === MANY) {
      retry = { at, from };
      at += 1;
    } else if (part !== undefined && fits(part, items[from] as T)) {
      at += 1;
      from += 1;
    } else if (retry !== undefined) {
      retry = { at: retry.at, from: retry.from + 1 };
      at = retry.at + 1;
      from = retry.from;
    } else return false;
  }
  return pattern.slice(at).every((part) => part === MANY);
}

/** Longer files are somebody's mistake, and would make looking at a workspace slow. */
export const MAX_RULES = 1_000;

/** Undefined when it has more than `MAX_RULES`. */
export function parseIgnoreFile(text: string, depth: number): IgnoreFile | undefined {
  const rules = text.split(/\r?\n/).flatMap((line) => {
    const rule = parseRule(line);
    return rule === undefined ? [] : [rule];
  });
  return rules.length > MAX_RULES ? undefined : { depth, rules };
}

function parseRule(line: string): Rule | undefined {
  let pattern = withoutTrailingSpaces(line);
  if (pattern === "" || pattern.startsWith("#")) return undefined;
  const negated = pattern.startsWith("!");
  if (negated) pattern = pattern.slice(1);
  const directoriesOnly = pattern.endsWith("/");
  if (directoriesOnly) pattern = pattern.slice(0, -1);
  const anchored = pattern.includes("/");
  if (pattern.startsWith("/")) pattern = pattern.slice(1);
  if (pattern === "") return undefined;
  const parts = anchored ? pattern.split("/") : [pattern];
  const segments = parts.map((part): Segment => (part === "**" && anchored ? MANY : parseSegment(part)));
  // "a/**" is what is in a, and not a.
  if (segments.at(-1) === MANY) segments.push([MANY]);
  return { negated, directoriesOnly, anchored, segments };
}

/** A backslash keeps the space that follows it. */
function withoutTrailingSpaces(line: string): string {
  let end = line.length;
  while (end > 0 && line[end - 1] === " " && !isEscaped(line, end - 1)) end -= 1;
  return line.slice(0, end);
}

function isEscaped(text: string, index: number): boolean {
  let backslashes = 0;
  while (text[index - 1 - backslashes] === "\\") backslashes += 1;
  return backslashes % 2 === 1;
}

function parseSegment(text: string): Segment {
  if (!/[*?[\\]/.test(text)) return text;
  const characters: Character[] = [];
  for (let index = 0; index < text.length; ) {
    const character = text[index] ?? "";
    const set = character === "[" ? parseSet(text, index) : undefined;
    if (set !== undefined) {
      characters.push(set.has);
      index = set.end;
    } else if (character === "*") {
      if (characters.at(-1) !== MANY) characters.push(MANY);
      index += 1;
    } else if (character === "?") {
      characters.push(() => true);
      index += 1;
    } else {
      const literal = character === "\\" ? (text[index + 1] ?? "") : character;
      characters.push((found) => found === literal);
      index += character === "\\" ? 2 : 1;
    }
  }
  return characters;
}

/** "[a-z_]", "[!0-9]", "[[:digit:]]". Undefined where the bracket is never closed: git matches nothing then, nor do we. */
function parseSet(
  text: string,
  start: number,
): { readonly has: (character: string) => boolean; readonly end: number } | undefined {
  const negated = text[start + 1] === "!" || text[start + 1] === "^";
  const members: ((character: string) => boolean)[] = [];
  let index = start + (negated ? 2 : 1);
  const first = index;
  while (index < text.length && (text[index] !== "]" || index === first)) {
    const named = /^\[:([a-z]+):\]/.exec(text.slice(index, index + 12));
    if (named !== null) {
      const test = NAMED_SETS[named[1] ?? ""];
      if (test !== undefined) members.push((found) => test.test(found));
      index += named[0].length;
      continue;
    }
    if (text[index] === "\\") index += 1;
    const low = text[index] ?? "";
    index += 1;
    const isRange = text[index] === "-" && index + 1 < text.length && text[index + 1] !== "]";
    if (!isRange) {
      members.push((found) => found === low);
      continue;
    }
    index += text[index + 1] === "\\" ? 2 : 1;
    const high = text[index] ?? "";
    index += 1;
    members.push((found) => found >= low && found <= high);
  }
  if (index >= text.length) return { has: () => false, end: text.length };
  return { has: (found) => members.some((isMember) => isMember(found)) !== negated, end: index + 1 };
}

const NAMED_SETS: Readonly<Record<string, RegExp>> = {
  alnum: /[A-Za-z0-9]/,
  alpha: /[A-Za-z]/,
  blank: /[ \t]/,
  digit: /[0-9]/,
  lower: /[a-z]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /\s/,
  upper: /[A-Z]/,
  xdigit: /[0-9A-Fa-f]/,
};
