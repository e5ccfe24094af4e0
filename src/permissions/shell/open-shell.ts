import { mayBeOption, UNSEEN } from "./command-pattern.ts";
import { NOTHING_INSIDE, type Opened, opaqueBecause } from "./opened.ts";

/** Those whose language is read here; of others (zsh, fish) the arguments are not looked into. */
export const SHELLS: ReadonlySet<string> = new Set(["sh", "bash", "dash", "ash", "rbash"]);

/** `bash -euo pipefail -c '...'`, `sh script.sh`, `sh <<EOF`. */
export function openShell(name: string, words: readonly string[], input: string | null): Opened {
  const shell = name === "bash" || name === "rbash" ? "bash" : "sh";
  const options = readShellOptions(words);
  if (options === undefined) return opaqueBecause(`the options of ${name} are not understood`);
  const { next, hasCommand } = options;
  const first = words[next];
  if (hasCommand) {
    return first === undefined
      ? NOTHING_INSIDE
      : { ...NOTHING_INSIDE, isWrapper: true, scripts: [{ text: first, shell }] };
  }
  if (first === undefined) {
    return input === null
      ? opaqueBecause(`${name} runs what it is given while it runs`)
      : { ...NOTHING_INSIDE, isWrapper: true, scripts: [{ text: input, shell }] };
  }
  if (first.includes(UNSEEN) || first === "-" || first.startsWith("/dev/") || first.startsWith("/proc/")) {
    return opaqueBecause(`${name} runs what it is given while it runs`);
  }
  return NOTHING_INSIDE;
}

const LONG = new Set(["--norc", "--noprofile", "--posix", "--verbose"]);

interface ShellOptions {
  readonly next: number;
  readonly hasCommand: boolean;
}

function readShellOptions(words: readonly string[]): ShellOptions | undefined {
  let hasCommand = false;
  let at = 1;
  for (; at < words.length; at++) {
    const word = words[at] ?? "";
    if (mayBeOption(word)) return undefined;
    if (word === "--") return { next: at + 1, hasCommand };
    if (LONG.has(word)) continue;
    if (!/^[-+]./.test(word)) break;
    // i and l read start files, s reads its input, O and o take words of their own.
    if (!/^[-+][abcefhkmnoptuvxBCEHPT]+$/.test(word)) return undefined;
    // bash takes `+c` for `-c`.
    if (word.includes("c")) hasCommand = true;
    at += word.split("o").length - 1;
  }
  return { next: at, hasCommand };
}
