import { systemClock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import { openRuntime } from "../../runtime.ts";
import { exitCodes } from "../exit.ts";
import { ONE_SHOT } from "../local-sessions.ts";
import { createNotices } from "../notices.ts";
import { oneLine } from "../render/plain.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";
import { getSession, harnessOf, openPlace, type PlaceWishes } from "./session.ts";

export interface StopWishes extends PlaceWishes {
  readonly session: string;
  readonly json: boolean;
}

/** How long a process that works on the session has to hear of the stop before this one takes the session up. */
const HEARING_MS = 300;

/** `holdfast sessions stop`. Where no process works on the session, this one takes it up, so that the stop is recorded. */
export async function stopSession(wishes: StopWishes, terminal: Terminal): Promise<number> {
  await using place = await openPlace(wishes, terminal);
  const { sessions, local } = place;
  const session = await getSession(sessions, wishes.session);
  const reason = "holdfast sessions stop";
  if (local === null || session.status === "idle") {
    return tell(session.id, await sessions.stop(session.id, reason), wishes, terminal);
  }
  const file = await harnessOf(session, local);
  const stopping = sessions.stop(session.id, reason);
  const heard = await Promise.race([stopping, systemClock.sleep(HEARING_MS)]);
  if (heard !== undefined) return tell(session.id, heard, wishes, terminal);
  await using _worker = await openRuntime({
    config: local.config,
    dataDir: local.dataDir,
    agents: [file],
    work: { only: session.id },
    ...ONE_SHOT,
    notify: createNotices(terminal, wishes).tell,
  });
  return tell(session.id, await orInterrupted(stopping, terminal), wishes, terminal);
}

async function orInterrupted<T>(work: Promise<T>, terminal: Terminal): Promise<T> {
  const signal = terminal.interruption();
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener("abort", () =>
    reject(new AppError("cancelled", "left before the run had ended; the stop stands and will be obeyed")),
  );
  return Promise.race([work, promise]);
}

function tell(
  sessionId: string,
  { stopped }: { readonly stopped: boolean },
  { json }: StopWishes,
  terminal: Terminal,
): number {
  if (json) printJson(terminal, { sessionId, stopped });
  else
    printLine(
      terminal.stdout,
      oneLine(stopped ? `Stopped ${sessionId}.` : `Nothing was running in ${sessionId}.`),
    );
  return exitCodes.ok;
}
