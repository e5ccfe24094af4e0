import { mayBeOption, UNSEEN } from "./command-pattern.ts";
import { NOTHING_INSIDE, type Opened, opaqueBecause } from "./opened.ts";
import { changesMeaning } from "./variables.ts";

/** Commands that bash itself has, and that start others or change what words mean. undefined: none of these. */
export function openBuiltin(name: string, words: readonly string[]): Opened | undefined {
  const args = words.slice(1);
  switch (name) {
    case "eval":
      return {
        ...NOTHING_INSIDE,
        isWrapper: true,
        scripts: [{ text: withoutDashes(args).join(" "), shell: "same" }],
      };
    case "trap":
      return openTrap(args);
    case "cd":
    case "pushd":
    case "popd":
      return { ...NOTHING_INSIDE, directories: [directoryOf(name, args)] };
    case "source":
    case ".":
      return opaqueBecause(`${name} runs what is in a file as a part of this line`);
    case "alias":
    case "enable":
    case "hash":
    case "bind":
    case "complete":
    case "compgen":
    case "compopt":
    case "fc":
    case "history":
    case "let":
      return args.length === 0
        ? undefined
        : opaqueBecause(`${name} can run commands, or change what they mean`);
    case "shopt":
      return opaqueBecause("shopt changes how the rest is read");
    case "set":
      return openSet(args);
    case "jobs":
      return args.includes("-x") ? opaqueBecause("jobs -x runs a command") : undefined;
    case "declare":
    case "typeset":
    case "local":
    case "export":
    case "readonly":
      return openDeclaration(name, args);
    case "read":
    case "mapfile":
    case "readarray":
    case "getopts":
      return openReading(name, args);
    case "printf":
      return args[0]?.startsWith("-v") || mayBeOption(args[0] ?? "") ? openReading(name, args) : undefined;
    case "unset":
    case "wait":
    case "test":
    case "[":
      return withIndex(name, args);
    default:
      return undefined;
  }
}

function withoutDashes(args: readonly string[]): readonly string[] {
  return args[0] === "--" ? args.slice(1) : args;
}

function openTrap(args: readonly string[]): Opened | undefined {
  const [action, ...signals] = withoutDashes(args);
  if (action === undefined || /^-[lp]$/.test(action)) return undefined;
  // `trap INT` and `trap - INT` set nothing.
  if (signals.length === 0 || action === "-" || action === "") return undefined;
  return { ...NOTHING_INSIDE, isWrapper: true, scripts: [{ text: action, shell: "same" }] };
}

function directoryOf(name: string, args: readonly string[]): string {
  const paths = args.filter((arg) => !/^(?:-[LPe@n]+|--)$/.test(arg));
  const [path] = paths;
  if (name === "popd" || paths.length !== 1 || path === undefined) return UNSEEN;
  return /^[-+]/.test(path) ? UNSEEN : path;
}

/** `set -euo pipefail` is fine; what gives parameters a text, or makes the shell read otherwise, is not. */
function openSet(args: readonly string[]): Opened | undefined {
  const known = /^(?:[-+][euxvfnCbhmo]+|pipefail|errexit|nounset|xtrace|verbose|noclobber|noglob)$/;
  if (args.every((arg) => known.test(arg))) return undefined;
  return args[0] === "--" && args.length === 1
    ? undefined
    : { ...NOTHING_INSIDE, setsVariables: true, ...unusual(args) };
}

function unusual(args: readonly string[]): Partial<Opened> {
  return args.some((arg) => /^[-+]/.test(arg) && arg !== "--")
    ? { opaque: ["set changes how the rest is read"] }
    : {};
}

function openDeclaration(name: string, args: readonly string[]): Opened {
  const opaque: string[] = [];
  for (const arg of args) {
    if (/^[-+]/.test(arg)) {
      if (!/^[-+][xrgaApfF]+$/.test(arg)) opaque.push(`${name} ${arg} can run commands that are in a text`);
      continue;
    }
    const variable = arg.split("=", 1)[0]?.replace(/\+$/, "") ?? "";
    if (variable.includes(UNSEEN)) opaque.push("the name of a variable is only known when it runs");
    else if (variable.includes("[")) opaque.push("an index can run commands that are in its text");
    else if (arg.includes("=") && changesMeaning(variable))
      opaque.push(`${variable}= changes what commands do`);
  }
  return { ...NOTHING_INSIDE, opaque, setsVariables: args.some((arg) => /[^\w.,:/@%+=-]/.test(arg)) };
}

/** They give variables a text that comes from elsewhere. */
function openReading(name: string, args: readonly string[]): Opened {
  const calls = name !== "read" && name !== "printf" && args.some((arg) => /^-\w*[Cc]/.test(arg));
  const names = name === "printf" ? args.slice(0, 2) : args;
  const isDangerous = names.some(
    (arg) => arg.includes("[") || mayBeOption(arg) || changesMeaning(arg.replace(/^-v/, "")),
  );
  const opaque = calls || isDangerous ? [`${name} can change what the rest does`] : [];
  return { ...NOTHING_INSIDE, opaque, setsVariables: true };
}

/** `test -v 'a[$(command)]'` runs the command. */
function withIndex(name: string, args: readonly string[]): Opened | undefined {
  const names =
    name === "unset" || name === "wait" || args.some((arg) => /^-[vR]$/.test(arg) || mayBeOption(arg));
  const hasIndex = args.some((arg) => arg.includes("[") && arg !== "[");
  if (name === "wait" && args.some(changesMeaning)) return opaqueBecause("wait changes a variable");
  return names && hasIndex ? opaqueBecause(`${name} can run commands that are in an index`) : undefined;
}
