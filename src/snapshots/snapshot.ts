/**
 * The port to what workspaces looked like: a snapshot holds the files of one as they were at one moment, so that a session
 * can go back to them, and another one can start with them. `testing/snapshot-contract.ts` says what a driver must do.
 *
 * Contents are kept once however many snapshots hold them, under their SHA-256; a snapshot is a list of them (its manifest)
 * and is named by the SHA-256 of that. Both are checked whenever they are read.
 */
export interface Snapshots {
  /**
   * Keeps the files of a workspace as they are now. Cheap when little has changed since the last time: files are looked at,
   * and only those are read that are not what they were. `previous` is what is compared with. A workspace that does not
   * exist is empty. When it resolves, the snapshot survives a power cut, and nothing removes it within the next hour; from
   * then on only what is `inUse` is safe.
   * @throws AppError `no_space`; the signal's reason.
   */
  take(workspace: string, previous: string | null, options: TakeOptions): Promise<Taken>;

  /**
   * Makes a directory equal to a snapshot, as far as that covers it: files that it would hold if they had been there are
   * removed; what it ignored or skipped, and what is ignored now, stays. Everything is read and checked before anything is
   * changed, so that a failure leaves the directory as it was; a crash in the middle is made good by doing it again. Nothing
   * else may write to the directory meanwhile. It is made where it does not exist. What is written belongs to whoever the
   * directory belongs to.
   * @throws AppError `not_found`; `corrupt` that names what is missing or damaged; `no_space`; the signal's reason.
   */
  restore(id: string, into: string, options?: RestoreOptions): Promise<Restored>;

  /** @throws AppError `not_found`, `corrupt` */
  manifest(id: string): Promise<Manifest>;

  /** Whether the snapshot is there; not whether all of its contents are. */
  has(id: string): Promise<boolean>;

  /**
   * Removes what belongs to no snapshot of `inUse` and was last used more than an hour ago: somebody may be about to write
   * down the rest. Safe while others take snapshots, also in other processes. @throws The signal's reason.
   */
  collect(inUse: ReadonlySet<string>, signal?: AbortSignal): Promise<Collected>;

  /** The bytes of one content. @throws AppError `corrupt` when it is missing, or at the end, when it is damaged. */
  readObject(hash: string): AsyncIterable<Uint8Array>;

  /** Keeps a content that comes from elsewhere. @throws AppError `corrupt` when it is not what `hash` names. */
  putObject(hash: string, content: AsyncIterable<Uint8Array>): Promise<void>;

  /**
   * Keeps a snapshot that comes from elsewhere, after its contents.
   * @throws AppError `invalid_input` when it is no manifest, or has a path that leads elsewhere; `corrupt` when it is not
   * what `id` names, or one of its contents is not there.
   */
  putManifest(id: string, manifest: unknown): Promise<void>;
}

export interface TakeOptions {
  /** Default: `snapshotLimits`. */
  readonly limits?: SnapshotLimits;
  readonly signal: AbortSignal;
}

export interface RestoreOptions {
  /**
   * The snapshot of what is there now. Whatever that does not hold (it is ignored, or too large) can be had nowhere else: it is
   * neither replaced nor removed. Default: nobody misses what is there.
   */
  readonly replacing?: string;
  readonly signal?: AbortSignal;
}

/** What is above them is left out, and said. */
export interface SnapshotLimits {
  /** Of one file, in bytes. */
  readonly maxFileSize: number;
  /** Of all files together, in bytes. */
  readonly maxSize: number;
  /** Files, links and empty directories. */
  readonly maxFiles: number;
}

export const snapshotLimits: SnapshotLimits = {
  maxFileSize: 10 * 2 ** 20,
  maxSize: 2 ** 30,
  maxFiles: 50_000,
};

export interface Taken {
  readonly id: string;
  /** All that it holds: files and links, and the bytes of the files. */
  readonly files: number;
  readonly bytes: number;
  /** Against `previous`, and where there is none, against nothing. */
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
  /** What it does not hold and should. What is ignored is not listed. */
  readonly skipped: readonly Skipped[];
  /** It is `previous`. */
  readonly unchanged: boolean;
}

export interface Skipped {
  /** Relative to the workspace, with slashes; of a directory: with all that is in it. */
  readonly path: string;
  /** For people: "larger than 10 MiB", "a socket". */
  readonly why: string;
}

export interface Restored {
  /** Files and links that the snapshot holds. */
  readonly files: number;
  /** What was to be written and removed; `kept` says of what it was not. */
  readonly written: number;
  readonly removed: number;
  /** What is not as it was: something that no snapshot holds is in its place, or would have been removed, or it may not be changed. */
  readonly kept: readonly Skipped[];
}

export interface Collected {
  readonly snapshots: number;
  readonly objects: number;
}

/** What a snapshot holds. Its canonical JSON (`encodeManifest`) is what its id is the hash of. */
export interface Manifest {
  readonly version: 1;
  /** By path, in the order of their UTF-16 code units; each path once. */
  readonly entries: readonly ManifestEntry[];
  /** Paths that it should hold and does not, in order; restoring leaves them alone. */
  readonly skipped: readonly string[];
  /** Larger files are not in it; restoring leaves them alone too. */
  readonly maxFileSize: number;
  /** There was more than the limits allow, so that what it lacks may have been there all the same: restoring removes nothing. */
  readonly partial: boolean;
}

export type ManifestEntry = ManifestFile | ManifestLink | ManifestDirectory;

export interface ManifestFile {
  readonly type: "file";
  /** Relative, with slashes: "src/main.ts". Never empty, no part of it is "." or "..". */
  readonly path: string;
  /** Permission bits, at most 0o777. */
  readonly mode: number;
  readonly size: number;
  readonly hash: string;
}

export interface ManifestLink {
  readonly type: "link";
  readonly path: string;
  /** As it is written in the link; it is never followed. */
  readonly target: string;
}

/** Only those that are empty: the others follow from what is in them. */
export interface ManifestDirectory {
  readonly type: "directory";
  readonly path: string;
  readonly mode: number;
}
