import type { Agent } from "../../agents/agent.ts";
import type { AgentRegistry } from "../../agents/registry.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage, isAppError } from "../../lib/errors.ts";
import type { Retention, UnusedQuery } from "../../log/retention.ts";
import type { Sessions } from "../session/sessions.ts";

/**
 * Deletes sessions that nobody uses any more, as each agent says (`retention`). Rarely, and by one process at a time: first a minute
 * after the start, then once an hour over all processes.
 */
export interface Sweeper extends AsyncDisposable {
  start(): void;
}

export interface SweeperOptions {
  readonly retention: Retention;
  readonly agents: AgentRegistry;
  readonly remove: Sessions["delete"];
  readonly clock: Clock;
  readonly report: (message: string) => void;
}

const FIRST_MS = 60_000;
const EVERY_MS = 3_600_000;
const BATCH = 100;
/** Of each agent and reason, in one turn. What is left is found in the next one. */
const MAX_BATCHES = 10;

export function createSweeper({ retention, agents, remove, clock, report }: SweeperOptions): Sweeper {
  const closing = new AbortController();
  const { signal } = closing;
  let sweeping = Promise.resolve();

  async function sweep(): Promise<void> {
    if (!(await retention.takeTurn("retention", EVERY_MS))) return;
    for (const agent of agents.list()) {
      for (const { limitMs, onlyAbandoned } of limitsOf(agent)) {
        await removeUnused({ agent: agent.name, since: clock.now() - limitMs, onlyAbandoned, limit: BATCH });
      }
    }
  }

  async function removeUnused(query: UnusedQuery): Promise<void> {
    for (let batch = 0; batch < MAX_BATCHES; batch++) {
      const ids = await retention.unused(query);
      let removed = 0;
      for (const id of ids) {
        if (signal.aborted) return;
        if (await removeOne(id, query)) removed += 1;
      }
      // Those that cannot be deleted now would be found again.
      if (ids.length < BATCH || removed === 0) return;
    }
  }

  /** False for one that somebody uses, or has deleted, meanwhile. */
  async function removeOne(id: string, { since }: UnusedQuery): Promise<boolean> {
    try {
      await remove(id, { unusedSince: since });
      return true;
    } catch (error) {
      if (isAppError(error, "conflict") || isAppError(error, "not_found")) return false;
      throw error;
    }
  }

  async function work(): Promise<void> {
    for (let pauseMs = FIRST_MS; ; pauseMs = EVERY_MS) {
      await clock.sleep(pauseMs, signal).catch(() => {});
      if (signal.aborted) return;
      await sweep().catch((error: unknown) => report(`old sessions are not deleted: ${errorMessage(error)}`));
    }
  }

  return {
    start() {
      const hasLimits = agents.list().some((agent) => limitsOf(agent).length > 0);
      if (hasLimits) sweeping = work();
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await sweeping;
    },
  };
}

function limitsOf({
  retention: { abandonedMs, idleMs },
}: Agent): readonly { readonly limitMs: number; readonly onlyAbandoned: boolean }[] {
  return [
    ...(abandonedMs === null ? [] : [{ limitMs: abandonedMs, onlyAbandoned: true }]),
    ...(idleMs === null ? [] : [{ limitMs: idleMs, onlyAbandoned: false }]),
  ];
}
