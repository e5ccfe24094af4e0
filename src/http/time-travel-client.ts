import { newId } from "../lib/ids.ts";
import type {
  Comparison,
  Forked,
  Rewound,
  SessionTree,
  TimeTravelCommands,
} from "../run/time-travel/time-travel.ts";
import { idempotencyKeyHeader } from "./headers.ts";
import type { Transport } from "./transport.ts";

/** Forks, moves, trees and comparisons of sessions on a server. */
export function remoteTimeTravel(transport: Transport): TimeTravelCommands {
  async function get<T>(path: string): Promise<T> {
    return (await (await transport.send("GET", path, { repeatable: true })).json()) as T;
  }
  function post(path: string, json: unknown, key: string = newId("key")): Promise<Response> {
    return transport.send("POST", path, {
      json,
      headers: { [idempotencyKeyHeader.name]: key },
      repeatable: true,
    });
  }
  return {
    tree(sessionId, page = {}) {
      const query = new URLSearchParams();
      for (const [name, value] of Object.entries(page)) query.set(name, String(value));
      return get<SessionTree>(`${pathOf(sessionId)}/tree?${query}`);
    },

    async fork(sessionId, { idempotencyKey, message, ...request } = {}) {
      const { blocks, ...how } = message ?? { blocks: [] };
      const body = { ...request, ...(message === undefined ? {} : { message: { prompt: blocks, ...how } }) };
      const response = await post(`${pathOf(sessionId)}/fork`, body, idempotencyKey);
      return { ...((await response.json()) as Omit<Forked, "created">), created: response.status === 201 };
    },

    async rewind(sessionId, { idempotencyKey, ...request }) {
      return (await (await post(`${pathOf(sessionId)}/rewind`, request, idempotencyKey)).json()) as Rewound;
    },

    compare: (one, other) => get<Comparison>(`${pathOf(one)}/compare/${encodeURIComponent(other)}`),
  };
}

function pathOf(sessionId: string): string {
  return `/v1/sessions/${encodeURIComponent(sessionId)}`;
}
