import { mkdir, readlink, symlink, unlink } from "node:fs/promises";
import { join } from "node:path";
import { AppError, systemErrorCode } from "../../lib/errors.ts";
import { sha256 } from "../../lib/ids.ts";

/**
 * What the runtimes of one host must agree on: where a session's sandbox keeps its files, and which user id of the host is
 * its own. Each fact is a symbolic link, whose making is atomic and whose target is the value.
 */
export interface Registry {
  /** Remembers where the session's files are. */
  rememberSession(sessionId: string, directory: string): Promise<void>;
  directoryOf(sessionId: string): Promise<string | undefined>;
  forgetSession(sessionId: string): Promise<void>;
  /** The user id of the sandbox in a directory, the same until it is released. @throws AppError `unavailable` when all are taken. */
  uidOf(directory: string): Promise<number>;
  releaseUid(directory: string): Promise<void>;
}

/** A name for files and groups: session ids and paths may hold anything. */
export function shortName(text: string): string {
  return sha256(text, 24);
}

export interface UidPool {
  readonly first: number;
  readonly count: number;
}

export function openRegistry(directory: string, pool: UidPool): Registry {
  const sessions = join(directory, "sessions");
  const owners = join(directory, "owners");
  const uids = join(directory, "uids");
  const ready = once(async () => {
    for (const path of [sessions, owners, uids]) await mkdir(path, { recursive: true, mode: 0o700 });
  });
  return {
    async rememberSession(sessionId, target) {
      await ready();
      const link = join(sessions, shortName(sessionId));
      if ((await readlinkIfAny(link)) === target) return;
      await unlinkIfAny(link);
      await linkIfNone(target, link);
    },
    directoryOf: (sessionId) => readlinkIfAny(join(sessions, shortName(sessionId))),
    forgetSession: (sessionId) => unlinkIfAny(join(sessions, shortName(sessionId))),
    async uidOf(target) {
      await ready();
      const owner = join(owners, shortName(target));
      const owned = await readlinkIfAny(owner);
      if (owned !== undefined) return Number(owned);
      const uid = await claim(uids, target, pool);
      await linkIfNone(String(uid), owner);
      return uid;
    },
    async releaseUid(target) {
      const owner = join(owners, shortName(target));
      const uid = await readlinkIfAny(owner);
      await unlinkIfAny(owner);
      if (uid !== undefined) await unlinkIfAny(join(uids, uid));
    },
  };
}

/** Starts at a place that depends on the session, so that two registries on one host seldom give the same id. */
async function claim(uids: string, owner: string, pool: UidPool): Promise<number> {
  const start = Number.parseInt(sha256(`${uids}\n${owner}`, 8), 16);
  for (let i = 0; i < pool.count; i++) {
    const uid = pool.first + ((start + i) % pool.count);
    const link = join(uids, String(uid));
    if ((await linkIfNone(owner, link)) || (await readlinkIfAny(link)) === owner) return uid;
  }
  throw new AppError("unavailable", `all ${pool.count} user ids for sandboxes are taken`, {
    hint: "Destroy sandboxes that are no longer needed.",
  });
}

/** False when it is already there. */
async function linkIfNone(target: string, path: string): Promise<boolean> {
  try {
    await symlink(target, path);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === "EEXIST") return false;
    throw error;
  }
}

function readlinkIfAny(path: string): Promise<string | undefined> {
  return readlink(path).catch(() => undefined);
}

async function unlinkIfAny(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  });
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | undefined;
  return () => {
    started ??= work();
    return started;
  };
}
