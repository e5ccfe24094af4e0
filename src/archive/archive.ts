import { z } from "zod";
import type { SessionRecord } from "../log/session-log.ts";
import type { FilesDue } from "../log/time-travel.ts";

/**
 * A session as one file, to be taken from one store to another: a tar, compressed with gzip, that any tool can look into.
 *
 * | member | what it is |
 * |---|---|
 * | `manifest.json` | always the first: what the file holds, with the size and hash of each member behind it |
 * | `entries.jsonl` | the log, an entry in each line, in the order of `seq`, abandoned branches and shared history included |
 * | `workspace/...` | the files, directories and links of the workspace |
 * | `snapshots/...` | what earlier states of the workspace are made of |
 *
 * The SHA-256 of `manifest.json` is the *id* of the file: whoever knows it knows all of the content. Behind the tar stands a
 * seal over every byte before it (`seal.ts`), so that no change is too small to be noticed. Neither is a signature.
 *
 * Read on: `export-session.ts`, `stage.ts`.
 */
export interface Manifest {
  readonly format: typeof FORMAT;
  readonly formatVersion: typeof FORMAT_VERSION;
  /** The release that wrote it. */
  readonly holdfast: string;
  /** Milliseconds since 1970. */
  readonly exportedAt: number;
  /** As it was listed there; `headId` is the last entry. */
  readonly session: SessionRecord;
  readonly entries: number;
  readonly workspace: WorkspacePart;
  /** The states of the workspace that can be gone back to. */
  readonly snapshots: readonly string[];
  /** All others, in the order in which they stand in the file. */
  readonly members: readonly Member[];
}

export const FORMAT = "holdfast-session";
export const FORMAT_VERSION = 1;

export interface WorkspacePart {
  /** `none`: the session had no files of its own yet. `leftOut`: whoever exported it did not want them. */
  readonly state: "included" | "none" | "leftOut";
  /** What cannot be moved, and why; the first hundred. */
  readonly skipped: readonly { readonly path: string; readonly why: string }[];
  /** How many there are of those. */
  readonly skippedCount: number;
  /** The snapshot that the files were still to become; then there were none to take along (`none`). */
  readonly due: FilesDue | null;
}

export type Member = FileMember | DirectoryMember | LinkMember;

export interface FileMember {
  readonly type: "file";
  readonly name: string;
  readonly mode: number;
  readonly size: number;
  readonly sha256: string;
}

export interface DirectoryMember {
  readonly type: "directory";
  readonly name: string;
  readonly mode: number;
}

export interface LinkMember {
  readonly type: "link";
  readonly name: string;
  readonly target: string;
}

export const MANIFEST = "manifest.json";
export const ENTRIES = "entries.jsonl";
export const WORKSPACE = "workspace";
export const SNAPSHOTS = "snapshots";

/** How much of a file is believed before it is refused: none of it has been checked yet. */
export interface ArchiveLimits {
  /** Of the file as it is. */
  readonly bytes: number;
  /** Of all that it holds. */
  readonly unpackedBytes: number;
  readonly manifestBytes: number;
  /** Of one line of `entries.jsonl`. */
  readonly entryBytes: number;
}

export const DEFAULT_LIMITS: ArchiveLimits = {
  bytes: 64 * 2 ** 30,
  unpackedBytes: 256 * 2 ** 30,
  manifestBytes: 64 * 2 ** 20,
  entryBytes: 128 * 2 ** 20,
};

const count = z.int().min(0);
const mode = z.int().min(0).max(0o777);
const name = z.string().min(1).max(4_200);

const sessionSchema = z.object({
  id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,255}$/),
  agent: z.string().min(1).max(256),
  tenant: z.string().min(1).max(256),
  title: z.string().max(10_000).nullable(),
  status: z.enum(["idle", "waiting"]),
  lastRunEnd: z.string().max(256).nullable(),
  headId: z.string().min(1).max(256),
  headSeq: z.int().min(1),
  createdAt: count,
  updatedAt: count,
  turns: count,
  usage: z.object({ input: count, cacheRead: count, cacheWrite: count, output: count, reasoning: count }),
  costUsd: z.number().min(0),
  unpricedCalls: count,
  forkedFrom: z.object({ sessionId: z.string(), entryId: z.string() }).nullable(),
}) satisfies z.ZodType<SessionRecord>;

const memberSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("file"),
    name,
    mode,
    size: count,
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  z.object({ type: z.literal("directory"), name, mode }),
  z.object({ type: z.literal("link"), name, target: name }),
]);

/** What the manifest of this version must look like. That its members are possible is checked by `check-members.ts`. */
export const manifestSchema = z.object({
  format: z.literal(FORMAT),
  formatVersion: z.literal(FORMAT_VERSION),
  holdfast: z.string().max(256),
  exportedAt: count,
  session: sessionSchema,
  entries: z.int().min(1),
  workspace: z.object({
    state: z.enum(["included", "none", "leftOut"]),
    skipped: z.array(z.object({ path: z.string(), why: z.string() })).max(100),
    skippedCount: count,
    due: z.string().max(256).nullable(),
  }),
  snapshots: z.array(z.string().min(1).max(256)),
  members: z.array(memberSchema).min(1),
}) satisfies z.ZodType<Manifest>;
