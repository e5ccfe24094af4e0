import { join } from "node:path";
import { type Clock, systemClock } from "./lib/clock.ts";
import { errorMessage } from "./lib/errors.ts";
import { isDirectory } from "./lib/files.ts";
import type { SnapshotReferences } from "./log/snapshot-references.ts";
import type { LoopPorts } from "./run/loop-ports.ts";
import type { SandboxPool } from "./sandboxes/pool.ts";
import { diskSnapshots } from "./snapshots/disk.ts";
import type { Snapshots } from "./snapshots/snapshot.ts";
import { OUTPUT_DIRECTORY } from "./tools/output.ts";

/** The snapshots of this data directory. Transcripts name the files in which results are kept, so they belong to each. */
export function provideSnapshots(dataDir: string, clock: Clock): Snapshots {
  const [kept = OUTPUT_DIRECTORY] = OUTPUT_DIRECTORY.split("/");
  return diskSnapshots({ directory: join(dataDir, "snapshots"), clock, kept: [kept] });
}

/** How the loop keeps the files of a session. A workspace that no call has needed yet is still to be made. */
export function saveFilesOf(
  snapshots: Snapshots,
  { workspacePath }: Pick<SandboxPool, "workspacePath">,
): LoopPorts["saveFiles"] {
  return async (sessionId, agent, previous, signal) => {
    const workspace = workspacePath(sessionId);
    if (!(await isDirectory(workspace))) return null;
    return snapshots.take(workspace, previous, { limits: agent.snapshots.limits, signal });
  };
}

export interface Cleaner extends AsyncDisposable {
  /** Something has been erased: what only that needed goes soon. */
  soon(): void;
}

/** Erasing many sessions is one cleaning. Milliseconds. */
const SOON_MS = 5_000;
const EVERY_MS = 3_600_000;

/** Removes snapshots that nothing names any more: now, every hour, and soon after something was erased. */
export function cleanSnapshots(
  snapshots: Snapshots,
  references: SnapshotReferences,
  notify: (notice: string) => void,
): Cleaner {
  const closing = new AbortController();
  let asked = Promise.withResolvers<void>();

  async function clean(): Promise<void> {
    try {
      await snapshots.collect(await references.snapshotsInUse(), closing.signal);
    } catch (error) {
      if (!closing.signal.aborted) notify(`old snapshots are not removed: ${errorMessage(error)}`);
    }
  }

  async function work(): Promise<void> {
    const { signal } = closing;
    const pause = (ms: number) => systemClock.sleep(ms, signal).catch(() => {});
    for (;;) {
      await clean();
      await Promise.race([pause(EVERY_MS), asked.promise]);
      await pause(SOON_MS);
      if (signal.aborted) return;
      asked = Promise.withResolvers();
    }
  }

  const working = work();
  return {
    soon: () => asked.resolve(),
    async [Symbol.asyncDispose]() {
      closing.abort();
      await working;
    },
  };
}
