import { openBuiltin } from "./builtins.ts";
import { baseName } from "./command.ts";
import { mayBeOption, UNSEEN } from "./command-pattern.ts";
import { executedBy } from "./executing.ts";
import { openFind, openXargs } from "./open-lists.ts";
import { openShell, SHELLS } from "./open-shell.ts";
import { NOTHING_INSIDE, type Opened, opaqueBecause } from "./opened.ts";
import { type OptionSpec, type Options, readOptions } from "./options.ts";
import { changesMeaning } from "./variables.ts";

/** @param input what it reads from a here-document; null where that is not known. */
export function openCommand(words: readonly string[], input: string | null): Opened {
  const name = baseName(words[0] ?? "");
  const wrapper = WRAPPERS.get(name);
  if (wrapper !== undefined) return openWrapper(words, wrapper);
  if (SHELLS.has(name)) return openShell(name, words, input);
  switch (name) {
    case "env":
      return openEnv(words);
    case "xargs":
      return openXargs(words);
    case "find":
      return openFind(words);
    case "watch":
      return openWatch(words);
    default:
      return openBuiltin(name, words) ?? opaqueBecause(executedBy(name, words));
  }
}

interface Wrapper extends OptionSpec {
  /** How many words stand before the command. */
  readonly before?: number;
  /** It changes more than how the command is started (who runs it, where): it needs a rule of its own. */
  readonly changesWho?: true;
  /** With one of these it starts nothing. */
  readonly asks?: string;
}

const WRAPPERS: ReadonlyMap<string, Wrapper> = new Map<string, Wrapper>([
  ["nohup", {}],
  ["nice", { flags: "0123456789", valued: "n", longValued: ["adjustment"] }],
  ["ionice", { flags: "t", valued: "cn", longValued: ["class", "classdata"], long: ["ignore"] }],
  [
    "timeout",
    {
      flags: "vf",
      valued: "ks",
      long: ["foreground", "preserve-status", "verbose"],
      longValued: ["kill-after", "signal"],
      before: 1,
    },
  ],
  ["stdbuf", { valued: "ioe", longValued: ["input", "output", "error"] }],
  ["setsid", { flags: "cfw", long: ["ctty", "fork", "wait"] }],
  ["time", { flags: "pvq", valued: "f", long: ["portability", "verbose", "quiet"], longValued: ["format"] }],
  ["chronic", {}],
  ["unbuffer", { flags: "p" }],
  ["command", { flags: "pvV", asks: "vV" }],
  ["builtin", {}],
  ["exec", { flags: "cl", valued: "a" }],
  ["busybox", {}],
  ["toybox", {}],
  ["coproc", {}],
  [
    "sudo",
    {
      flags: "EHnkbPSA",
      valued: "ugprthCTRD",
      long: ["preserve-env", "non-interactive", "set-home", "stdin", "background"],
      longValued: ["user", "group", "chdir", "prompt", "chroot"],
      changesWho: true,
    },
  ],
  ["doas", { flags: "n", valued: "u", changesWho: true }],
  ["chroot", { longValued: ["userspec", "groups"], before: 1, changesWho: true }],
  ["runuser", { valued: "ugG", changesWho: true }],
]);

function openWrapper(words: readonly string[], wrapper: Wrapper): Opened {
  const [name = ""] = words;
  const options = readOptions(words, 1, wrapper);
  if (options === undefined) return opaqueBecause(`the options of ${name} are not understood`);
  if (options.given.some(([option]) => wrapper.asks?.includes(option))) return NOTHING_INSIDE;
  const before = words.slice(options.next, options.next + (wrapper.before ?? 0));
  if (before.some((word) => mayBeOption(word))) return opaqueBecause(`what ${name} starts is not clear`);
  const assignments = wrapper.changesWho ? countAssignments(words, options.next) : 0;
  const from = options.next + before.length + assignments;
  const opaque = dangerousNames(words.slice(options.next, options.next + assignments));
  if (from >= words.length) {
    return wrapper.changesWho ? opaqueBecause(`${name} without a command starts a shell`) : NOTHING_INSIDE;
  }
  return {
    ...NOTHING_INSIDE,
    isWrapper: wrapper.changesWho !== true,
    commands: [{ words: words.slice(from), from }],
    opaque,
    directories: directoriesIn(options, ["D", "R", "chdir", "chroot"]),
  };
}

function openEnv(words: readonly string[]): Opened {
  const options = readOptions(words, 1, {
    flags: "i0v",
    valued: "uC",
    long: ["ignore-environment", "null", "debug"],
    longValued: ["unset", "chdir"],
  });
  if (options === undefined) return opaqueBecause("the options of env are not understood");
  const start = words[options.next] === "-" ? options.next + 1 : options.next;
  const from = start + countAssignments(words, start);
  const isUnseen = words.slice(start, from + 1).some((word) => mayBeOption(word));
  return {
    ...NOTHING_INSIDE,
    isWrapper: true,
    commands: from < words.length ? [{ words: words.slice(from), from }] : [],
    opaque: [
      ...dangerousNames(words.slice(start, from)),
      ...(isUnseen ? ["what env starts is not clear"] : []),
    ],
    directories: directoriesIn(options, ["C", "chdir"]),
    setsVariables: from > start,
  };
}

function directoriesIn({ given }: Options, names: readonly string[]): readonly string[] {
  return given.flatMap(([name, value]) => (names.includes(name) && value !== null ? [value] : []));
}

function countAssignments(words: readonly string[], start: number): number {
  let count = 0;
  while (words[start + count]?.includes("=")) count += 1;
  return count;
}

function dangerousNames(assignments: readonly string[]): readonly string[] {
  return assignments.flatMap((each) => {
    const name = each.slice(0, each.indexOf("="));
    return changesMeaning(name) || name.includes(UNSEEN) ? [`${name}= changes what commands do`] : [];
  });
}

/** It gives its words, put together, to `sh -c`. */
function openWatch(words: readonly string[]): Opened {
  const options = readOptions(words, 1, {
    flags: "bcdegptwrC",
    valued: "nq",
    long: ["beep", "color", "differences", "errexit", "chgexit", "precise", "no-title"],
    longValued: ["interval"],
  });
  if (options === undefined) return opaqueBecause("the options of watch are not understood");
  const text = words.slice(options.next).join(" ");
  return { ...NOTHING_INSIDE, isWrapper: true, scripts: [{ text, shell: "sh" }] };
}
