import { baseName } from "./command.ts";
import { mayBeOption } from "./command-pattern.ts";
import { pathsIn, rowOf } from "./command-risk.ts";

/** A file that a command reads or changes, as far as its words tell: for rules that forbid, which need not be certain. */
export interface NamedFile {
  readonly path: string;
  /** The command is known to do it. */
  readonly isCertain: boolean;
  /** What lies below it, too. */
  readonly wholeTree: boolean;
}

/** Their words are no files, or only the names of files are shown. */
const TALKS = new Set(
  "echo printf true false : test [ sleep seq yes exit return break continue kill date expr basename dirname pwd cd pushd popd which type command export declare local unset set shift trap wait read mkdir touch ls find fd tree stat du wc readlink realpath".split(
    " ",
  ),
);

export function readsOf(words: readonly string[]): readonly NamedFile[] {
  const name = baseName(words[0] ?? "");
  if (TALKS.has(name) && !listsFiles(name, words)) return [];
  const onlyReads = rowOf(words)?.reversibility === "none";
  const isCertain = onlyReads || /^(?:cp|dd|tar|zip|tee|scp|rsync|curl)$/.test(name);
  const paths = [...pathsIn(words), ...valuesIn(words)];
  const searches = /^(?:rg|ag|ack|[ef]?grep)$/.test(name);
  const packs = /^(?:tar|zip|rsync)$/.test(name) && !onlyReads;
  const wholeTree = packs || hasFlag(words, /[rR]/) || (searches && !name.endsWith("grep"));
  // Without a path, a search begins where it is.
  const all = searches && wholeTree && pathsIn(words).length <= 1 ? [...paths, "."] : paths;
  return all.map((path) => ({ path, isCertain, wholeTree }));
}

/** `date -f x`, `wc --files0-from=x`: what they cannot make sense of they show. */
function listsFiles(name: string, words: readonly string[]): boolean {
  return /^(?:date|du|wc)$/.test(name) && words.some((word) => /^(?:-[^-]*f|--fil)/.test(word));
}

/** `if=x`, `@x`, `key=x`, `host:x`: what stands behind a mark may be a file. */
function valuesIn(words: readonly string[]): readonly string[] {
  return words
    .slice(1)
    .flatMap((word) => [...word.matchAll(/[=@:](?=[^=@:\s])([^=@:]*)$/g)].map(([, value = ""]) => value));
}

export function writesOf(words: readonly string[]): readonly NamedFile[] {
  const name = baseName(words[0] ?? "");
  const row = rowOf(words);
  if (row?.reversibility === "none") return [];
  const paths = pathsIn(words);
  const isCertain = row?.changesFiles === true;
  const wholeTree =
    /^(?:mv|rsync|tar|unzip|find|git|patch|cpio|7z)$/.test(name) ||
    hasFlag(words, /[rR]|recursive|archive|a/);
  const of = (path: string): NamedFile => ({
    path,
    isCertain,
    wholeTree: wholeTree && (isCertain || name === "git"),
  });
  if (/^(?:cp|ln|install|scp|rsync)$/.test(name) && !words.some((word) => /^(?:-\w*t|--target)/.test(word))) {
    return paths.slice(-1).map(of);
  }
  if (name === "git" && /^(?:clean|checkout|reset|restore|stash|switch)$/.test(words[1] ?? "")) {
    return [...paths.slice(1), "."].map((path) => ({ path, isCertain: false, wholeTree: true }));
  }
  return [...paths, ...valuesIn(words)].map(of);
}

function hasFlag(words: readonly string[], flag: RegExp): boolean {
  return words.slice(1).some((word) => {
    if (mayBeOption(word)) return true;
    if (word.startsWith("--"))
      return flag.test(word.slice(2)) && word.length > 3 && /recursive|archive/.test(word);
    return /^-\w+$/.test(word) && flag.test(word);
  });
}
