import { cp, mkdir, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError, errorMessage, systemErrorCode } from "../lib/errors.ts";
import { sha256 } from "../lib/ids.ts";
import { arrive, brokenArrivals } from "./arrivals.ts";
import { abandonedDrafts, draftOf, erasureNote, notedErasures, removeTree } from "./leftovers.ts";
import type { Execution, Sandbox, SandboxDriver, SandboxKind, SandboxLimits } from "./sandbox.ts";

/** The sandboxes of this process: at most one for each session, opened at the first use and shared by all of them. */
export interface SandboxPool extends AsyncDisposable {
  open(sessionId: string, wanted: SandboxWish): Promise<Sandbox>;
  /** Disconnects from a session's sandbox, as soon as no command of this process runs in it. What else runs in it goes on. */
  release(sessionId: string): Promise<void>;
  /** Ends everything that runs in a session's sandbox and removes it, if this process has opened it. The workspace stays. */
  destroy(sessionId: string): Promise<void>;
  /** Ends everything that runs in it, whichever process has opened it. What is used next is a new one. */
  end(sessionId: string): Promise<void>;
  /**
   * Removes everything that a session has on the disk: its sandbox, whoever started it, and its workspace. `forget` removes
   * the session itself; when it fails, nothing is removed. A crash in between is made good by `removeLeftovers`.
   */
  erase(sessionId: string, forget: () => Promise<void>): Promise<void>;
  /** An empty directory beside the workspaces, for what is to become one. Removed when it is disposed of, or after a crash. */
  draft(): Promise<DraftDirectory>;
  /**
   * Makes a directory the workspace of a session that `make` makes; when it fails, there is neither. `isKept`: whether the session
   * is there. @throws AppError `conflict` when it is, or is just being made in this way.
   */
  adopt<T>(
    sessionId: string,
    directory: string,
    options: { readonly isKept: (sessionId: string) => Promise<boolean>; readonly make: () => Promise<T> },
  ): Promise<T>;
  /**
   * Removes what processes that died left behind: workspaces half made, and files of sessions that were being erased or taken in.
   */
  removeLeftovers(isKept: (sessionId: string) => Promise<boolean>): Promise<void>;
  /** The host's directory of a session's workspace; it exists once the sandbox has been opened. */
  workspacePath(sessionId: string): string;
}

export interface DraftDirectory extends AsyncDisposable {
  readonly path: string;
}

/** The part of an agent that its sandbox depends on. */
export interface SandboxWish {
  readonly sandbox: { readonly isolation: "auto" | SandboxKind; readonly limits: SandboxLimits };
  readonly workspaceTemplate: string | null;
}

/** Chooses the driver; called once for each isolation that is asked for. @throws AppError `unavailable` */
export type DriverChoice = (isolation: "auto" | SandboxKind) => Promise<SandboxDriver>;

