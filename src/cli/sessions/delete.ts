import { systemClock } from "../../lib/clock.ts";
import { AppError, isAppError } from "../../lib/errors.ts";
import type { SessionPosition, SessionRecord } from "../../log/session-log.ts";
import type { Sessions } from "../../run/session/sessions.ts";
import { exitCodes } from "../exit.ts";
import { readDuration } from "../read-number.ts";
import { plural } from "../render/figures.ts";
import { oneLine } from "../render/plain.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";
import { getSession, openPlace, type PlaceWishes } from "./session.ts";

export interface DeleteWishes extends PlaceWishes {
  readonly sessions: readonly string[];
  /** Idle sessions that nothing has changed for so long, for example "30d". */
  readonly olderThan: string | undefined;
  /** Do not ask. */
  readonly yes: boolean;
  readonly json: boolean;
}

/** `holdfast sessions delete`. Who sits at a terminal is asked first; a script has to say --yes for those that are not named. */
export async function deleteSessions(wishes: DeleteWishes, terminal: Terminal): Promise<number> {
  const age = readAge(wishes);
  await using place = await openPlace(wishes, terminal);
  const { sessions } = place;
  const tell = (id: string) => {
    if (!wishes.json) printLine(terminal.stdout, `Deleted ${oneLine(id)}.`);
  };
  const deleted =
    age === null
      ? await deleteNamed(sessions, { wishes, terminal, tell })
      : await deleteOld(sessions, { age, wishes, terminal, tell });
  if (wishes.json) printJson(terminal, { deleted });
  else if (deleted.length === 0) printLine(terminal.stdout, "Nothing was deleted.");
  return exitCodes.ok;
}

type Deletable = Pick<Sessions, "get" | "list" | "delete">;

/** Milliseconds; null when the sessions are named. @throws AppError `invalid_input` unless it is one of the two. */
function readAge({ sessions, olderThan }: DeleteWishes): number | null {
  if (sessions.length > 0 && olderThan !== undefined) {
    throw new AppError("invalid_input", "sessions are named, and --older-than describes others", {
      hint: "Leave one of the two out.",
    });
  }
  if (sessions.length === 0 && olderThan === undefined) {
    throw new AppError("invalid_input", "which sessions are to be deleted?", {
      hint: "Name them, or say --older-than 30d.",
    });
  }
  return olderThan === undefined ? null : readDuration("--older-than", olderThan, "d");
}

/** All must exist before the first one is deleted. */
async function deleteNamed(
  sessions: Deletable,
  { wishes, terminal, tell }: Omit<DeleteOld, "age">,
): Promise<readonly string[]> {
  const wanted = new Set<string>();
  for (const id of wishes.sessions) wanted.add((await getSession(sessions, id)).id);
  const what = oneLine([...wanted].join(", "));
  const mustAsk = !wishes.yes && terminal.stdin.isTTY === true;
  if (mustAsk && !(await agreesTo(`Delete ${what}, with all files?`, what, terminal))) return [];
  for (const id of wanted) {
    await sessions.delete(id);
    tell(id);
  }
  return [...wanted];
}

interface DeleteOld {
  readonly age: number;
  readonly wishes: DeleteWishes;
  readonly terminal: Terminal;
  readonly tell: (id: string) => void;
}

async function deleteOld(
  sessions: Deletable,
  { age, wishes, terminal, tell }: DeleteOld,
): Promise<readonly string[]> {
  const old = await Array.fromAsync(idleSince(sessions, systemClock.now() - age));
  if (old.length === 0) return [];
  const what = `${plural(old.length, "session")} not changed for ${wishes.olderThan}`;
  if (!wishes.yes && !(await agreesTo(`Delete ${what}, with all files?`, what, terminal))) return [];
  const deleted: string[] = [];
  for (const { id } of old) {
    try {
      await sessions.delete(id);
    } catch (error) {
      // It got work since it was listed, or somebody else has deleted it.
      if (isAppError(error, "conflict") || isAppError(error, "not_found")) continue;
      throw error;
    }
    tell(id);
    deleted.push(id);
  }
  return deleted;
}

const PAGE = 1_000;

async function* idleSince(sessions: Deletable, time: number): AsyncGenerator<SessionRecord> {
  // No id comes before this one, so that the first page holds what changed before this time.
  let after: SessionPosition | undefined = { updatedAt: time, id: "0" };
  while (after !== undefined) {
    const page: readonly SessionRecord[] = await sessions.list({ status: "idle", limit: PAGE, after });
    yield* page;
    after = page.length < PAGE ? undefined : page.at(-1);
  }
}

/** @throws AppError `invalid_input` where there is nobody to ask. */
async function agreesTo(question: string, what: string, { stdin, stderr }: Terminal): Promise<boolean> {
  if (stdin.isTTY !== true) {
    throw new AppError("invalid_input", `${what} would be deleted`, { hint: "Repeat it with --yes." });
  }
  stderr.write(`${question} [y/N] `);
  for await (const answer of stdin) return /^y(es)?$/i.test(String(answer).trim());
  return false;
}
