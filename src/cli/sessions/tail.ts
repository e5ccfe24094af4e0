import type { RunEvent } from "../../run/session/events.ts";
import type { Sessions } from "../../run/session/sessions.ts";
import { exitCodes } from "../exit.ts";
import { placeWords } from "../place-words.ts";
import { jsonText } from "../printable.ts";
import { readInteger } from "../read-number.ts";
import { openScreen } from "../render/screen.ts";
import { createSessionView } from "../render/session-view.ts";
import { viewOptions } from "../render/view-options.ts";
import type { Terminal } from "../terminal.ts";
import { getSession, openPlace, type PlaceWishes } from "./session.ts";

export interface TailWishes extends PlaceWishes {
  readonly session: string;
  readonly after: string | undefined;
  readonly untilIdle: boolean;
  readonly json: boolean;
}

/** `holdfast sessions tail`. Ctrl-C ends the reading, which is what was asked for: exit code 0. */
export async function tailSession(wishes: TailWishes, terminal: Terminal): Promise<number> {
  const after = readInteger("--after", wishes.after ?? "0", { min: 0, max: Number.MAX_SAFE_INTEGER });
  await using place = await openPlace(wishes, terminal);
  const { sessions } = place;
  const { id } = await getSession(sessions, wishes.session);
  const leaving = new AbortController();
  const signal = AbortSignal.any([terminal.interruption(), leaving.signal]);
  const events = sessions.watch(id, { after, signal });
  using shown = wishes.json ? showJson(terminal) : showText(wishes, terminal);
  try {
    for await (const event of wishes.untilIdle ? untilIdle(events, sessions, { id, after }) : events) {
      shown.add(event);
    }
  } finally {
    leaving.abort();
  }
  return exitCodes.ok;
}

/** Ends when everything was seen and nothing is left to do. */
async function* untilIdle(
  events: AsyncIterable<RunEvent>,
  sessions: Pick<Sessions, "get">,
  { id, after }: { readonly id: string; readonly after: number },
): AsyncGenerator<RunEvent> {
  const isIdleAt = async (seq: number) => {
    const { status, headSeq } = await sessions.get(id);
    return (status === "idle" || status === "waiting") && headSeq <= seq;
  };
  if (await isIdleAt(after)) return;
  for await (const event of events) {
    yield event;
    if (event.type === "entry" && settles.has(event.entry.type) && (await isIdleAt(event.entry.seq))) return;
  }
}

/** After these entries a session may be idle. */
const settles: ReadonlySet<string> = new Set([
  "sessionCreated",
  "userMessage",
  "stopRequested",
  "interrupted",
  "runFinished",
  "runFailed",
]);

interface Shown extends Disposable {
  add(event: RunEvent): void;
}

function showJson({ stdout }: Terminal): Shown {
  return { add: (event) => stdout.write(`${jsonText(event)}\n`), [Symbol.dispose]() {} };
}

function showText(wishes: PlaceWishes, terminal: Terminal): Shown {
  const view = createSessionView({ ...viewOptions(terminal), place: placeWords(wishes) });
  const screen = openScreen(terminal, view.activity);
  return {
    add: (event) => screen.print(view.add(event)),
    [Symbol.dispose]() {
      screen.print(view.close());
      screen[Symbol.dispose]();
    },
  };
}
