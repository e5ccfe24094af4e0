import { stat } from "node:fs/promises";
import { setImmediate as yieldToOthers } from "node:timers/promises";
import type { AgentRegistry } from "../../agents/registry.ts";
import { type ArchiveLimits, DEFAULT_LIMITS } from "../../archive/archive.ts";
import { changed } from "../../archive/content.ts";
import { prepareExport } from "../../archive/export-session.ts";
import { damaged } from "../../archive/seal.ts";
import { keepSnapshots } from "../../archive/snapshot-members.ts";
import { type Staged, stageArchive } from "../../archive/stage.ts";
import type { Clock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import { packageVersion } from "../../lib/version.ts";
import type { Entry } from "../../log/entry.ts";
import type { ImportedSession } from "../../log/session-import.ts";
import { DEFAULT_TENANT, type SessionLog, type SessionRecord } from "../../log/session-log.ts";
import type { SandboxPool } from "../../sandboxes/pool.ts";
import type { Snapshots } from "../../snapshots/snapshot.ts";
import type { RunQueue } from "../worker/queue.ts";

/** Taking a session from one store to another, as one file (`archive/archive.ts`). */
export interface Transfer {
  /**
   * Reads the session to know what the file will hold. All of it goes along: its log with every branch, its files, and what is
   * kept of earlier states of them. The session stays as it is.
   * @throws AppError `conflict` while it has work, or when it changes meanwhile. Waiting for a person is no work.
   */
  export(sessionId: string, options?: ExportOptions): Promise<ExportedSession>;

  /**
   * Makes a session of such a file. It is read to its end and checked before anything can be seen; when it resolves, the
   * session is durable. The same file again is the same session, with `created: false`.
   * @throws AppError `invalid_input` when anything in the file was changed; `unsupported` when a newer release wrote it; `too_large`;
   * `conflict` when the id is taken; `forbidden` for a tenant: what a log says is believed.
   */
  import(file: AsyncIterable<Uint8Array>, options?: ImportOptions): Promise<ImportResult>;
}

export interface ExportOptions {
  /** Default true. False: the log alone. */
  readonly workspace?: boolean;
}

export interface ExportedSession {
  /** Names the content of the file: the SHA-256 of its manifest. */
  readonly id: string;
  /** What cannot be moved of the workspace; the manifest says what, and why. */
  readonly skipped: number;
  /** The file, once. @throws AppError `conflict`, in its middle, when what it holds is changed while it is read. */
  bytes(): AsyncIterable<Uint8Array>;
}

export interface ImportOptions {
  /** Default: the id that it had. */
  readonly as?: string;
  /** The id that the file has to have. */
  readonly expect?: string;
  /** Whose it is to be. Default: nobody's in particular. */
  readonly tenant?: string;
  readonly limits?: Partial<ArchiveLimits>;
}

export interface ImportResult {
  readonly session: SessionRecord;
  /** False: this file was imported under this id before. */
  readonly created: boolean;
  /** Of the file. */
  readonly id: string;
  /** Whether its agent is served here; else it waits until it is. */
  readonly served: boolean;
}

export interface TransferPorts {
  readonly log: SessionLog & Pick<RunQueue, "inbox">;
  readonly sandboxes: Pick<SandboxPool, "workspacePath" | "draft" | "adopt">;
  readonly snapshots: Snapshots;
  readonly agents: Pick<AgentRegistry, "list">;
  readonly clock: Clock;
  /** The session, where the caller may see it. @throws AppError `not_found` */
  readonly existing: (sessionId: string) => Promise<SessionRecord>;
  /** @throws AppError `invalid_input` */
  readonly checkSessionId: (id: string) => void;
  /** Who asks; undefined for whoever runs it all. */
  readonly tenant: string | undefined;
}

export function createTransfer(ports: TransferPorts): Transfer {
  return {
    async export(sessionId, { workspace = true } = {}) {
      const session = await ports.existing(sessionId);
      await requireRest(ports, session);
      const { due } = await ports.log.files(sessionId);
      const prepared = await prepareExport({
        session,
        entries: () => entriesOf(ports.log, session),
        workspace: workspace ? await workspaceOf(ports, sessionId, due !== null) : "leftOut",
        due: workspace ? due : null,
        snapshots: workspace ? ports.snapshots : null,
        holdfast: packageVersion(),
        now: ports.clock.now(),
      });
      const { headId, status } = await ports.existing(sessionId);
      if (headId !== session.headId || status !== session.status) throw changed("its log");
      const { id, manifest, bytes } = prepared;
      return { id, skipped: manifest.workspace.skippedCount, bytes };
    },

    async import(file, { as, expect, tenant, limits } = {}) {
      requireOperator(ports.tenant);
      if (as !== undefined) ports.checkSessionId(as);
      await using draft = await ports.sandboxes.draft();
      const staged = await stageArchive(file, {
        directory: draft.path,
        limits: { ...DEFAULT_LIMITS, ...limits },
        expect,
      });
      const wanted = importedSession(staged, { as, tenant: tenant ?? ports.tenant ?? DEFAULT_TENANT });
      const served = ports.agents.list().some(({ name }) => name === wanted.agent);
      return { ...(await bringIn(ports, staged, wanted)), id: staged.id, served };
    },
  };
}

// ---- export ----

/** @throws AppError `conflict` */
async function requireRest({ log }: TransferPorts, { id, status }: SessionRecord): Promise<void> {
  const isBusy = status === "running" || status === "queued";
  if (isBusy || (await log.inbox(id)).length > 0) {
    throw new AppError("conflict", `the session "${id}" has work to do`, {
      hint: "Export it when it is idle or waits for a person; `holdfast sessions stop` ends its run.",
      details: { status },
    });
  }
  if (!(await log.files(id)).held) return;
  throw new AppError("conflict", `the files of the session "${id}" are just being replaced`, {
    hint: "Try again in a moment.",
  });
}

async function workspaceOf(
  { sandboxes }: TransferPorts,
  sessionId: string,
  isDue: boolean,
): Promise<{ readonly directory: string } | "none"> {
  const directory = sandboxes.workspacePath(sessionId);
  const found = await stat(directory).catch(() => undefined);
  return !isDue && found?.isDirectory() ? { directory } : "none";
}

/** All branches, up to where the session stood. */
async function* entriesOf(log: SessionLog, { id, headSeq }: SessionRecord): AsyncGenerator<Entry> {
  for (let after = 0; after < headSeq; ) {
    const page = await log.read(id, after, Math.min(PAGE, headSeq - after));
    const last = page.at(-1);
    if (last === undefined) throw changed("its log");
    yield* page;
    after = last.seq;
    await yieldToOthers();
  }
}

const PAGE = 500;

// ---- import ----

/**
 * A log says what was approved, in which mode a session works and what it may cost, and it is believed. So those who may not decide
 * that may not bring one along. @throws AppError `forbidden`
 */
function requireOperator(tenant: string | undefined): void {
  if (tenant === undefined || tenant === DEFAULT_TENANT) return;
  throw new AppError("forbidden", "a tenant cannot import sessions", {
    hint: "Ask whoever runs the server: what a log says was approved is believed.",
  });
}

function importedSession(
  { id: fileId, manifest }: Staged,
  { as, tenant }: { readonly as: string | undefined; readonly tenant: string },
): ImportedSession {
  const { headId: _, headSeq: __, updatedAt: ___, forkedFrom: ____, ...session } = manifest.session;
  return {
    ...session,
    id: as ?? session.id,
    status: session.status === "waiting" ? "waiting" : "idle",
    tenant,
    fingerprint: `import ${fileId}`,
    due: manifest.workspace.due,
  };
}

/** What nobody can see yet comes first: snapshots, then the files, then the session. */
async function bringIn(
  { log, sandboxes, snapshots }: TransferPorts,
  staged: Staged,
  wanted: ImportedSession,
): Promise<Pick<ImportResult, "session" | "created">> {
  const { id } = wanted;
  const isKept = async (sessionId: string) => (await log.session(sessionId)) !== undefined;
  const make = () => log.importSession(wanted, staged.entries(id));
  // Says whether it is the same one.
  if (await isKept(id)) return make();
  await keepAll(snapshots, staged);
  if (staged.workspace === null) return make();
  return sandboxes.adopt(id, staged.workspace, { isKept, make });
}

/** @throws AppError `invalid_input` */
async function keepAll(snapshots: Snapshots, staged: Staged): Promise<void> {
  const names = staged.manifest.snapshots;
  const { due } = staged.manifest.workspace;
  if (due !== null && !names.includes(due)) throw damaged("its files are not in it");
  if (staged.snapshots !== null) await keepSnapshots(snapshots, staged.snapshots, names);
  else if (names.length > 0) throw damaged("its snapshots are not in it");
}