/** `drivers` are all those with which a sandbox in `dataDir` may have been made. */
export function createSandboxPool(
  dataDir: string,
  choose: DriverChoice,
  drivers: () => Promise<readonly SandboxDriver[]> = async () => [],
): SandboxPool {
  const open = new Map<string, Promise<SharedSandbox>>();

  async function start(sessionId: string, wanted: SandboxWish): Promise<SharedSandbox> {
    try {
      return await openNew(sessionId, wanted);
    } catch (cause) {
      if (systemErrorCode(cause) !== "ENOSPC") throw cause;
      throw new AppError("no_space", "the disk is full: the session's sandbox cannot be started", { cause });
    }
  }

  async function openNew(
    sessionId: string,
    { sandbox, workspaceTemplate }: SandboxWish,
  ): Promise<SharedSandbox> {
    const driver = await choose(sandbox.isolation);
    const workspace = workspacePath(sessionId);
    await prepareWorkspace(workspace, workspaceTemplate);
    const stateDir = stateDirOf(sessionId);
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    return share(await driver.open({ sessionId, workspace, stateDir, limits: sandbox.limits }));
  }

  function workspacePath(sessionId: string): string {
    return join(dataDir, "workspaces", directoryName(sessionId));
  }

  function stateDirOf(sessionId: string): string {
    return join(dataDir, "sandboxes", directoryName(sessionId));
  }

  async function destroy(sessionId: string): Promise<void> {
    // One that could not be opened has told so to whoever wanted it.
    const shared = await open.get(sessionId)?.catch(() => undefined);
    open.delete(sessionId);
    await shared?.sandbox.destroy();
  }

  async function end(sessionId: string): Promise<void> {
    const stateDir = stateDirOf(sessionId);
    if (await exists(stateDir)) {
      for (const driver of await drivers()) await driver.end?.(sessionId, stateDir);
    }
    const shared = await open.get(sessionId)?.catch(() => undefined);
    if (shared === undefined || shared.sandbox.capabilities.survivesRestart) return;
    await destroy(sessionId);
  }

  async function removeFiles(sessionId: string): Promise<void> {
    await destroy(sessionId);
    const stateDir = stateDirOf(sessionId);
    if (await exists(stateDir)) {
      for (const driver of await drivers()) await driver.destroy(sessionId, stateDir);
    }
    await removeTree(workspacePath(sessionId));
    await removeTree(stateDir);
  }

  return {
    workspacePath,
    async open(sessionId, wanted) {
      const known = open.get(sessionId) ?? start(sessionId, wanted);
      open.set(sessionId, known);
      try {
        return (await known).sandbox;
      } catch (error) {
        // The next call tries again, with a message of its own.
        if (open.get(sessionId) === known) open.delete(sessionId);
        throw error;
      }
    },
    async release(sessionId) {
      const known = open.get(sessionId);
      // One that could not be opened has told so to whoever wanted it.
      const shared = await known?.catch(() => undefined);
      if (shared === undefined) return;
      await shared.unused();
      if (open.get(sessionId) !== known) return;
      open.delete(sessionId);
      await shared.sandbox[Symbol.asyncDispose]();
    },
    destroy,
    end,
    async erase(sessionId, forget) {
      const note = erasureNote(stateDirOf(sessionId));
      await mkdir(join(dataDir, "sandboxes"), { recursive: true, mode: 0o700 });
      await writeFile(note, sessionId);
      try {
        await forget();
      } catch (error) {
        await rm(note, { force: true });
        throw error;
      }
      await removeFiles(sessionId);
      await rm(note, { force: true });
    },
    async draft() {
      const path = draftOf(join(dataDir, "workspaces", "arriving"));
      await mkdir(path, { recursive: true, mode: 0o700 });
      return { path, [Symbol.asyncDispose]: () => removeTree(path) };
    },
    adopt(sessionId, directory, { isKept, make }) {
      const [workspace, stateDir] = [workspacePath(sessionId), stateDirOf(sessionId)];
      return arrive({ sessionId, directory, workspace, stateDir, isKept }, make);
    },
    async removeLeftovers(isKept) {
      for (const draft of await abandonedDrafts(join(dataDir, "workspaces"))) await removeTree(draft);
      for (const { sessionId, note } of await brokenArrivals(join(dataDir, "sandboxes"))) {
        if (!(await isKept(sessionId))) await removeFiles(sessionId);
        await rm(note, { force: true });
      }
      for (const { sessionId, note } of await notedErasures(join(dataDir, "sandboxes"))) {
        if (!(await isKept(sessionId))) await removeFiles(sessionId);
        await rm(note, { force: true });
      }
    },
    async [Symbol.asyncDispose]() {
      const sandboxes = [...open.values()];
      open.clear();
      await Promise.allSettled(
        sandboxes.map(async (shared) => (await shared).sandbox[Symbol.asyncDispose]()),
      );
    },
  };
}

/** A sandbox that several callers use, with the knowledge of whether one of them does. */
interface SharedSandbox {
  readonly sandbox: Sandbox;
  /** Resolves when none of the commands started or attached to through `sandbox` runs, or is being started. */
  unused(): Promise<void>;
}

function share(sandbox: Sandbox): SharedSandbox {
  const running = new Set<Promise<unknown>>();
  function track<T extends Execution | undefined>(starting: Promise<T>): Promise<T> {
    const ended = starting
      .then((execution) => execution?.result)
      .catch(() => {})
      .finally(() => running.delete(ended));
    running.add(ended);
    return starting;
  }
  return {
    sandbox: {
      ...sandbox,
      exec: (spec) => track(sandbox.exec(spec)),
      attach: (operationId) => track(sandbox.attach(operationId)),
    },
    async unused() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}

/** Session ids may be 256 characters and differ only in case; directory names may not. */
function directoryName(sessionId: string): string {
  const readable = sessionId.replaceAll(/[^A-Za-z0-9_-]/g, "-").slice(0, 40);
  return /^s_[0-9a-z]{26}$/.test(sessionId) ? sessionId : `${readable}-${sha256(sessionId, 12)}`;
}

/** The workspace appears whole or not at all: a crash while the template is being copied leaves only a directory that nobody uses. */
async function prepareWorkspace(workspace: string, template: string | null): Promise<void> {
  if (await exists(workspace)) return;
  const draft = draftOf(workspace);
  try {
    await mkdir(draft, { recursive: true, mode: 0o700 });
    if (template !== null) await copyTemplate(template, draft);
    await rename(draft, workspace);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!(await exists(workspace))) throw error;
  }
}

/** Links in it stay as they are: made absolute, they would lead out of the workspace, back into the template. */
async function copyTemplate(template: string, draft: string): Promise<void> {
  try {
    await cp(await realpath(template), draft, { recursive: true, verbatimSymlinks: true });
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOSPC") throw cause;
    const message = `the agent's workspace ${template} cannot be copied: ${errorMessage(cause)}`;
    throw new AppError("invalid_config", message, {
      hint: "It takes a folder of plain files that does not hold Holdfast's own data directory.",
      cause,
    });
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
