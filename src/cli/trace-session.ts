import { traceOf } from "../run/session/trace.ts";
import { exitCodes } from "./exit.ts";
import { traceLines } from "./render/trace.ts";
import { getSession, openPlace, type PlaceWishes } from "./sessions/session.ts";
import { allEntries } from "./sessions/show.ts";
import { printJson, printLine, stylerFor, type Terminal } from "./terminal.ts";

export interface TraceWishes extends PlaceWishes {
  readonly session: string;
  readonly json: boolean;
}

/** `holdfast trace` */
export async function traceSession(wishes: TraceWishes, terminal: Terminal): Promise<number> {
  await using place = await openPlace(wishes, terminal);
  const session = await getSession(place.sessions, wishes.session);
  const trace = traceOf(await Array.fromAsync(allEntries(place.sessions, session)));
  if (wishes.json) printJson(terminal, { session, ...trace });
  else {
    const style = stylerFor(terminal.stdout, terminal.env);
    for (const line of traceLines(trace, style)) printLine(terminal.stdout, line);
  }
  return exitCodes.ok;
}
