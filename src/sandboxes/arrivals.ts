import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { AppError } from "../lib/errors.ts";
import { abandonedDrafts, draftOf, livingDrafts, removeTree } from "./leftovers.ts";

/**
 * A workspace that comes from elsewhere, and the session that it belongs to, appear together. Directory and log are two places,
 * so a note says what is under way: a crash in between is made good by whoever finds the note.
 */
export interface Arrival {
  readonly sessionId: string;
  /** What becomes the workspace; on the same file system. */
  readonly directory: string;
  readonly workspace: string;
  /** Beside it the note is written. */
  readonly stateDir: string;
  /** Whether the session is in the log. */
  readonly isKept: (sessionId: string) => Promise<boolean>;
}

/**
 * Moves the directory into its place and makes the session; when that fails, the place is as it was.
 * @throws AppError `conflict` when the session is there, or arrives just now.
 */
export async function arrive<T>(arrival: Arrival, make: () => Promise<T>): Promise<T> {
  const { sessionId, directory, workspace, stateDir } = arrival;
  await mkdir(dirname(stateDir), { recursive: true, mode: 0o700 });
  const note = draftOf(`${stateDir}${ARRIVING}`);
  await writeFile(note, sessionId);
  try {
    // Each looks for others after it can be seen itself, so that of two at least one gives way.
    if ((await livingDrafts(`${stateDir}${ARRIVING}`)).some((other) => other !== basename(note))) {
      throw underWay(sessionId);
    }
    if (await exists(workspace)) {
      if (await arrival.isKept(sessionId)) throw taken(sessionId);
      await removeTree(workspace);
    }
    await rename(directory, workspace);
    await syncFolder(dirname(workspace));
    return await madeOrRemoved(workspace, make);
  } finally {
    await rm(note, { force: true });
  }
}

/** Sessions whose arrival was begun by a process that is dead, with the notes. */
export async function brokenArrivals(
  directory: string,
): Promise<readonly { readonly sessionId: string; readonly note: string }[]> {
  const notes = (await abandonedDrafts(directory)).filter((path) => basename(path).includes(ARRIVING));
  return Promise.all(notes.map(async (note) => ({ sessionId: await readFile(note, "utf8"), note })));
}

const ARRIVING = ".arriving";

async function madeOrRemoved<T>(workspace: string, make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    await removeTree(workspace);
    throw error;
  }
}

/** The session, which comes next, survives a power cut. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function taken(sessionId: string): AppError {
  return new AppError("conflict", `the session "${sessionId}" exists already`, {
    hint: "Import it under another id, with --as.",
  });
}

function underWay(sessionId: string): AppError {
  return new AppError("conflict", `the session "${sessionId}" is just being imported`, {
    hint: "Wait until that is done. Where it was killed in the last moment, this can be repeated after an hour, or now under another id, with --as.",
  });
}
