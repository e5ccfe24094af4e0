import type { Agent } from "../../agents/agent.ts";
import type { Clock } from "../../lib/clock.ts";
import { sha256 } from "../../lib/ids.ts";
import { canonicalJson, withoutUndefined } from "../../lib/json.ts";
import type { Quota, SessionLog, SessionRecord } from "../../log/session-log.ts";
import type { SandboxPool } from "../../sandboxes/pool.ts";
import type { Sessions } from "../session/sessions.ts";
import { compareSessions } from "./compare.ts";
import type { SessionFiles } from "./files.ts";
import { forkSession } from "./fork.ts";
import { rewindSession } from "./rewind.ts";
import type { TimeTravelCommands } from "./time-travel.ts";
import { readTree } from "./tree.ts";

export interface TimeTravelPorts {
  readonly log: SessionLog;
  readonly files: SessionFiles;
  readonly sandboxes: Pick<SandboxPool, "end">;
  readonly clock: Clock;
  /** The session, where the caller may see it. @throws AppError `not_found` */
  readonly existing: (sessionId: string) => Promise<SessionRecord>;
  /** @throws AppError `invalid_input` */
  readonly checkSessionId: (id: string) => void;
  /** Undefined: other processes serve it. */
  readonly served: (agent: string) => Agent | undefined;
  /** New sessions in any 60 seconds. */
  readonly perMinute: (agent: Agent | undefined) => Quota;
  /** The key of a caller as it stands in the store. */
  readonly createKeyOf: (key: string | undefined) => string | undefined;
  readonly send: Sessions["send"];
  /** Who gives the commands, where it is a tenant. */
  readonly actor: string | undefined;
}

export function createTimeTravel(ports: TimeTravelPorts): TimeTravelCommands {
  const { log, files, existing, served } = ports;
  return {
    tree: async (sessionId, page) => readTree(await existing(sessionId), log, page),

    async fork(sessionId, request = {}) {
      const source = await existing(sessionId);
      const { idempotencyKey, message, ...asked } = request;
      if (asked.id !== undefined) ports.checkSessionId(asked.id);
      const agent = served(source.agent);
      const fingerprint = sha256(canonicalJson({ fork: sessionId, ...asked }), 32);
      const forked = await forkSession(
        source,
        asked,
        { log, files, agent },
        {
          fingerprint,
          perMinute: ports.perMinute(agent),
          ...withoutUndefined({ createKey: ports.createKeyOf(idempotencyKey) }),
        },
      );
      if (message === undefined) return { ...forked, messageId: null };
      // With one of its own where the caller has none, the same request once more does not say it twice.
      const key = idempotencyKey ?? (asked.id === undefined ? undefined : `fork ${fingerprint}`);
      const { messageId } = await ports.send(forked.session.id, {
        ...message,
        ...withoutUndefined({ idempotencyKey: key }),
      });
      return { ...forked, session: await existing(forked.session.id), messageId };
    },

    async rewind(sessionId, { actor = ports.actor, ...request }) {
      const session = await existing(sessionId);
      return rewindSession(
        session,
        { ...request, ...withoutUndefined({ actor }) },
        { ...ports, agent: served(session.agent) },
      );
    },

    async compare(one, other) {
      const sessions = [await existing(one), await existing(other)] as const;
      return compareSessions(...sessions, { log, files, agentOf: ({ agent }) => served(agent) });
    },
  };
}
