import { createReadStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isAppError } from "../lib/errors.ts";
import { sha256 } from "../lib/ids.ts";
import type { Entry } from "../log/entry.ts";
import { encodeManifest } from "../snapshots/manifest.ts";
import type { Manifest as Snapshot, Snapshots } from "../snapshots/snapshot.ts";
import { SNAPSHOTS } from "./archive.ts";
import { bodyless, type Content, PRIVATE } from "./content.ts";
import { damaged } from "./seal.ts";

/**
 * What earlier states of a workspace are made of, as members: `snapshots/objects/<hash>`, each content once, and
 * `snapshots/manifests/<id>.json`.
 */
const OBJECTS = `${SNAPSHOTS}/objects`;
const MANIFESTS = `${SNAPSHOTS}/manifests`;

/** The snapshots that an entry speaks of: what the files were kept as, or what they became by a fork or a move. */
export function snapshotsIn(entry: Entry): readonly string[] {
  switch (entry.type) {
    case "workspaceSaved":
      return [entry.snapshot];
    case "sessionCreated":
    case "headMoved":
      return entry.files?.snapshot === undefined ? [] : [entry.files.snapshot];
    default:
      return [];
  }
}

/** Those of the wanted ones that are there, in order, and their members. @throws AppError `corrupt` when one of them is damaged. */
export async function snapshotMembers(
  snapshots: Pick<Snapshots, "has" | "manifest" | "readObject">,
  wanted: Iterable<string>,
): Promise<{ readonly names: readonly string[]; readonly contents: readonly Content[] }> {
  const objects = new Map<string, Content>();
  const manifests: Content[] = [];
  const names: string[] = [];
  for (const id of wanted) {
    if (!(await snapshots.has(id))) continue;
    const manifest = await snapshots.manifest(id);
    names.push(id);
    manifests.push(manifestMember(id, manifest));
    for (const entry of manifest.entries) {
      if (entry.type !== "file" || objects.has(entry.hash)) continue;
      const { hash, size } = entry;
      const member = { type: "file", name: `${OBJECTS}/${hash}`, mode: PRIVATE, size, sha256: hash } as const;
      objects.set(hash, { member, read: () => snapshots.readObject(hash) });
    }
  }
  if (names.length === 0) return { names, contents: [] };
  const folders = [SNAPSHOTS, OBJECTS, MANIFESTS].map((name) =>
    bodyless({ type: "directory", name, mode: 0o700 }),
  );
  return { names, contents: [...folders, ...objects.values(), ...manifests] };
}

function manifestMember(id: string, snapshot: Snapshot): Content {
  const text = Buffer.from(encodeManifest(snapshot));
  return {
    member: {
      type: "file",
      name: `${MANIFESTS}/${id}.json`,
      mode: PRIVATE,
      size: text.length,
      sha256: sha256(text),
    },
    async *read() {
      yield text;
    },
  };
}

/**
 * Keeps the snapshots that were unpacked into `directory`. Those that nothing speaks of in the end are removed in time, so that
 * this does no harm when the import fails after it. @throws AppError `invalid_input`
 */
export async function keepSnapshots(
  snapshots: SnapshotSink,
  directory: string,
  names: readonly string[],
): Promise<void> {
  try {
    await keep(snapshots, directory, names);
  } catch (error) {
    // About the file; it is not this store that is damaged.
    throw isAppError(error, "corrupt") ? damaged(`its snapshots: ${error.message}`, error) : error;
  }
}

type SnapshotSink = Pick<Snapshots, "putObject" | "putManifest">;

async function keep(snapshots: SnapshotSink, directory: string, names: readonly string[]): Promise<void> {
  for (const hash of await readdir(join(directory, "objects"))) {
    if (!/^[0-9a-f]{64}$/.test(hash)) throw damaged("one of its snapshots holds something odd");
    await snapshots.putObject(hash, createReadStream(join(directory, "objects", hash)));
  }
  const manifests = new Set(await readdir(join(directory, "manifests")));
  if (manifests.size !== names.length) throw damaged("it has other snapshots than it says");
  for (const id of names) {
    if (!manifests.has(`${id}.json`)) throw damaged("it has other snapshots than it says");
    await snapshots.putManifest(id, await readJson(join(directory, "manifests", `${id}.json`)));
  }
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw damaged("one of its snapshots cannot be read", cause);
  }
}
