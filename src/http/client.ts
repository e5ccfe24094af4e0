import { AppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { withoutUndefined } from "../lib/json.ts";
import type { Entry } from "../log/entry.ts";
import type { SessionFilter, SessionRecord } from "../log/session-log.ts";
import type { AddedRule } from "../log/state.ts";
import type { RunEvent } from "../run/session/events.ts";
import type { InterruptRecord } from "../run/session/interrupts.ts";
import type { Sessions } from "../run/session/sessions.ts";
import type { InboxItem } from "../run/worker/queue.ts";
import type { Execution } from "../sandboxes/sandbox.ts";
import { followEvents } from "./follow.ts";
import { idempotencyKeyHeader, sessionHeader } from "./headers.ts";
import { readExecution } from "./remote-execution.ts";
import type { AgentSummary, Directory, Invocation, InvocationAnswer, WrittenFile } from "./schemas.ts";
import { sessionCursor } from "./session-cursor.ts";
import { remoteTimeTravel } from "./time-travel-client.ts";
import { remoteTransfer } from "./transfer-client.ts";
import { createTransport, type TransportOptions } from "./transport.ts";

/**
 * A Holdfast server as seen from a program: the same methods as `Sessions`, so that the command line works on a server as
 * it works in process, and what only a server has.
 *
 * Whatever creates something carries an idempotency key, made here where the caller gives none, and is sent again when the
 * connection fails. Streams reconnect from their cursor: each entry arrives exactly once, and a `notice` (code
 * "reconnecting") tells that deltas may have been missed. A server that is away for longer than `patienceMs` ends them with
 * `unavailable`.
 */
export interface Client extends Omit<Sessions, "sandbox"> {
  agents(): Promise<readonly AgentSummary[]>;
  ping(): Promise<{ readonly status: "Healthy" | "HealthyBusy"; readonly time_of_last_update: number }>;
  /** One prompt, one answer. To watch it come: `create`, `send`, `watchRun`. */
  invoke(invocation: Invocation, options?: InvokeOptions): Promise<InvocationAnswer>;
  readonly files: RemoteFiles;
}

export interface InvokeOptions {
  /** Default: a new session. */
  readonly sessionId?: string;
  readonly idempotencyKey?: string;
  /** Ends the waiting, not the run. */
  readonly signal?: AbortSignal;
}

/** The files of a session's workspace; paths are relative to it. @throws AppError `not_found` */
export interface RemoteFiles {
  list(sessionId: string, path?: string): Promise<Directory>;
  read(sessionId: string, path: string, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  write(
    sessionId: string,
    path: string,
    content: Uint8Array | ReadableStream<Uint8Array>,
  ): Promise<WrittenFile>;
  delete(sessionId: string, path: string, options?: { readonly recursive?: boolean }): Promise<void>;
}

export function createClient(options: TransportOptions): Client {
  const transport = createTransport(options);

  async function get<T>(path: string): Promise<T> {
    const response = await transport.send("GET", path, { repeatable: true });
    return (await response.json()) as T;
  }

  function post(path: string, json: unknown, idempotencyKey: string = newId("key")): Promise<Response> {
    const headers = { [idempotencyKeyHeader.name]: idempotencyKey };
    return transport.send("POST", path, { json, headers, repeatable: true });
  }

  function follow(sessionId: string, query: FollowQuery, signal: AbortSignal): AsyncIterable<RunEvent> {
    return followEvents(transport, {
      sessionId,
      path: `${sessionPath(sessionId)}/events?${queryString(query)}`,
      after: query.after,
      signal,
    });
  }

  return {
    ...remoteTimeTravel(transport),
    agents: async () => (await get<{ agents: readonly AgentSummary[] }>("/v1/agents")).agents,
    ping: () => get("/ping"),

    async invoke(invocation, { sessionId, idempotencyKey = newId("key"), signal } = {}) {
      const headers = {
        [idempotencyKeyHeader.name]: idempotencyKey,
        ...(sessionId === undefined ? {} : { [sessionHeader.name]: sessionId }),
      };
      const send = { json: invocation, headers, signal, repeatable: true };
      return (await (await transport.send("POST", "/invocations", send)).json()) as InvocationAnswer;
    },

    async create({ idempotencyKey, ...session }) {
      const response = await post("/v1/sessions", session, idempotencyKey);
      return { session: (await response.json()) as SessionRecord, created: response.status === 201 };
    },

    get: (sessionId) => get(sessionPath(sessionId)),

    context: (sessionId, { request = false } = {}) =>
      get(`${sessionPath(sessionId)}/context?${queryString({ request })}`),

    async list({ after, ...filter }: SessionFilter = {}) {
      const query = queryString({ ...filter, after: after && sessionCursor(after) });
      const page = await get<{ sessions: readonly SessionRecord[] }>(`/v1/sessions?${query}`);
      return page.sessions;
    },

    async entries(sessionId, after = 0, limit = 1000) {
      const query = queryString({ format: "json", after, limit });
      const page = await get<{ entries: readonly Entry[] }>(`${sessionPath(sessionId)}/events?${query}`);
      return page.entries;
    },

    inbox: async (sessionId) =>
      (await get<{ items: readonly InboxItem[] }>(`${sessionPath(sessionId)}/inbox`)).items,

    async send(sessionId, { blocks, idempotencyKey, ...how }) {
      const message = { prompt: blocks, ...how };
      const response = await post(`${sessionPath(sessionId)}/messages`, message, idempotencyKey);
      return (await response.json()) as { messageId: string; duplicate: boolean };
    },

    watch: (sessionId, { after = 0, signal }) => follow(sessionId, { after }, signal),
    watchRun: (sessionId, message, { after = 0, signal }) => follow(sessionId, { after, message }, signal),

    async stop(sessionId, reason) {
      const response = await post(`${sessionPath(sessionId)}/stop`, reason === undefined ? {} : { reason });
      return (await response.json()) as { stopped: boolean };
    },

    async delete(sessionId, { onlyUnused } = {}) {
      // Not sent again by itself: a repetition of one that was done would be told that there is no such session.
      await transport.send("DELETE", `${sessionPath(sessionId)}?${queryString({ onlyUnused })}`);
    },

    async interrupts(filter = {}) {
      const path = `/v1/interrupts?${queryString({ ...filter, tenant: undefined })}`;
      return (await get<{ interrupts: readonly InterruptRecord[] }>(path)).interrupts;
    },

    async answer(sessionId, interruptId, answer, { actor, idempotencyKey } = {}) {
      const path = `${sessionPath(sessionId)}/interrupts/${encodeURIComponent(interruptId)}`;
      const body = { ...answer, ...(actor === undefined ? {} : { actor }) };
      const response = await post(path, body, idempotencyKey);
      const record = (await response.json()) as InterruptRecord;
      const isReplay = response.headers.get("idempotency-replayed") === "true";
      return isReplay ? { ...record, duplicate: true } : record;
    },

    async setMode(sessionId, mode, actor) {
      const json = withoutUndefined({ mode, actor });
      await transport.send("PUT", `${sessionPath(sessionId)}/mode`, { json, repeatable: true });
    },

    async addRule(sessionId, rule, actor) {
      await post(`${sessionPath(sessionId)}/rules`, withoutUndefined({ ...rule, actor }));
    },

    permissions: (sessionId) => get(`${sessionPath(sessionId)}/permissions`),

    explain: (sessionId, callId) =>
      get(`${sessionPath(sessionId)}/calls/${encodeURIComponent(callId)}/permission`),

    agentRules: async (agent) => (await get<{ rules: readonly AddedRule[] }>(rulesPath(agent))).rules,

    async removeAgentRule(agent, rule) {
      await transport.send("DELETE", `${rulesPath(agent)}?${queryString(rule)}`);
    },

    audit: ({ sessionId: session, ...query } = {}) =>
      get(`/v1/permissions/audit?${queryString({ ...query, session })}`),

    costs: (query) => get(`/v1/costs?${queryString({ ...query, tenant: undefined })}`),

    async exec(sessionId, { idempotencyKey = newId("key"), stdin, ...command }): Promise<Execution> {
      const left = new AbortController();
      const path = `${sessionPath(sessionId)}/exec`;
      const response = await transport.send("POST", path, {
        json: { ...command, ...(stdin === undefined ? {} : { stdin: textOf(stdin) }) },
        headers: { accept: "text/event-stream", [idempotencyKeyHeader.name]: idempotencyKey },
        signal: left.signal,
        repeatable: true,
      });
      return readExecution(transport.events(response), {
        leave: () => left.abort(),
        kill: async (operationId) => {
          await transport.send("DELETE", `${path}/${encodeURIComponent(operationId)}`, { repeatable: true });
        },
      });
    },

    ...remoteTransfer(transport),

    files: {
      list: (sessionId, path = "") => get(filePath(sessionId, path)),

      async read(sessionId, path, signal) {
        const response = await transport.send("GET", filePath(sessionId, path), {
          headers: { accept: "*/*" },
          signal,
          repeatable: true,
        });
        return response.body ?? new Blob([]).stream();
      },

      async write(sessionId, path, content) {
        // A stream can be read only once, so it cannot be sent again.
        const repeatable = content instanceof Uint8Array;
        const headers = { "content-type": "application/octet-stream" };
        const response = await transport.send("PUT", filePath(sessionId, path), {
          body: content,
          headers,
          repeatable,
        });
        return (await response.json()) as WrittenFile;
      },

      async delete(sessionId, path, { recursive = false } = {}) {
        await transport.send("DELETE", `${filePath(sessionId, path)}?${queryString({ recursive })}`);
      },
    },
  };
}

interface FollowQuery {
  readonly after: number;
  readonly message?: string;
}

function sessionPath(sessionId: string): string {
  return `/v1/sessions/${encodeURIComponent(sessionId)}`;
}

function rulesPath(agent: string): string {
  return `/v1/agents/${encodeURIComponent(agent)}/rules`;
}

function filePath(sessionId: string, path: string): string {
  return `${sessionPath(sessionId)}/files/${path.split("/").map(encodeURIComponent).join("/")}`;
}

function queryString(fields: object): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) query.set(name, String(value));
  return query.toString();
}

/** Standard input travels as JSON text. @throws AppError `unsupported` for bytes that are not text. */
function textOf(stdin: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(stdin);
  } catch (cause) {
    throw new AppError("unsupported", "standard input for a command on a server has to be UTF-8 text", {
      hint: "Upload the bytes as a file first, and let the command read it.",
      cause,
    });
  }
}
