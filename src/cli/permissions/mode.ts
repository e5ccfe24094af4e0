import { exitCodes } from "../exit.ts";
import { readMode } from "../read-mode.ts";
import { getSession, openPlace, type PlaceWishes } from "../sessions/session.ts";
import { withAgent } from "../sessions/with-agent.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";
import { actorFor } from "./permission.ts";

export interface ModeWishes extends PlaceWishes {
  readonly session: string;
  readonly mode: string;
  readonly actor: string | undefined;
  readonly json: boolean;
}

/** `holdfast permissions mode` */
export async function switchMode(wishes: ModeWishes, terminal: Terminal): Promise<number> {
  const mode = readMode("the mode", wishes.mode);
  await using place = await openPlace(wishes, terminal);
  const session = await getSession(place.sessions, wishes.session);
  await using at = await withAgent(place, session, terminal, wishes.json);
  await at.sessions.setMode(session.id, mode, actorFor(place, wishes.actor));
  if (wishes.json) printJson(terminal, { sessionId: session.id, mode });
  else
    printLine(
      terminal.stdout,
      `${session.id} works in the mode ${mode} from now on; a run that is under way, before its next call.`,
    );
  return exitCodes.ok;
}
