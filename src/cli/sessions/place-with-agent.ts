import { isAppError } from "../../lib/errors.ts";
import type { SessionRecord } from "../../log/session-log.ts";
import { openRuntime } from "../../runtime.ts";
import { createNotices } from "../notices.ts";
import type { Terminal } from "../terminal.ts";
import { getSession, harnessOf, openPlace, type Place, type PlaceWishes } from "./session.ts";

/** A session, in a place that knows its agent where the agent is here: its files begin with what the agent says. */
export interface PlaceOfSession extends AsyncDisposable {
  readonly sessions: Place["sessions"];
  readonly session: SessionRecord;
}

/** Nothing is worked on. @throws AppError as `openPlace` and `getSession`. */
export async function openPlaceOf(
  sessionId: string,
  wishes: PlaceWishes,
  terminal: Terminal,
): Promise<PlaceOfSession> {
  await using opened = new AsyncDisposableStack();
  const { sessions, local } = opened.use(await openPlace(wishes, terminal));
  const session = await getSession(sessions, sessionId);
  const file = local === null ? undefined : await harnessOf(session, local).catch(orNotHere);
  if (local === null || file === undefined) return withDisposal(sessions, session, opened.move());
  const { config, dataDir } = local;
  const notify = createNotices(terminal, { json: wishes.json === true }).tell;
  const runtime = opened.use(await openRuntime({ config, dataDir, agents: [file], work: "none", notify }));
  return withDisposal(runtime.sessions, session, opened.move());
}

function orNotHere(error: unknown): undefined {
  if (!isAppError(error, "not_found")) throw error;
  return undefined;
}

function withDisposal(
  sessions: Place["sessions"],
  session: SessionRecord,
  disposal: AsyncDisposableStack,
): PlaceOfSession {
  return { sessions, session, [Symbol.asyncDispose]: () => disposal.disposeAsync() };
}
