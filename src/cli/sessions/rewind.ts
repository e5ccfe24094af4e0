import { AppError } from "../../lib/errors.ts";
import { exitCodes } from "../exit.ts";
import { oneLine } from "../render/plain.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";
import { filesWords } from "./files-words.ts";
import { openPlaceOf } from "./place-with-agent.ts";
import type { PlaceWishes } from "./session.ts";

export interface RewindWishes extends PlaceWishes {
  readonly session: string;
  readonly to: string | undefined;
  readonly keepFiles: boolean;
  readonly json: boolean;
}

/** `holdfast sessions rewind` */
export async function rewindOne(wishes: RewindWishes, terminal: Terminal): Promise<number> {
  const { to, keepFiles } = wishes;
  if (to === undefined) {
    throw new AppError("invalid_input", "to which entry?", {
      hint: `Say --to '~1' for what stood before the last message; holdfast sessions tree ${wishes.session} shows others.`,
    });
  }
  await using place = await openPlaceOf(wishes.session, wishes, terminal);
  const moved = await place.sessions.rewind(place.session.id, { to, keepFiles });
  if (wishes.json) {
    printJson(terminal, moved);
    return exitCodes.ok;
  }
  const { stdout } = terminal;
  printLine(stdout, oneLine(`${moved.session.id} stands behind #${moved.to.seq} again.`));
  printLine(stdout, oneLine(`Its files are ${filesWords(moved.files)}.`));
  for (const { path, why } of moved.kept ?? []) {
    printLine(stdout, oneLine(`Left as it is: ${path} (${why}).`));
  }
  printLine(
    stdout,
    oneLine(`What it left ends at #${moved.from.seq}: --to '#${moved.from.seq}' goes back to it.`),
  );
  return exitCodes.ok;
}
