import type { AgentRegistry } from "../agents/registry.ts";
import { AppError } from "../lib/errors.ts";
import { newId, sha256 } from "../lib/ids.ts";
import { canonicalJson } from "../lib/json.ts";
import type { UserBlock } from "../log/content.ts";
import type { Entry } from "../log/entry.ts";
import { neutraliseMarkers } from "../log/markers.ts";
import type { SessionLog, SessionRecord } from "../log/session-log.ts";
import type { SandboxPool } from "../sandboxes/pool.ts";
import { prepareImages } from "../tools/images.ts";
import type { Command, RunQueue } from "./queue.ts";
import type { Sessions } from "./sessions.ts";
import { type DeltaBus, fromMessage, isRunEnd, untilAnswered, watchSession } from "./watch.ts";

export interface CommandPorts {
  readonly log: SessionLog & RunQueue;
  readonly agents: AgentRegistry;
  readonly bus: DeltaBus;
  readonly sandboxes: SandboxPool;
  /** Aborted when the runtime is closed: whoever watches then sees what there is, and the end. */
  readonly closed: AbortSignal;
}

const SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,255}$/;
const DIRECT_TIMEOUT_MS = 600_000;

/** The commands that anybody may give, over the store. Nothing here runs a session: the worker is woken through the inbox. */
export function createSessions({ log, agents, bus, sandboxes, closed }: CommandPorts): Sessions {
  async function existing(sessionId: string): Promise<SessionRecord> {
    const session = await log.session(sessionId);
    if (session !== undefined) return session;
    throw new AppError("not_found", `there is no session "${sessionId}"`, {
      hint: "`holdfast sessions list` shows those that exist.",
    });
  }

  async function enqueue(sessionId: string, command: Command, key?: string) {
    await existing(sessionId);
    return log.enqueue(sessionId, command, key);
  }

  const live: Pick<SessionLog, "follow"> = {
    follow: (sessionId, after, signal) => log.follow(sessionId, after, AbortSignal.any([signal, closed])),
  };

  const sessions: Sessions = {
    async create({ agent, id, title, idempotencyKey }) {
      agents.get(agent);
      if (id !== undefined) checkSessionId(id);
      return log.create({
        id: id ?? newId("s"),
        agent,
        ...(title === undefined ? {} : { title }),
        ...(idempotencyKey === undefined ? {} : { createKey: idempotencyKey }),
        fingerprint: sha256(canonicalJson({ agent, id, title }), 32),
      });
    },

    get: existing,
    list: (filter) => log.sessions(filter),

    async entries(sessionId, after = 0, limit) {
      await existing(sessionId);
      return log.read(sessionId, after, limit);
    },

    async send(sessionId, { blocks, model, idempotencyKey }) {
      if (blocks.every((block) => block.type === "text" && block.text.trim() === "")) {
        throw new AppError("invalid_input", "the message is empty", { hint: "Send some text or an image." });
      }
      const command: Command = {
        type: "message",
        blocks: await acceptable(blocks),
        ...(model === undefined ? {} : { model }),
      };
      const { id, duplicate } = await enqueue(sessionId, command, idempotencyKey);
      return { messageId: id, duplicate };
    },

    watch: (sessionId, { after = 0, signal }) => watchSession(live, bus, sessionId, { after, signal }),

    watchRun(sessionId, messageId, { after, signal }) {
      const events = sessions.watch(sessionId, { after: after ?? 0, signal });
      return untilAnswered(after === undefined ? fromMessage(events, messageId) : events, messageId);
    },

    async stop(sessionId, reason) {
      const { status, headSeq } = await existing(sessionId);
      if (status === "idle") return { stopped: false };
      const { id } = await log.enqueue(sessionId, {
        type: "stop",
        ...(reason === undefined ? {} : { reason }),
      });
      const entries = log.follow(sessionId, headSeq, closed);
      await runEndAfterStop(entries, { isRunning: status === "running", stopId: id });
      return { stopped: true };
    },

    async delete(sessionId) {
      await existing(sessionId);
      await sandboxes.erase(sessionId, () => log.erase(sessionId));
    },

    async exec(sessionId, { command, cwd, stdin, timeoutMs = DIRECT_TIMEOUT_MS, idempotencyKey }) {
      const sandbox = await sessions.sandbox(sessionId);
      const operationId =
        idempotencyKey === undefined ? newId("op") : `op_${sha256(`${sessionId}\n${idempotencyKey}`, 32)}`;
      return sandbox.exec({
        operationId,
        command,
        timeoutMs,
        ...(cwd === undefined ? {} : { cwd }),
        ...(stdin === undefined ? {} : { stdin }),
      });
    },

    async sandbox(sessionId) {
      const { agent } = await existing(sessionId);
      return sandboxes.open(sessionId, agents.get(agent));
    },
  };
  return sessions;
}

/**
 * The blocks of a message as they may stand in the log: images that every provider takes, and text that does not pass for
 * the runtime's. @throws AppError `invalid_input` that says which image is wrong.
 */
async function acceptable(blocks: readonly UserBlock[]): Promise<readonly UserBlock[]> {
  const prepared = await prepareImages(blocks);
  return prepared.map((block) =>
    block.type === "text" ? { ...block, text: neutraliseMarkers(block.text.toWellFormed()) } : block,
  );
}

/** @throws AppError `invalid_input` */
function checkSessionId(id: string): void {
  if (SESSION_ID.test(id)) return;
  throw new AppError("invalid_input", `"${id.slice(0, 80)}" cannot be a session id`, {
    hint: "Use 1 to 256 letters, digits and . _ : -, starting with a letter or digit.",
  });
}

/**
 * Resolves when the log shows the stop and the end of the run that it ended; a stop that found nothing to end is done at
 * once. @throws AppError `unavailable` when the runtime is closed before that.
 */
async function runEndAfterStop(
  entries: AsyncIterable<Entry>,
  { isRunning, stopId }: { readonly isRunning: boolean; readonly stopId: string },
): Promise<void> {
  let stopped = false;
  let open = isRunning;
  for await (const entry of entries) {
    if (entry.type === "userMessage" || entry.type === "runStarted") open = true;
    if (isRunEnd(entry)) open = false;
    if (entry.type === "stopRequested" && entry.inboxId === stopId) stopped = true;
    if (stopped && !open) return;
  }
  throw new AppError("unavailable", "the runtime was closed before the run had ended; the stop stands");
}
