import type { Risk } from "../../log/entry.ts";
import { type Place, placeOf } from "../paths.ts";
import { riskOfWriting, worst } from "../worst.ts";
import { mayBeOption, UNSEEN } from "./command-pattern.ts";
import { type RiskRow, riskTable } from "./risk-table.ts";

/** What is known of a command, or of one that nobody knows. @param directories where it may run. */
export function riskOfCommand(words: readonly string[], directories: readonly Place[]): Risk {
  const row = rowOf(words);
  if (row === undefined) return UNKNOWN_PROGRAM(words[0] ?? "");
  const risk: Risk = {
    reversibility: row.reversibility,
    reach: row.reach,
    why: row.reversibility === "none" ? [] : [row.why],
  };
  return row.changesFiles ? reachingPlaces(risk, words, directories) : risk;
}

function UNKNOWN_PROGRAM(name: string): Risk {
  const shown = name.includes(UNSEEN) ? "a program" : name;
  return {
    reversibility: "hard",
    reach: "session",
    why: [`${shown} may do whatever its sandbox lets it do`],
  };
}

/** The first row of the table that fits. */
export function rowOf(words: readonly string[]): RiskRow | undefined {
  const [first = "", ...args] = words;
  const name = first.replace(/^\/(?:usr\/(?:local\/)?)?s?bin\//, "");
  const text = `\n${args.join("\n")}`;
  const optionsMayHide = args.some((arg) => mayBeOption(arg));
  return byName.get(name)?.find(({ when, unless }) => {
    if (when !== undefined && !when.test(text)) return false;
    return unless === undefined || !(unless.test(text) || optionsMayHide);
  });
}

const byName: ReadonlyMap<string, readonly RiskRow[]> = Map.groupBy(
  riskTable.flatMap((row) => row.commands.split(" ").map((name) => ({ ...row, commands: name }))),
  ({ commands }) => commands,
);

/** A change of files reaches as far as they lie. Options count as paths where they may contain one. */
function reachingPlaces(risk: Risk, words: readonly string[], directories: readonly Place[]): Risk {
  const places = pathsIn(words).flatMap((path) => directories.map((directory) => placeOf(path, directory)));
  const beyond = places
    .map(riskOfWriting)
    .filter(({ reversibility, reach }) => reversibility !== "undoable" || reach !== "workspace");
  return worst([risk, ...beyond]);
}

export function pathsIn([, ...args]: readonly string[]): readonly string[] {
  return args.flatMap((arg) => {
    if (!arg.startsWith("-")) return arg === "" ? [] : [arg.replace(/^\w+=(?=.)/, "")];
    const value =
      /^--[\w-]+=(.*)$/s.exec(arg)?.[1] ??
      (arg.includes("/") || arg.includes(UNSEEN) ? arg.replace(/^-\w?/, "") : "");
    return value === "" ? [] : [value];
  });
}
