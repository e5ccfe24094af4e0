import type { Place } from "../paths.ts";
import { placeOf, UNKNOWN_PLACE } from "../paths.ts";
import { collect } from "./collect.ts";
import type { ShellCommand } from "./command.ts";

export type { ShellCommand } from "./command.ts";

/**
 * What a shell line would do, read from its text: every command of its pipelines, lists, loops, functions, substitutions, and of
 * what its commands start in turn. Words may contain UNSEEN (command-pattern.ts). Pure.
 */
export interface ShellLine {
  readonly commands: readonly ShellCommand[];
  /** Redirections. */
  readonly files: readonly FileUse[];
  /** Why it may do more than is listed here, for people; empty: all is seen. */
  readonly opaque: readonly string[];
  /** Its grammar is not understood at all, or it is too long. */
  readonly isUnreadable: boolean;
  /** Where its commands may run, besides each other. */
  readonly directories: readonly Place[];
}

export interface FileUse {
  readonly how: "read" | "write";
  /** For people: as it is written. */
  readonly text: string;
  /** Wherever it may be; all have to be allowed. */
  readonly places: readonly Place[];
}

const LONGEST_LINE = 65_536;
/** Each of them may be parsed again for each one around it. */
const MOST_EXPANSIONS = 1_000;

/** Never throws. */
export function parseShell(source: string): ShellLine {
  if (source.length > LONGEST_LINE) return unreadable("it is too long to be looked at");
  if ((source.match(/[$<>]\(|\$\{|`|\(\(/g)?.length ?? 0) > MOST_EXPANSIONS) {
    return unreadable("it has too many expansions to be looked at");
  }
  const found = collect(source);
  const directories = directoriesOf(found.directories);
  return {
    commands: found.commands,
    files: found.redirections.map(({ how, target }) => ({
      how,
      text: target,
      places: directories.map((directory) => placeOf(target, directory)),
    })),
    opaque: [...found.opaque],
    isUnreadable: found.isUnreadable,
    directories,
  };
}

function unreadable(why: string): ShellLine {
  return { commands: [], files: [], opaque: [why], isUnreadable: true, directories: [UNKNOWN_PLACE] };
}

/** After one `cd` a command may run there, or, where that failed, still in the workspace. After more nobody can tell. */
function directoriesOf(changes: readonly string[]): readonly Place[] {
  const start = placeOf(".");
  const [first, ...more] = changes;
  if (first === undefined) return [start];
  if (more.length > 0) return [UNKNOWN_PLACE];
  const there = placeOf(first);
  return there.type === "inside" && there.path === "." ? [start] : [start, there];
}
