import { createHash } from "node:crypto";
import { chmod, mkdir, open, symlink } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "../lib/errors.ts";
import { sha256 } from "../lib/ids.ts";
import { isRecord } from "../lib/json.ts";
import {
  type ArchiveLimits,
  ENTRIES,
  type FileMember,
  FORMAT,
  FORMAT_VERSION,
  MANIFEST,
  type Manifest,
  type Member,
  manifestSchema,
  SNAPSHOTS,
  WORKSPACE,
} from "./archive.ts";
import { checkMembers, shown } from "./check-members.ts";
import { checkLog, type StagedLog } from "./log-lines.ts";
import { damaged, unsealed } from "./seal.ts";
import { isAs, type Unpacked, unpacked } from "./tar.ts";

/** A file that was received whole and found right. Nothing of it is visible yet. */
export interface Staged extends StagedLog {
  /** The hash of its manifest. */
  readonly id: string;
  readonly manifest: Manifest;
  /** The directory with the workspace as it was; null where the file has none. */
  readonly workspace: string | null;
  /** The directory with what the session's snapshots are made of; null where it has none. */
  readonly snapshots: string | null;
}

export interface StageOptions {
  /** An empty directory that nobody else uses. What is in it afterwards is the caller's to remove, also after a failure. */
  readonly directory: string;
  readonly limits: ArchiveLimits;
  /** The id that the file has to have. */
  readonly expect?: string | undefined;
  /** Told as soon as it is known what the file claims to be; what it throws ends the reading. */
  readonly announce?: (manifest: Manifest, id: string) => Promise<void>;
}

/**
 * Reads a file to its end, member by member, into a directory: what the manifest lists, and nothing else.
 * @throws AppError `invalid_input` for the smallest change; `unsupported` for one of a newer release; `too_large`.
 */
export async function stageArchive(
  source: AsyncIterable<Uint8Array>,
  { directory, limits, expect, announce }: StageOptions,
): Promise<Staged> {
  const budget: Budget = { bytes: limits.manifestBytes + SLACK_BYTES };
  const members = unpacked(within(budget, unsealed(source, limits.bytes)));
  const first = await members.next();
  try {
    if (first.done === true) throw damaged("it is empty");
    const { id, manifest } = await readManifest(first.value, limits, expect);
    await announce?.(manifest, id);
    budget.bytes += sizeOf(manifest, limits);

    const writer = memberWriter(directory);
    for (const member of manifest.members) {
      const { value } = await members.next();
      if (value === undefined || !isAs(value.header, member)) {
        throw damaged(`"${shown(member.name)}" is not where it should be`);
      }
      await writer.write(member, value.content);
    }
    // Also reads what is behind the last member, and compares the seal.
    const more = await members.next();
    if (more.done !== true) throw damaged(`"${shown(more.value.header.name)}" is more than it should hold`);
    await writer.finish();

    const { entries } = await checkLog(join(directory, ENTRIES), manifest, limits.entryBytes);
    const place = (name: string) =>
      manifest.members.some((member) => member.name === name) ? join(directory, name) : null;
    return { id, manifest, entries, workspace: place(WORKSPACE), snapshots: place(SNAPSHOTS) };
  } finally {
    await members.return(undefined);
  }
}

// ---- what may be read ----

/** Bytes of the tar that may still come. */
interface Budget {
  bytes: number;
}

/** Headers and padding of the manifest, and the end of the tar. */
const SLACK_BYTES = 2 ** 20;
/** The most that the header of one member takes, with a long name and a long target. */
const HEADER_BYTES = 16 * 1024;

async function* within(budget: Budget, tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of tar) {
    budget.bytes -= chunk.length;
    if (budget.bytes < 0) throw damaged("it holds more than it says");
    yield chunk;
  }
}

/** @throws AppError `too_large` */
function sizeOf({ members }: Manifest, { unpackedBytes }: ArchiveLimits): number {
  const size = members.reduce((sum, member) => sum + (member.type === "file" ? member.size : 0), 0);
  if (size <= unpackedBytes) return size + members.length * HEADER_BYTES;
  throw new AppError("too_large", `the file unpacks to ${size} bytes; the limit is ${unpackedBytes}`, {
    hint: "Raise the limit where it is to be imported, or export the session without its workspace.",
    details: { limitBytes: unpackedBytes },
  });
}

// ---- the manifest ----

async function readManifest(
  { header, content }: Unpacked,
  { manifestBytes }: ArchiveLimits,
  expect: string | undefined,
): Promise<{ readonly id: string; readonly manifest: Manifest }> {
  if (header.name !== MANIFEST || header.type !== "file") {
    throw damaged(`it does not begin with ${MANIFEST}`);
  }
  if (header.size > manifestBytes) throw damaged(`its manifest is over the limit of ${manifestBytes} bytes`);
  const bytes = Buffer.concat(await Array.fromAsync(content, (piece) => Uint8Array.from(piece)));
  const id = sha256(bytes);
  if (expect !== undefined && expect.toLowerCase() !== id) {
    throw new AppError("invalid_input", `the file is not the one that is expected: its id is ${id}`, {
      hint: "Nothing was imported. The id is printed when a session is exported.",
      details: { id, expected: expect },
    });
  }
  const manifest = parseManifest(bytes);
  checkMembers(manifest.members);
  return { id, manifest };
}

function parseManifest(bytes: Uint8Array): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw damaged("its manifest is not JSON", cause);
  }
  if (!isRecord(value) || value.format !== FORMAT) throw damaged("its manifest is that of something else");
  const { formatVersion } = value;
  if (typeof formatVersion === "number" && formatVersion > FORMAT_VERSION) throw tooNew(formatVersion, value);
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw damaged(`its manifest is wrong at ${issue?.path.join(".") || "its top"}: ${issue?.message}`);
}

function tooNew(version: number, { holdfast }: Record<string, unknown>): AppError {
  const release = typeof holdfast === "string" ? ` by Holdfast ${shown(holdfast)}` : "";
  return new AppError(
    "unsupported",
    `the file was written${release} in format ${version}; this release reads ${FORMAT_VERSION}`,
    { hint: "Import it with that release or a later one. Nothing was imported." },
  );
}

// ---- the members ----

interface MemberWriter {
  write(member: Member, content: AsyncIterable<Uint8Array>): Promise<void>;
  /** Makes links, and directories read-only that are. Nothing is written below them any more; all of it survives a power cut. */
  finish(): Promise<void>;
}

function memberWriter(directory: string): MemberWriter {
  const late: (() => Promise<void>)[] = [];
  return {
    async write(member, content) {
      const path = join(directory, member.name);
      switch (member.type) {
        case "file":
          await writeFileMember(path, member, content);
          return;
        case "directory":
          await mkdir(path, { mode: 0o700 });
          late.push(async () => {
            await syncFolder(path);
            await chmod(path, member.mode);
          });
          return;
        case "link":
          late.push(() => symlink(member.target, path));
          return;
      }
    },
    async finish() {
      for (const step of late.reverse()) await step();
    },
  };
}

async function writeFileMember(
  path: string,
  { name, size, mode, sha256: expected }: FileMember,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const hash = createHash("sha256");
  let written = 0;
  await using file = await open(path, "wx", 0o600);
  for await (const piece of content) {
    hash.update(piece);
    written += piece.length;
    await file.writeFile(piece);
  }
  await file.sync();
  if (written !== size || hash.digest("hex") !== expected) {
    throw damaged(`"${shown(name)}" is not what it was when it was exported`);
  }
  await file.chmod(mode);
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}
