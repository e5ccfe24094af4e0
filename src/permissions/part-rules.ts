import { conditionsHold } from "./conditions.ts";
import { anyHolds, type Holds, matchesPattern } from "./match.ts";
import type { CommandPart, Part } from "./parts.ts";
import { allowsPlace, concernsPlace, type PathPattern, type Place, placeOf } from "./paths.ts";
import type { PolicyCall } from "./policy.ts";
import { placeOfInput } from "./risk.ts";
import { type Rule, SHELL } from "./rule.ts";
import { baseName } from "./shell/command.ts";
import {
  allowsCommand,
  type CommandPattern,
  concernsCommand,
  SEPARATOR,
  spellsOut,
} from "./shell/command-pattern.ts";
import { pathsIn } from "./shell/command-risk.ts";
import { readsOf, writesOf } from "./shell/file-commands.ts";

/** Tools that do the same to a file: what forbids one of them forbids the others. */
const CHANGING = ["write", "edit"];
const READING = ["read", "grep"];

/** Whether a rule allows this part of a call, whatever is not seen of it. */
export function allowsPart(rule: Rule, call: PolicyCall, part: Part): boolean {
  const { pattern } = rule;
  const isForTool = matchesPattern(call.name, rule.tool);
  if (pattern === null && isForTool) return true;
  switch (part.type) {
    case "call":
      if (!isForTool || pattern === null) return false;
      if (pattern.type === "path") return allowsPlace(pattern.path, placeOfInput(call.input));
      return pattern.type === "conditions" && conditionsHold(pattern.conditions, call.input) === "yes";
    case "command":
      if (baseName(part.command.words[0] ?? "") === "tee" && allowsTee(rule, part)) return true;
      return pattern?.type === "command" && isForTool && allowsOneCommand(pattern.command, part);
    case "file":
      return part.use.how === "write" && allowsWriting(rule, part.use.places);
  }
}

function allowsOneCommand(pattern: CommandPattern, { command }: CommandPart): boolean {
  if (allowsCommand(pattern, command.words)) return true;
  const { startedBy } = command;
  return (
    startedBy !== null && spellsOut(pattern, startedBy.prefix) && allowsCommand(pattern, startedBy.words)
  );
}

function allowsTee(rule: Rule, { command, directories }: CommandPart): boolean {
  const paths = pathsIn(command.words);
  return (
    paths.length > 0 &&
    allowsWriting(
      rule,
      paths.flatMap((path) => directories.map((each) => placeOf(path, each))),
    )
  );
}

/** A rule for every call of `write` covers the workspace: the tool itself reaches no further. */
function allowsWriting({ tool, pattern }: Rule, places: readonly Place[]): boolean {
  if (!CHANGING.some((name) => matchesPattern(name, tool))) return false;
  if (pattern === null) return places.every(({ type }) => type === "inside");
  return pattern.type === "path" && places.every((place) => allowsPlace(pattern.path, place));
}

/** Whether a rule that forbids, or asks, is about this part. */
export function concernsPart(rule: Rule, call: PolicyCall, part: Part): Holds {
  const { pattern } = rule;
  if (pattern === null) return "no";
  switch (part.type) {
    case "call":
      return concernsCall(rule, call);
    case "command":
      if (pattern.type === "command") return concernsOneCommand(pattern.command, part);
      return pattern.type === "path" ? concernsFiles(rule, pattern.path, part) : "no";
    case "file":
      return pattern.type === "path" && isAbout(rule, part.use.how)
        ? anyHolds(part.use.places.map((place) => concernsPlace(pattern.path, place)))
        : "no";
  }
}

function concernsCall(rule: Rule, { name, input }: PolicyCall): Holds {
  const { pattern, tool } = rule;
  const names = CHANGING.includes(name) ? CHANGING : name === "grep" ? READING : [name];
  if (pattern?.type === "path" && names.some((each) => matchesPattern(each, tool))) {
    const place = isPathless(name, input) ? placeOf(".") : placeOfInput(input);
    return atLeast(
      concernsPlace(pattern.path, place, name === "grep" || name === "glob" || name === "list"),
      place,
    );
  }
  if (pattern?.type === "conditions" && matchesPattern(name, tool)) {
    return conditionsHold(pattern.conditions, input) === "no" ? "no" : "yes";
  }
  return "no";
}

/** A call whose path is missing or no text counts as meant. */
function atLeast(holds: Holds, place: Place): Holds {
  return place.type === "unknown" ? "yes" : holds;
}

function isPathless(name: string, input: unknown): boolean {
  return ["grep", "glob", "list"].includes(name) && placeOfInput(input).type === "unknown";
}

function concernsOneCommand(pattern: CommandPattern, { command, launches }: CommandPart): Holds {
  const holds = anyHolds(variantsOf(command.words).map((words) => concernsCommand(pattern, words)));
  if (holds !== "no" || !launches) return holds;
  // `strace rm x`, `python -c "os.system('rm x')"`: the name of what is forbidden stands in what is run.
  const [name = ""] = (pattern.parts[0] ?? "").split(SEPARATOR, 1);
  const words = command.words
    .slice(1)
    .join(" ")
    .split(/[^\w.-]+/);
  return name !== "" && words.some((word) => baseName(word) === name) ? "maybe" : "no";
}

/** The same command without its folder, and without options before what it is told to do: `git -C x push` is a `git push`. */
function variantsOf(words: readonly string[]): readonly (readonly string[])[] {
  const [first = "", ...rest] = words;
  const name = baseName(first);
  const starts = new Set([0]);
  for (const start of starts) {
    if (start > 12 || !/^[-+]./.test(rest[start] ?? "")) continue;
    starts.add(start + 1);
    if (start + 1 < rest.length) starts.add(start + 2);
  }
  return [words, ...[...starts].map((start) => [name, ...rest.slice(start)])];
}

function concernsFiles(rule: Rule, pattern: PathPattern, { command, directories }: CommandPart): Holds {
  if (command.isWrapper) return "no";
  const uses = [
    ...(isAbout(rule, "read") ? readsOf(command.words) : []),
    ...(isAbout(rule, "write") ? writesOf(command.words) : []),
  ];
  return anyHolds(
    uses.flatMap(({ path, isCertain, wholeTree }) =>
      directories.map((directory) => {
        const place = placeOf(path, directory);
        // Of commands that nobody knows, a word that is not seen is as likely no file at all.
        if (!isCertain && place.type === "unknown") return "no";
        const holds = concernsPlace(pattern, place, wholeTree);
        return holds === "yes" && !isCertain ? "maybe" : holds;
      }),
    ),
  );
}

function isAbout({ tool }: Rule, how: "read" | "write"): boolean {
  return (how === "read" ? ["read"] : CHANGING).some((name) => matchesPattern(name, tool));
}

/** Whether a rule says something of what shell lines do, so that one which is not understood may fall under it. */
export function isAboutShell(rule: Rule): boolean {
  if (rule.pattern?.type === "command") return matchesPattern(SHELL, rule.tool);
  return rule.pattern?.type === "path" && (isAbout(rule, "read") || isAbout(rule, "write"));
}
