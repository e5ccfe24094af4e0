import { mayBeOption, UNSEEN } from "./command-pattern.ts";
import { type InnerCommand, NOTHING_INSIDE, type Opened, opaqueBecause } from "./opened.ts";
import { readOptions } from "./options.ts";

/** Its command gets words that it reads, at the end or in the place of a mark. */
export function openXargs(words: readonly string[]): Opened {
  const options = readOptions(words, 1, {
    flags: "0rtxo",
    valued: "adEILnPsJ",
    long: ["null", "no-run-if-empty", "verbose", "exit", "open-tty"],
    longValued: ["arg-file", "delimiter", "max-args", "max-procs", "max-lines", "max-chars", "replace"],
  });
  if (options === undefined) return opaqueBecause("the options of xargs are not understood");
  const inner = words.slice(options.next);
  // Without a command it is echo.
  if (inner.length === 0) return { ...NOTHING_INSIDE, isWrapper: true };
  const mark = options.given.find(([name]) => ["I", "J", "replace"].includes(name))?.[1];
  const filled =
    mark === undefined || mark === null || mark === ""
      ? [...inner, UNSEEN]
      : inner.map((word) => word.replaceAll(mark, UNSEEN));
  return { ...NOTHING_INSIDE, isWrapper: true, commands: [{ words: filled }] };
}

/** It starts commands for what it finds, and deletes. Otherwise it is a command that needs no rule. */
export function openFind(words: readonly string[]): Opened {
  const commands: InnerCommand[] = [];
  const opaque: string[] = [];
  for (let at = 1; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "-delete") commands.push({ words: ["rm", "-r", ...startsOf(words)] });
    if (!/^-(?:exec|execdir|ok|okdir)$/.test(word)) continue;
    const end = words.findIndex(
      (each, i) => i > at && (each === ";" || (each === "+" && words[i - 1] === "{}")),
    );
    const inner = words.slice(at + 1, end === -1 ? undefined : end);
    if (inner.length > 0) commands.push({ words: inner.map((each) => each.replaceAll("{}", UNSEEN)) });
    if (end !== -1) at = end;
  }
  const isUnclear = words.some((word, i) => i > 0 && mayBeOption(word) && !isValue(words, i));
  if (isUnclear) opaque.push("an action of find is only known when it runs");
  return { ...NOTHING_INSIDE, commands, opaque };
}

/** `-name *.ts`, `-name "$x"`: a pattern, which is one word or, unquoted, the names of files. */
function isValue(words: readonly string[], at: number): boolean {
  const isTest =
    /^-(?:i?name|i?path|i?regex|i?wholename|newer\w*|size|mtime|mmin|type|user|group|perm|maxdepth|mindepth)$/;
  return isTest.test(words[at - 1] ?? "") && !words[at]?.includes(UNSEEN + UNSEEN);
}

function startsOf([, ...args]: readonly string[]): readonly string[] {
  const end = args.findIndex((arg) => /^[-(!]/.test(arg) && !/^-[HLPDO]/.test(arg));
  const paths = args.slice(0, end === -1 ? undefined : end).filter((arg) => !arg.startsWith("-"));
  return paths.length === 0 ? ["."] : paths;
}
