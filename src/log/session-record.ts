import type { Usage } from "./content.ts";

/** What is known of a session without reading its log. */

/** How much there may be, of one agent and of one tenant. Null: no limit. */
export interface Quota {
  readonly agent: number | null;
  readonly tenant: number | null;
}

/** Whoever is not named. Sessions of releases without tenants belong to it. */
export const DEFAULT_TENANT = "default";

export interface NewSession {
  readonly id: string;
  readonly agent: string;
  /** Whose it is. Default: `DEFAULT_TENANT`. */
  readonly tenant?: string;
  readonly title?: string;
  /** The caller's idempotency key; unique over all sessions. */
  readonly createKey?: string;
  /** A hash of what the caller asked for, so that a key used for something else is noticed. */
  readonly fingerprint?: string;
}

/**
 * `queued`: has work and no runner yet. `running`: a run is under way (or was, when its node died). `waiting`: a run waits
 * for a person's answer, and nobody has to work on it.
 */
export type SessionStatus = "idle" | "queued" | "running" | "waiting";

export interface SessionRecord {
  readonly id: string;
  readonly agent: string;
  /** Whose it is; others do not see it. */
  readonly tenant: string;
  readonly title: string | null;
  readonly status: SessionStatus;
  /** How the last run ended ("endTurn", "stopped", "failed", ...); null before the first. */
  readonly lastRunEnd: string | null;
  readonly headId: string | null;
  readonly headSeq: number;
  readonly createdAt: number;
  /** When it last got a message, or a run began or ended. */
  readonly updatedAt: number;
  readonly turns: number;
  readonly usage: Usage;
  /** Sum over the calls whose price is known. */
  readonly costUsd: number;
  /** Calls whose price is not known; when above 0, `costUsd` is a lower bound. */
  readonly unpricedCalls: number;
  readonly forkedFrom: { readonly sessionId: string; readonly entryId: string } | null;
}

export interface SessionFilter {
  readonly agent?: string;
  readonly tenant?: string;
  readonly status?: SessionStatus;
  /** Only forks of this session. */
  readonly forkOf?: string;
  /** Only sessions that come after this one; for paging with the last one of the page before. */
  readonly after?: SessionPosition;
  /** Default 50, at most 1,000. */
  readonly limit?: number;
}

/** A place in the list of sessions; of two that changed in the same millisecond, the greater id comes first. */
export type SessionPosition = Pick<SessionRecord, "updatedAt" | "id">;
