import { open, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "../lib/errors.ts";
import { newId, sha256 } from "../lib/ids.ts";
import { isRecord } from "../lib/json.ts";
import { namesIn } from "./blobs.ts";
import type { FoundFile } from "./scan.ts";

/**
 * What is known of the files of each workspace from the last time, so that only those are read that have changed since. A file
 * on disk for each workspace, which may be lost without harm.
 */
export interface StatIndex {
  load(workspace: string): Promise<KnownFiles>;
  /** Removes what is about workspaces that are gone. */
  prune(): Promise<void>;
}

export interface KnownFiles {
  /** Undefined when the file has to be read. */
  hashOf(file: FoundFile): string | undefined;
  /** `snapshot`: it holds all of them, so that their contents are there for as long as it is. */
  save(snapshot: string, files: readonly KnownFile[]): Promise<void>;
}

export interface KnownFile {
  readonly file: FoundFile;
  /** Undefined where it could not be read. */
  readonly hash: string | undefined;
}

/** `holds`: asks to keep a snapshot on, and whether it is there. */
export function openStatIndex(
  folder: string,
  drafts: string,
  holds: (snapshot: string) => Promise<boolean>,
): StatIndex {
  const pathOf = (workspace: string) => join(folder, `${sha256(workspace, 32)}.json`);

  return {
    async load(workspace) {
      const before = await timeOf(drafts);
      const stored = await readStored(pathOf(workspace));
      const isUsable = stored?.workspace === workspace && (await holds(stored.snapshot));
      const files = new Map(isUsable ? stored.files.map((file) => [file[0], file]) : []);
      return {
        hashOf({ path, stamp }) {
          const [, text, hash] = files.get(path) ?? [];
          return text === stamp.text ? hash : undefined;
        },
        async save(snapshot, found) {
          const trusted = found.flatMap(({ file, hash }): StoredFile[] =>
            hash !== undefined && file.stamp.changedNs < before - GRAIN_NS
              ? [[file.path, file.stamp.text, hash]]
              : [],
          );
          const isSame =
            isUsable &&
            stored.snapshot === snapshot &&
            trusted.length === files.size &&
            trusted.every(([path, text]) => files.get(path)?.[1] === text);
          if (isSame) return;
          const next: Stored = { workspace, snapshot, files: trusted };
          const draft = join(drafts, newId("d"));
          await writeFile(draft, JSON.stringify(next), { mode: 0o600 });
          await rename(draft, pathOf(workspace));
        },
      };
    },
    async prune() {
      for (const name of await namesIn(folder)) {
        const path = join(folder, name);
        const workspace = (await readStored(path))?.workspace;
        if (workspace === undefined || (await isMissing(workspace))) await unlink(path).catch(() => {});
      }
    },
  };
}

interface Stored {
  readonly workspace: string;
  readonly snapshot: string;
  readonly files: readonly StoredFile[];
}

type StoredFile = readonly [path: string, stamp: string, hash: string];

/**
 * A file that changed this shortly before it was looked at may change again without another time on it, so it is not known
 * and read again the next time. The clocks of file systems tick every few milliseconds, some every second.
 */
const GRAIN_NS = 1_000_000_000n;

/** What time it is by the clock of the file system, which may be another machine's. Nanoseconds. */
async function timeOf(drafts: string): Promise<bigint> {
  const draft = join(drafts, newId("d"));
  const file = await open(draft, "wx", 0o600);
  try {
    return (await file.stat({ bigint: true })).mtimeNs;
  } finally {
    await file.close();
    await unlink(draft);
  }
}

async function readStored(path: string): Promise<Stored | undefined> {
  try {
    const stored: unknown = JSON.parse(await readFile(path, "utf8"));
    return isRecord(stored) && typeof stored.snapshot === "string" && Array.isArray(stored.files)
      ? (stored as unknown as Stored)
      : undefined;
  } catch {
    return undefined;
  }
}

function isMissing(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    (error) => systemErrorCode(error) === "ENOENT",
  );
}
