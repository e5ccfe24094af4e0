import { stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Agent } from "../../agents/agent.ts";
import { AppError, isAppError } from "../../lib/errors.ts";
import { withoutUndefined } from "../../lib/json.ts";
import type { WorkspaceOrigin } from "../../log/entry.ts";
import type { FilesDue, Hold, TimeTravel } from "../../log/time-travel.ts";
import type { SandboxPool } from "../../sandboxes/pool.ts";
import { type Skipped, type Snapshots, snapshotLimits, type Taken } from "../../snapshots/snapshot.ts";

import { originIn } from "./origin.ts";

/** The files of sessions, as far as going back and forth needs them. */
export interface SessionFiles {
  /** Resolves when the files of a session may be used: they are what its log says, and nobody is replacing them. */
  ready(sessionId: string): Promise<void>;
  /** Makes them what they have to become, and ends the hold. Returns what was left, since it is kept nowhere else. */
  settle(hold: Hold): Promise<readonly Skipped[]>;
  /**
   * What they are now, kept; of a session whose files nobody has used yet: what it will begin with. Null: its agent wants no
   * snapshots. @throws AppError `unavailable` where its agent would have to be known and is not.
   */
  keep(sessionId: string, agent: FilesOf | undefined, previous: string | null): Promise<Taken | null>;
  /** As `keep`, of what a new session begins with. */
  keepTemplate(agent: FilesOf | undefined): Promise<Taken | null>;
  /** What was kept. */
  readonly contents: Pick<Snapshots, "manifest" | "readObject">;
  /** @throws AppError `unavailable` when the snapshot is not here. */
  require(origin: WorkspaceOrigin): Promise<void>;
}

/** What the files of an agent's sessions depend on. */
export type FilesOf = Pick<Agent, "name" | "workspaceTemplate" | "snapshots">;

export interface FilesPorts {
  readonly log: Pick<TimeTravel, "files" | "filesAt" | "hold" | "letGo">;
  readonly snapshots: Snapshots;
  readonly sandboxes: Pick<SandboxPool, "workspacePath">;
  /** Aborted when the runtime is closed. */
  readonly closed: AbortSignal;
}

/** How often it is looked whether somebody else is done. */
const LOOK_MS = 50;

export function createSessionFiles({ log, snapshots, sandboxes, closed }: FilesPorts): SessionFiles {
  async function settle(hold: Hold): Promise<readonly Skipped[]> {
    let filesDone = false;
    try {
      const kept = hold.due === null ? [] : await restore(hold, hold.due).catch(tellWayOut(hold.sessionId));
      filesDone = true;
      return kept;
    } finally {
      await log.letGo(hold, { filesDone });
    }
  }

  async function restore(hold: Hold, due: FilesDue): Promise<readonly Skipped[]> {
    const replacing = await replacedBy(hold);
    const { kept } = await snapshots.restore(due, sandboxes.workspacePath(hold.sessionId), {
      signal: closed,
      ...withoutUndefined({ replacing }),
    });
    return kept;
  }

  /** What the files were kept as on the branch that was left; undefined where there were none. */
  async function replacedBy({ sessionId, headId }: Hold): Promise<string | undefined> {
    const moved = await log.filesAt(sessionId, headId ?? "");
    if (moved?.type !== "headMoved") return undefined;
    return originIn(await log.filesAt(sessionId, moved.from)).snapshot;
  }

  function take(folder: string, agent: FilesOf | undefined, previous: string | null): Promise<Taken> {
    return snapshots.take(folder, previous, {
      limits: agent?.snapshots.limits ?? snapshotLimits,
      signal: closed,
    });
  }

  async function keepTemplate(agent: FilesOf | undefined): Promise<Taken | null> {
    if (agent === undefined) throw notServed();
    // A folder that does not exist is empty.
    const template = agent.workspaceTemplate ?? sandboxes.workspacePath(`nothing of ${agent.name}`);
    return agent.snapshots.enabled ? take(template, agent, null) : null;
  }

  return {
    settle,
    async ready(sessionId) {
      for (;;) {
        const { due, held } = await log.files(sessionId);
        if (due === null && !held) return;
        // Whoever was at it has died, or failed.
        const hold = held ? undefined : await log.hold(sessionId);
        if (hold === undefined) await delay(LOOK_MS, undefined, { signal: closed }).catch(isClosed);
        else await settle(hold);
      }
    },
    async keep(sessionId, agent, previous) {
      if (agent?.snapshots.enabled === false) return null;
      const workspace = sandboxes.workspacePath(sessionId);
      return (await exists(workspace)) ? take(workspace, agent, previous) : keepTemplate(agent);
    },
    keepTemplate,
    contents: snapshots,
    async require({ snapshot }) {
      if (snapshot === undefined || (await snapshots.has(snapshot))) return;
      throw new AppError("unavailable", `the files of that moment are not here (snapshot ${snapshot})`, {
        hint: "Go on with the files as they are now: keepFiles, or --keep-files.",
      });
    },
  };
}

function isClosed(): never {
  throw new AppError(
    "unavailable",
    "the runtime was closed while the files of the session were being replaced",
  );
}

/** Nothing of the files has changed, and nobody may use them: what can be done is said. */
function tellWayOut(sessionId: string): (cause: unknown) => never {
  return (cause) => {
    if (!isAppError(cause, "corrupt") && !isAppError(cause, "not_found")) throw cause;
    throw new AppError(
      cause.code,
      `the files of the session "${sessionId}" cannot be put in order: ${cause.message}`,
      {
        hint: `\`holdfast sessions rewind ${sessionId} --to '~0' --keep-files\` goes on with them as they are.`,
        cause,
      },
    );
  };
}

function notServed(): AppError {
  return new AppError("unavailable", "what a session of this agent begins with is not known here", {
    hint: "Open it where its agent is: name its folder with --agent, or ask its server with --url.",
  });
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
