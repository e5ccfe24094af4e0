import type {
  ComparedSide,
  Comparison,
  FileChange,
  FileDifferences,
} from "../../run/time-travel/time-travel.ts";
import { exitCodes } from "../exit.ts";
import { dollars, duration, plural, tokens } from "../render/figures.ts";
import { oneLine, plain } from "../render/plain.ts";
import { printJson, printLine, stylerFor, type Terminal } from "../terminal.ts";
import { openPlaceOf } from "./place-with-agent.ts";
import { getSession, type PlaceWishes } from "./session.ts";

export interface CompareWishes extends PlaceWishes {
  readonly one: string;
  readonly other: string;
  /** Print the differences of the files. */
  readonly diff: boolean;
  readonly json: boolean;
}

/** `holdfast sessions compare` */
export async function comparePair(wishes: CompareWishes, terminal: Terminal): Promise<number> {
  await using place = await openPlaceOf(wishes.one, wishes, terminal);
  const other = await getSession(place.sessions, wishes.other);
  const compared = await place.sessions.compare(place.session.id, other.id);
  if (wishes.json) printJson(terminal, compared);
  else printComparison(compared, wishes, terminal);
  return exitCodes.ok;
}

function printComparison(
  { common, one, other, files }: Comparison,
  { diff }: CompareWishes,
  terminal: Terminal,
): void {
  const { stdout, env } = terminal;
  const style = stylerFor(stdout, env);
  const where = common === null ? "They have nothing in common." : `They part behind #${common.seq}.`;
  printLine(stdout, where);
  for (const side of [one, other]) {
    printLine(stdout, "");
    printLine(stdout, style("bold", oneLine(side.sessionId)));
    for (const line of sideLines(side)) printLine(stdout, `  ${oneLine(line)}`);
  }
  printLine(stdout, "");
  printLine(stdout, style("bold", "files"));
  if (files === null) printLine(stdout, "  not kept: they cannot be compared here");
  else printFiles(files, diff, terminal);
}

function sideLines(side: ComparedSide): readonly string[] {
  const { status, lastRunEnd, turns, entries, usage, costUsd, unpricedCalls, durationMs } = side;
  const cost = unpricedCalls === 0 ? dollars(costUsd) : `over ${dollars(costUsd)}`;
  const end = lastRunEnd === null ? "" : `, last run: ${lastRunEnd}`;
  return [
    `${status}${end}`,
    `${entries === 1 ? "1 entry" : `${entries} entries`}, ${plural(turns, "turn")}, ${tokens(usage)}, ${cost}, ${duration(durationMs)}`,
    ...side.calls.map(({ name, outcome, count }) => `${plural(count, "call")} of ${name}: ${outcome}`),
    ...side.messages.map(({ from, text }) => `${from === "user" ? "›" : " "} ${text}`),
  ];
}

function printFiles(
  { changes, omitted, skipped }: FileDifferences,
  withDiffs: boolean,
  { stdout }: Terminal,
): void {
  if (changes.length === 0) printLine(stdout, "  the same");
  for (const change of changes) printLine(stdout, `  ${marks[change.change]} ${oneLine(change.path)}`);
  if (omitted > 0) printLine(stdout, `  and ${plural(omitted, "more change")}`);
  if (skipped > 0) printLine(stdout, `  ${plural(skipped, "file")} could not be looked at`);
  if (!withDiffs) return;
  for (const { diff } of changes) if (diff !== null) printLine(stdout, `\n${plain(diff).trimEnd()}`);
}

const marks: Readonly<Record<FileChange["change"], string>> = { added: "+", removed: "-", changed: "~" };
