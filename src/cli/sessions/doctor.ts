import { join } from "node:path";
import { systemClock } from "../../lib/clock.ts";
import { examineSession } from "../../run/session/repair.ts";
import { openSqliteStore } from "../../stores/sqlite/sqlite.ts";
import { exitCodes } from "../exit.ts";
import { oneLine } from "../render/plain.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";
import { getSession, openLocalPlace, type PlaceWishes } from "./session.ts";

export interface DoctorWishes extends Omit<PlaceWishes, "url"> {
  readonly session: string;
  readonly repair: boolean;
  readonly json: boolean;
}

/** `holdfast doctor <session>`: on this machine's data directory, also while a server works on other sessions of it. */
export async function doctorSession(wishes: DoctorWishes, terminal: Terminal): Promise<number> {
  const path = await databaseOf(wishes, terminal);
  await using store = await openSqliteStore({ path });
  const { session: id, repair } = wishes;
  const { entries, problems, repaired } = await examineSession(store, id, { repair, clock: systemClock });
  const healthy = problems.length === 0 || repaired;
  if (wishes.json) printJson(terminal, { session: id, entries, problems, repaired });
  else printLine(terminal.stdout, describe(id, entries, problems, repaired));
  return healthy ? exitCodes.ok : exitCodes.failed;
}

/** @throws AppError `not_found`, with the nearest session's id. */
async function databaseOf(wishes: DoctorWishes, terminal: Terminal): Promise<string> {
  await using place = await openLocalPlace(wishes, terminal);
  await getSession(place.sessions, wishes.session);
  return join(place.local.dataDir, "holdfast.db");
}

function describe(id: string, entries: number, problems: readonly string[], repaired: boolean): string {
  if (problems.length === 0) return `✓ ${id}: ${entries} entries, the transcript is whole.`;
  const list = problems.map((problem) => `  ${oneLine(problem)}`).join("\n");
  const end = repaired
    ? "Repaired by appending; the session can go on."
    : `Nothing was changed. To put it right: holdfast doctor ${id} --repair`;
  return `✗ ${id}: ${entries} entries, and what no provider would accept:\n${list}\n${end}`;
}
