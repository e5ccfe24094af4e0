import { type FileHandle, link, open, stat, unlink } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { AppError, systemErrorCode } from "../../lib/errors.ts";
import { isDirectory } from "../../lib/files.ts";
import { newId } from "../../lib/ids.ts";
import type { ExportedSession } from "../../run/session/transfer.ts";
import { exitCodes } from "../exit.ts";
import { plural } from "../render/figures.ts";
import { oneLine } from "../render/plain.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";
import { getSession, openPlace, type PlaceWishes } from "./session.ts";
import { untilInterrupted } from "./until-interrupted.ts";

export interface ExportWishes extends PlaceWishes {
  readonly session: string;
  /** A path; "-" for standard output; undefined for a file here that is named after the session. */
  readonly output: string | undefined;
  readonly workspace: boolean;
  readonly json: boolean;
}

/** `holdfast sessions export`. The file appears when it is whole; one that is there already stays as it is. */
export async function exportSession(wishes: ExportWishes, terminal: Terminal): Promise<number> {
  const toStdout = wishes.output === "-";
  if (toStdout && terminal.stdout.isTTY === true) {
    throw new AppError("invalid_input", "a terminal cannot show the file", {
      hint: "Name a file with -o, or pipe it into a program.",
    });
  }
  await using place = await openPlace(wishes, terminal);
  const session = await getSession(place.sessions, wishes.session);
  const file = resolve(terminal.cwd, wishes.output ?? `${session.id.replaceAll(":", "_")}.holdfast.tar.gz`);
  if (!toStdout) await requireFree(file);

  const exported = await place.sessions.export(session.id, { workspace: wishes.workspace });
  const content = untilInterrupted(exported.bytes(), terminal);
  const bytes = toStdout ? await writeOut(content, terminal) : await writeWhole(content, file);
  const told = { sessionId: session.id, file: toStdout ? null : file, bytes, ...factsOf(exported) };
  // Where the file itself goes to standard output, nothing else may.
  const tellTo = toStdout ? { stdout: terminal.stderr } : terminal;
  if (wishes.json) printJson(tellTo, told);
  else tell(told, tellTo);
  return exitCodes.ok;
}

function factsOf({ id, skipped }: ExportedSession) {
  return { id, skipped };
}

interface Told extends ReturnType<typeof factsOf> {
  readonly sessionId: string;
  readonly file: string | null;
  readonly bytes: number;
}

function tell({ sessionId, file, bytes, id, skipped }: Told, { stdout }: Pick<Terminal, "stdout">): void {
  const where = file === null ? "" : ` to ${oneLine(file)}`;
  printLine(stdout, `Exported ${oneLine(sessionId)}${where} (${bytes} bytes).`);
  if (skipped > 0) {
    printLine(
      stdout,
      `${plural(skipped, "thing")} of its workspace cannot be moved; manifest.json in the file says what, and why.`,
    );
  }
  printLine(stdout, `id ${id}`);
}

/** @throws AppError `not_found`, `conflict` */
async function requireFree(file: string): Promise<void> {
  if (!(await isDirectory(dirname(file)))) {
    throw new AppError("not_found", `there is no folder ${dirname(file)}`, {
      hint: "Make it first, or name another file with -o.",
    });
  }
  const found = await stat(file).catch(() => undefined);
  if (found !== undefined) throw taken(file);
}

async function writeOut(content: AsyncIterable<Uint8Array>, { stdout }: Terminal): Promise<number> {
  let bytes = 0;
  for await (const piece of content) {
    await new Promise<void>((done) => stdout.write(piece, done));
    bytes += piece.length;
  }
  return bytes;
}

/** Under another name until all of it is there. */
async function writeWhole(content: AsyncIterable<Uint8Array>, file: string): Promise<number> {
  const draft = join(dirname(file), `.${basename(file)}.${newId("part")}`);
  try {
    const bytes = await writeDraft(content, draft);
    // Unlike a renaming, this replaces nothing that came there meanwhile.
    await link(draft, file).catch((error: unknown) => {
      throw systemErrorCode(error) === "EEXIST" ? taken(file) : error;
    });
    return bytes;
  } finally {
    await unlink(draft).catch(() => {});
  }
}

async function writeDraft(content: AsyncIterable<Uint8Array>, draft: string): Promise<number> {
  await using file: FileHandle = await open(draft, "wx", 0o600);
  let bytes = 0;
  for await (const piece of content) {
    await file.writeFile(piece);
    bytes += piece.length;
  }
  await file.sync();
  return bytes;
}

function taken(file: string): AppError {
  return new AppError("conflict", `${file} exists already`, { hint: "Name another file with -o." });
}
