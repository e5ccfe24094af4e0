import { mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { AppError, isAppError, systemErrorCode } from "../lib/errors.ts";
import { sha256 } from "../lib/ids.ts";
import { namesIn, openBlobs } from "./blobs.ts";
import { encodeManifest, parseManifest } from "./manifest.ts";
import { restoreSnapshot } from "./restore.ts";
import type { Manifest, Snapshots } from "./snapshot.ts";
import { openStatIndex } from "./stat-index.ts";
import { takeSnapshot } from "./take.ts";

export interface DiskSnapshotsOptions {
  /** Made at the first use: "objects", "manifests", "indexes", "drafts". On the file system of the workspaces, if possible. */
  readonly directory: string;
  readonly clock: Clock;
  /** Names in the top of a workspace that no `.gitignore` hides. Default: none. */
  readonly kept?: readonly string[];
}

/** What nobody has asked to keep for this long belongs to nothing that is still to be written down. */
const UNUSED_MS = 3_600_000;

/** Snapshots in a folder of this machine. Several processes may use it at once. */
export function diskSnapshots({ directory, clock, kept = [] }: DiskSnapshotsOptions): Snapshots {
  const folderOf = (name: string) => join(directory, name);
  const drafts = folderOf("drafts");
  const objects = openBlobs(folderOf("objects"), drafts, clock);
  const manifests = openBlobs(folderOf("manifests"), drafts, clock);
  const index = openStatIndex(folderOf("indexes"), drafts, manifests.touch);

  async function prepare(): Promise<void> {
    for (const name of ["objects", "manifests", "indexes", "drafts"]) {
      await mkdir(folderOf(name), { recursive: true, mode: 0o700 });
    }
  }

  async function manifest(id: string): Promise<Manifest> {
    if (!isHash(id) || !(await manifests.has(id))) {
      throw new AppError("not_found", `There is no snapshot "${id}".`);
    }
    return parseManifest(await readManifest(id));
  }

  async function readManifest(id: string): Promise<unknown> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of manifests.read(id)) chunks.push(chunk);
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  }

  /** For comparing and counting, not for writing anything: it has its hash, and was checked when it was put there. */
  async function manifestIfAny(id: string): Promise<Manifest | undefined> {
    try {
      return (await readManifest(id)) as Manifest;
    } catch (error) {
      if (isAppError(error, "corrupt")) return undefined;
      throw error;
    }
  }

  return {
    async take(workspace, previous, options) {
      await prepare();
      try {
        return await takeSnapshot(workspace, previous, options, {
          objects,
          manifests,
          index,
          kept,
          manifest: manifestIfAny,
        });
      } catch (cause) {
        const code = systemErrorCode(cause);
        if (code !== "ENOSPC" && code !== "EDQUOT") throw cause;
        throw new AppError("no_space", "the disk is full: the workspace cannot be saved", { cause });
      }
    },

    async restore(id, into, { replacing, signal } = {}) {
      await prepare();
      const known = await index.load(into);
      const present = replacing === undefined ? undefined : await manifest(replacing);
      return restoreSnapshot(await manifest(id), into, { objects, known, present, drafts, kept }, signal);
    },

    manifest,
    has: async (id) => isHash(id) && manifests.has(id),

    async collect(inUse, signal) {
      const before = clock.now() - UNUSED_MS;
      let snapshots = 0;
      for await (const id of manifests.list()) {
        signal?.throwIfAborted();
        if (!inUse.has(id) && (await manifests.removeUnused(id, before))) snapshots += 1;
      }
      await removeOld(drafts, before);
      await index.prune();
      // Contents become useless with the snapshots that hold them, and only then is it worth reading all the others.
      if (snapshots === 0) return { snapshots, objects: 0 };
      // Listed after the removing, so that it holds whatever a snapshot that is taken now refers to.
      const needed = new Set<string>();
      for await (const id of manifests.list()) {
        signal?.throwIfAborted();
        const entries = (await manifestIfAny(id))?.entries ?? [];
        for (const entry of entries) if (entry.type === "file") needed.add(entry.hash);
      }
      let removed = 0;
      for await (const hash of objects.list()) {
        signal?.throwIfAborted();
        if (!needed.has(hash) && (await objects.removeUnused(hash, before))) removed += 1;
      }
      return { snapshots, objects: removed };
    },

    readObject: (hash) => objects.read(checkedHash(hash)),

    async putObject(hash, content) {
      await prepare();
      await objects.put(content, checkedHash(hash));
    },

    async putManifest(id, value) {
      await prepare();
      const parsed = parseManifest(value);
      const bytes = Buffer.from(encodeManifest(parsed));
      if (sha256(bytes) !== id) {
        throw new AppError("corrupt", `the manifest that is to be ${id} is ${sha256(bytes)}`);
      }
      for (const entry of parsed.entries) {
        if (entry.type !== "file" || (await objects.touch(entry.hash))) continue;
        throw new AppError("corrupt", `${entry.path}: the content ${entry.hash} is missing`);
      }
      await objects.flush();
      await manifests.put(
        (async function* () {
          yield bytes;
        })(),
      );
      await manifests.flush();
    },
  };
}

function isHash(id: string): boolean {
  return /^[0-9a-f]{64}$/.test(id);
}

/** It becomes the name of a file. @throws AppError `invalid_input` */
function checkedHash(hash: string): string {
  if (isHash(hash)) return hash;
  throw new AppError("invalid_input", `${JSON.stringify(hash)} is no SHA-256`);
}

/** What processes that died were writing. */
async function removeOld(folder: string, before: number): Promise<void> {
  for (const name of await namesIn(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && found.mtimeMs < before) await rm(path, { recursive: true, force: true });
  }
}
