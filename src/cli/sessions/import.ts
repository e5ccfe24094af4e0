import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { AppError, isAppError, systemErrorCode } from "../../lib/errors.ts";
import type { SessionRecord } from "../../log/session-log.ts";
import type { ImportResult } from "../../run/session/transfer.ts";
import { exitCodes } from "../exit.ts";
import { createNotices } from "../notices.ts";
import { oneLine } from "../render/plain.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";
import { harnessOf, openPlace, type Place, type PlaceWishes } from "./session.ts";
import { untilInterrupted } from "./until-interrupted.ts";

export interface ImportWishes extends PlaceWishes {
  /** A path; "-" for standard input. */
  readonly file: string;
  readonly as: string | undefined;
  readonly expect: string | undefined;
  readonly tenant: string | undefined;
  readonly json: boolean;
}

/** `holdfast sessions import`. The data directory is made where there is none yet. */
export async function importSession(wishes: ImportWishes, terminal: Terminal): Promise<number> {
  const { as, expect, tenant } = wishes;
  await using source = await openSource(wishes.file, terminal);
  await using place = await openPlace({ ...wishes, make: true }, terminal);
  const imported = await place.sessions.import(untilInterrupted(source.bytes, terminal), {
    ...(as === undefined ? {} : { as }),
    ...(expect === undefined ? {} : { expect }),
    ...(tenant === undefined ? {} : { tenant }),
  });
  if (!(await isServed(imported, place))) {
    createNotices(terminal, wishes).tell(
      `the agent "${imported.session.agent}" of this session is not here; the session can be looked at, and goes on where the agent is`,
    );
  }
  if (wishes.json) printJson(terminal, imported);
  else tell(imported, terminal);
  return exitCodes.ok;
}

function tell({ session, created }: ImportResult, { stdout }: Terminal): void {
  const id = oneLine(session.id);
  if (!created) {
    printLine(stdout, `This file was imported before: ${id} is there already.`);
    return;
  }
  const waits = session.status === "waiting" ? " It waits for a person, as it did." : "";
  printLine(stdout, `Imported ${id}: ${session.headSeq} entries.${waits}`);
}

interface Source extends AsyncDisposable {
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** @throws AppError `not_found`, `invalid_input` */
async function openSource(path: string, { cwd, stdin }: Terminal): Promise<Source> {
  if (path === "-") {
    if (stdin.isTTY === true) {
      throw new AppError("invalid_input", "there is nobody to type the file", {
        hint: "Pipe it in, or name it.",
      });
    }
    return { bytes: stdin, async [Symbol.asyncDispose]() {} };
  }
  const file = await open(resolve(cwd, path), "r").catch((cause: unknown) => {
    if (systemErrorCode(cause) !== "ENOENT") throw cause;
    throw new AppError("not_found", `there is no file ${path}`, { cause });
  });
  if ((await file.stat()).isFile()) {
    const bytes = file.createReadStream({ autoClose: false });
    return { bytes, [Symbol.asyncDispose]: () => file.close() };
  }
  await file.close();
  throw new AppError("invalid_input", `${path} is not a file`);
}

/** In a data directory nothing is served; there the agent only has to be found. */
async function isServed({ session, served }: ImportResult, { local }: Place): Promise<boolean> {
  return local === null ? served : isFound(session, local);
}

async function isFound(session: SessionRecord, local: NonNullable<Place["local"]>): Promise<boolean> {
  try {
    await harnessOf(session, local);
    return true;
  } catch (error) {
    if (isAppError(error, "not_found")) return false;
    throw error;
  }
}
