import { systemClock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import { type CostGrouping, type CostReport, type Costs, costGroupings } from "../run/session/costs.ts";
import type { Sessions } from "../run/session/sessions.ts";
import { exitCodes } from "./exit.ts";
import { readDuration } from "./read-number.ts";
import { count, dollars, plural } from "./render/figures.ts";
import { oneLine } from "./render/plain.ts";
import { printTable } from "./render/table.ts";
import { openPlace, type PlaceWishes } from "./sessions/session.ts";
import { printJson, printLine, stylerFor, type Terminal } from "./terminal.ts";

export interface CostWishes extends PlaceWishes {
  readonly by: string | undefined;
  readonly since: string | undefined;
  readonly agentName: string | undefined;
  readonly json: boolean;
}

/** `holdfast costs` */
export async function showCosts(wishes: CostWishes, terminal: Terminal): Promise<number> {
  const by = readGrouping(wishes.by ?? "day");
  const since =
    wishes.since === undefined
      ? undefined
      : Math.max(0, systemClock.now() - readDuration("--since", wishes.since, "d"));
  await using place = await openPlace(wishes, terminal);
  const report = await place.sessions.costs({
    by,
    ...(since === undefined ? {} : { since }),
    ...(wishes.agentName === undefined ? {} : { agent: wishes.agentName }),
  });
  if (report.rows.length === 0 && wishes.agentName !== undefined) {
    await requireKnown(wishes.agentName, place.sessions);
  }
  if (wishes.json) printJson(terminal, report);
  else printReport(report, terminal);
  return exitCodes.ok;
}

/** @throws AppError `not_found` when no agent of this name has ever cost anything. */
async function requireKnown(agent: string, sessions: Pick<Sessions, "costs">): Promise<void> {
  const { rows } = await sessions.costs({ by: "agent", limit: 1_000 });
  const names = rows.flatMap(({ key }) => (key === null ? [] : [key]));
  if (names.length === 0 || names.includes(agent)) return;
  throw new AppError("not_found", `no calls of an agent named ${JSON.stringify(agent)} are on record`, {
    hint: `On record: ${names.slice(0, 20).join(", ")}. It is the agent's name that is asked for, not its folder.`,
  });
}

function readGrouping(text: string): CostGrouping {
  const grouping = costGroupings.find((known) => known === text);
  if (grouping !== undefined) return grouping;
  throw new AppError("invalid_input", `--by ${JSON.stringify(text)} is not known`, {
    hint: `Known: ${costGroupings.join(", ")}.`,
  });
}

const figures = ["CALLS", "IN", "CACHED", "OUT", "COST"].map((title) => ({ title, align: "right" }) as const);

function printReport({ by, since, rows, total, omitted }: CostReport, terminal: Terminal): void {
  const { stdout, env } = terminal;
  if (rows.length === 0) {
    printLine(stdout, "No calls to models are on record.");
    return;
  }
  const nobody = by === "actor" ? "(not said)" : "-";
  const cells = rows.map(({ key, ...costs }) => [oneLine(key ?? nobody), ...cellsOf(costs)]);
  printTable(
    [{ title: by.toUpperCase() }, ...figures, { title: "" }],
    [...cells, ["total", ...cellsOf(total)]],
    terminal,
  );
  const style = stylerFor(stdout, env);
  const notes = [
    ...(since === null
      ? []
      : [
          by === "session"
            ? `sessions that have changed since ${since}, as wholes`
            : `from ${since} on (UTC)`,
        ]),
    ...(omitted === 0 ? [] : [`${plural(omitted, "row")} of less not shown, but in the total`]),
  ];
  if (notes.length > 0) printLine(stdout, style("dim", notes.join("; ")));
}

function cellsOf({ calls, usage, costUsd, unpricedCalls, lostCalls }: Costs): readonly string[] {
  return [
    String(calls),
    count(usage.input + usage.cacheRead + usage.cacheWrite),
    count(usage.cacheRead),
    count(usage.output),
    dollars(costUsd),
    unpricedCalls === 0
      ? ""
      : `+ ${plural(unpricedCalls, "call")} of unknown cost${lostCalls === null || lostCalls === 0 ? "" : `, ${lostCalls} of them lost`}`,
  ];
}
