import { sha256 } from "../lib/ids.ts";
import type { Entry } from "../log/entry.ts";
import type { SessionRecord } from "../log/session-log.ts";
import type { FilesDue } from "../log/time-travel.ts";
import { readTreeFile, type TreeNode, walkTree } from "../sandboxes/file-tree.ts";
import type { Snapshots } from "../snapshots/snapshot.ts";
import {
  ENTRIES,
  type FileMember,
  FORMAT,
  FORMAT_VERSION,
  MANIFEST,
  type Manifest,
  WORKSPACE,
  type WorkspacePart,
} from "./archive.ts";
import { staysInside } from "./check-members.ts";
import { bodyless, type Content, contentOf, type NamedFile, PRIVATE, unchanged } from "./content.ts";
import { linesOf } from "./log-lines.ts";
import { sealed } from "./seal.ts";
import { snapshotMembers, snapshotsIn } from "./snapshot-members.ts";
import { type Packed, packed } from "./tar.ts";

/** What a file is made of. All of it is read twice, so all of it must stand still meanwhile. */
export interface ExportSource {
  /** At rest. */
  readonly session: SessionRecord;
  /** From the first to the session's head, in order. */
  entries(): AsyncIterable<Entry>;
  /** The directory with its files; or why there is none. */
  readonly workspace: { readonly directory: string } | "none" | "leftOut";
  /** The snapshot that the files have yet to become; then there are none to take along. */
  readonly due: FilesDue | null;
  /** Null to leave them out. */
  readonly snapshots: Pick<Snapshots, "has" | "manifest" | "readObject"> | null;
  /** The release that exports. */
  readonly holdfast: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** A file that is about to be written: it is known what will be in it. */
export interface PreparedExport {
  /** The hash of the manifest. */
  readonly id: string;
  readonly manifest: Manifest;
  /** The file. @throws AppError `conflict`, in the middle, when something has changed since it was prepared. */
  bytes(): AsyncIterable<Uint8Array>;
}

/** The first reading: what there is, and its hashes. @throws AppError `conflict` when something changes meanwhile. */
export async function prepareExport(source: ExportSource): Promise<PreparedExport> {
  const wanted = new Set(source.due === null ? [] : [source.due]);
  const log = await contentOf(logFile(source, wanted));
  const { workspace, skipped, skippedCount } = await workspaceOf(source.workspace);
  const snapshots = await snapshotsOf(source.snapshots, wanted);
  const contents: readonly Content[] = [log, ...workspace, ...snapshots.contents];
  const manifest: Manifest = {
    format: FORMAT,
    formatVersion: FORMAT_VERSION,
    holdfast: source.holdfast,
    exportedAt: source.now,
    session: source.session,
    entries: source.session.headSeq,
    workspace: {
      state: typeof source.workspace === "string" ? source.workspace : "included",
      skipped,
      skippedCount,
      due: source.due,
    },
    snapshots: snapshots.names,
    members: contents.map(({ member }) => member),
  };
  const text = Buffer.from(`${JSON.stringify(manifest)}\n`);
  return {
    id: sha256(text),
    manifest,
    bytes: () => sealed(packed(membersOf(text, contents), source.now)),
  };
}

/** Takes note of the snapshots that it speaks of. */
function logFile({ session, entries }: ExportSource, wanted: Set<string>): NamedFile {
  async function* noting(): AsyncGenerator<Entry> {
    for await (const entry of entries()) {
      for (const id of snapshotsIn(entry)) wanted.add(id);
      yield entry;
    }
  }
  return { name: ENTRIES, mode: PRIVATE, read: () => linesOf(noting(), session.id) };
}

async function snapshotsOf(snapshots: ExportSource["snapshots"], wanted: ReadonlySet<string>) {
  return snapshots === null ? { names: [], contents: [] } : snapshotMembers(snapshots, wanted);
}

// ---- the workspace ----

interface Workspace extends Omit<WorkspacePart, "state" | "due"> {
  readonly workspace: readonly Content[];
}

/** The first ones are enough to see what kind of thing cannot be moved. */
const MAX_TOLD = 100;

async function workspaceOf(place: ExportSource["workspace"]): Promise<Workspace> {
  if (typeof place === "string") return { workspace: [], skipped: [], skippedCount: 0 };
  const { directory } = place;
  const workspace: Content[] = [bodyless({ type: "directory", name: WORKSPACE, mode: 0o700 })];
  const skipped: { readonly path: string; readonly why: string }[] = [];
  for await (const node of walkTree(directory)) {
    const why = obstacleOf(node);
    if (why === undefined) workspace.push(await workspaceContent(directory, node));
    else skipped.push({ path: node.path.toWellFormed(), why });
  }
  return { workspace, skipped: skipped.slice(0, MAX_TOLD), skippedCount: skipped.length };
}

/** Why something cannot be moved to another machine; undefined when it can. */
function obstacleOf({ path, type, target }: TreeNode): string | undefined {
  switch (type) {
    case "file":
    case "directory":
      return undefined;
    case "link":
      if (target === null) return "a link to a name that is not UTF-8";
      return staysInside(path, target) ? undefined : `a link that leads out of the workspace: ${target}`;
    case "other":
      return "neither a file nor a folder nor a link";
    case "unnamable":
      return "its name is not UTF-8";
  }
}

async function workspaceContent(directory: string, node: TreeNode): Promise<Content> {
  const { path, mode, target } = node;
  const name = `${WORKSPACE}/${path}`;
  if (node.type === "directory") return bodyless({ type: "directory", name, mode });
  if (target !== null) return bodyless({ type: "link", name, target });
  return contentOf({ name, mode, read: () => readTreeFile(directory, path) });
}

// ---- the second reading ----

async function* membersOf(manifest: Uint8Array, contents: readonly Content[]): AsyncGenerator<Packed> {
  const member: FileMember = {
    type: "file",
    name: MANIFEST,
    mode: PRIVATE,
    size: manifest.length,
    sha256: sha256(manifest),
  };
  yield { member, content: once(manifest) };
  for (const { member, read } of contents) {
    yield { member, content: member.type === "file" ? unchanged(member, read()) : read() };
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
