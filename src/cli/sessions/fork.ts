import { withoutUndefined } from "../../lib/json.ts";
import { exitCodes } from "../exit.ts";
import { placeWords } from "../place-words.ts";
import { oneLine } from "../render/plain.ts";
import { shellWord } from "../shell-word.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";
import { filesWords } from "./files-words.ts";
import { openPlaceOf } from "./place-with-agent.ts";
import type { PlaceWishes } from "./session.ts";

export interface ForkWishes extends PlaceWishes {
  readonly session: string;
  readonly at: string | undefined;
  readonly keepFiles: boolean;
  readonly id: string | undefined;
  readonly title: string | undefined;
  readonly json: boolean;
}

/** `holdfast sessions fork` */
export async function forkOne(wishes: ForkWishes, terminal: Terminal): Promise<number> {
  await using place = await openPlaceOf(wishes.session, wishes, terminal);
  const { at, keepFiles, id, title } = wishes;
  const request = { ...(keepFiles ? { keepFiles } : {}), ...withoutUndefined({ at, id, title }) };
  const forked = await place.sessions.fork(place.session.id, request);
  if (wishes.json) {
    printJson(terminal, forked);
    return exitCodes.ok;
  }
  const { session, files } = forked;
  const { stdout } = terminal;
  printLine(stdout, oneLine(`Forked ${place.session.id} at #${forked.at.seq} into ${session.id}.`));
  printLine(stdout, oneLine(`Its files are ${filesWords(files)}.`));
  const where = placeWords(wishes);
  if (session.status === "waiting") {
    printLine(
      stdout,
      oneLine(
        `It waits for an answer: holdfast interrupts show ${[shellWord(session.id), ...where].join(" ")}`,
      ),
    );
  } else if (wishes.url === undefined) {
    printLine(
      stdout,
      oneLine(`Go on with: holdfast run --session ${[shellWord(session.id), ...where].join(" ")}`),
    );
  }
  return exitCodes.ok;
}
