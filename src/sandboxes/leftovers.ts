import { chmod, readdir, readFile, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { systemClock } from "../lib/clock.ts";
import { systemErrorCode } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";

/**
 * What a process that dies leaves lying about, and how it is told from what a living one needs: it carries its maker's
 * number in its name, and nobody has touched it for an hour (the maker may live where its number cannot be seen, in a
 * container for example).
 */

const LEFT_ALONE_MS = 3_600_000;

/** A name for something that lives no longer than this process: "<name>.draft-<pid>-<id>". Its last part is unique. */
export function draftOf(name: string): string {
  return `${name}.draft-${process.pid}-${newId("d")}`;
}

/** Paths in `directory` that were made by `draftOf`, now or by an earlier release, and whose maker is dead. */
export async function abandonedDrafts(directory: string): Promise<readonly string[]> {
  const drafts = (await namesIn(directory)).filter((name) => /\.draft[-_]/.test(name));
  const abandoned: string[] = [];
  for (const name of drafts) {
    const path = join(directory, name);
    const maker = /\.draft-(\d+)-/.exec(name)?.[1];
    if (maker !== undefined && isAlive(Number(maker))) continue;
    if (await wasTouchedLately(path)) continue;
    abandoned.push(path);
  }
  return abandoned;
}

/** The names of what was made by `draftOf(name)` and whose maker may live. */
export async function livingDrafts(name: string): Promise<readonly string[]> {
  const [directory, start] = [dirname(name), `${basename(name)}.draft-`];
  const drafts = (await namesIn(directory)).filter((draft) => draft.startsWith(start));
  const abandoned = new Set(await abandonedDrafts(directory));
  return drafts.filter((draft) => !abandoned.has(join(directory, draft)));
}

const ERASING = ".erasing";

/** Where it is noted that the files of a session go, so that a crash in the middle of that can be made good. */
export function erasureNote(stateDir: string): string {
  return `${stateDir}${ERASING}`;
}

/** The sessions whose erasure was begun and not completed, with their notes. */
export async function notedErasures(
  directory: string,
): Promise<readonly { readonly sessionId: string; readonly note: string }[]> {
  const notes = (await namesIn(directory)).filter((name) => name.endsWith(ERASING));
  return Promise.all(
    notes.map(async (name) => {
      const note = join(directory, name);
      return { sessionId: await readFile(note, "utf8"), note };
    }),
  );
}

/** Removes a tree, also one whose directories were made read-only, as package managers like to do. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    const code = systemErrorCode(error);
    if (code !== "EACCES" && code !== "EPERM") throw error;
    await makeWritable(path);
    await rm(path, { recursive: true, force: true });
  }
}

async function makeWritable(directory: string): Promise<void> {
  await chmod(directory, 0o700);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(directory, entry.name));
  }
}

function namesIn(directory: string): Promise<readonly string[]> {
  return readdir(directory).catch(() => []);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) !== "ESRCH";
  }
}

/** True for what cannot be looked at any more: somebody else has removed it. */
async function wasTouchedLately(path: string): Promise<boolean> {
  const touched = await stat(path).catch(() => undefined);
  return touched === undefined || systemClock.now() - touched.mtimeMs < LEFT_ALONE_MS;
}
