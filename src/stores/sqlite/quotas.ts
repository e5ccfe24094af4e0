import { AppError } from "../../lib/errors.ts";
import type { Quota } from "../../log/session-log.ts";
import type { Database } from "./database.ts";
import type { SessionRow } from "./rows.ts";

/** What is refused, decided inside the transaction that would add it: several processes share these limits exactly. */

const MINUTE_MS = 60_000;
/** When a run ends is not known; callers come back about this often. */
const RUN_RETRY_MS = 5_000;
/** Messages that one session may have waiting. Somebody who sends more has lost sight of it. */
const MAX_WAITING = 1_000;

type Owner = Pick<SessionRow, "agent" | "tenant">;
type Scope = keyof Quota;

/** @throws AppError `conflict` */
export function requireIdle({ id, status }: SessionRow): void {
  if (status === "idle") return;
  throw new AppError("conflict", `The session "${id}" is at work, and the message was to be refused then.`, {
    hint: 'Send it when the session is idle, or with the delivery "steer", "followUp" or "interrupt".',
    details: { status },
  });
}

/**
 * A session that has work, or waits for a person, begins no new run with a message. @throws AppError `rate_limited`
 */
export function requireRoomForRun(database: Database, session: SessionRow, runs: Quota): void {
  if (session.status !== "idle") return;
  for (const scope of ["agent", "tenant"] as const) {
    const limit = runs[scope];
    if (limit === null || countRuns(database, scope, session[scope]) < limit) continue;
    throw tooMany(
      `${nameOf(scope, session)} has ${counted(limit, "run")} at once already, which is its limit (${SETTINGS[scope].runs}).`,
      { when: "when one of them has ended", retryAfterMs: RUN_RETRY_MS },
    );
  }
}

/** Sessions that are queued or running have `work_since`, which has an index. */
function countRuns(database: Database, scope: Scope, name: string): number {
  return (
    database.get<{ n: number }>(
      `SELECT count(*) AS n FROM session WHERE work_since IS NOT NULL AND ${scope} = ?`,
      name,
    )?.n ?? 0
  );
}

/** @throws AppError `rate_limited` */
export function requireRoomForSession(database: Database, owner: Owner, perMinute: Quota, now: number): void {
  for (const scope of ["agent", "tenant"] as const) {
    const limit = perMinute[scope];
    if (limit === null) continue;
    const createdAt = nthLatest(database, scope, owner[scope], { n: limit, after: now - MINUTE_MS });
    if (createdAt === undefined) continue;
    const waitMs = Math.max(1, createdAt + MINUTE_MS - now);
    throw tooMany(
      `${nameOf(scope, owner)} has made ${counted(limit, "session")} within a minute, which is its limit (${SETTINGS[scope].sessionsPerMinute}).`,
      { when: `in ${Math.ceil(waitMs / 1_000)} s`, retryAfterMs: waitMs },
    );
  }
}

/** When the session was made that has to be a minute old before there may be another; undefined when there may be one now. */
function nthLatest(
  database: Database,
  scope: Scope,
  name: string,
  { n, after }: { readonly n: number; readonly after: number },
): number | undefined {
  return database.get<{ created_at: number }>(
    `SELECT created_at FROM session WHERE created_at > ? AND ${scope} = ?
     ORDER BY created_at DESC LIMIT 1 OFFSET ?`,
    after,
    name,
    n - 1,
  )?.created_at;
}

/** @throws AppError `rate_limited` */
export function requireRoomInInbox(database: Database, { key, id }: SessionRow): void {
  const last = database.get(
    "SELECT 1 FROM inbox WHERE session = ? AND moved_seq IS NULL LIMIT 1 OFFSET ?",
    key,
    MAX_WAITING - 1,
  );
  if (last === undefined) return;
  throw tooMany(`The session "${id}" has ${MAX_WAITING} messages that wait already.`, {
    when: "when it has taken some of them",
    retryAfterMs: RUN_RETRY_MS,
  });
}

function nameOf(scope: Scope, owner: Owner): string {
  return `The ${scope} "${owner[scope]}"`;
}

/** Where each limit is set. */
const SETTINGS = {
  agent: { runs: "limits.runs", sessionsPerMinute: "limits.sessionsPerMinute" },
  tenant: { runs: "HOLDFAST_TENANT_RUNS", sessionsPerMinute: "HOLDFAST_TENANT_SESSIONS_PER_MINUTE" },
} as const;

function counted(limit: number, noun: string): string {
  return `${limit} ${noun}${limit === 1 ? "" : "s"}`;
}

function tooMany(
  message: string,
  { when, retryAfterMs }: { readonly when: string; readonly retryAfterMs: number },
): AppError {
  return new AppError("rate_limited", message, {
    hint: `Nothing was stored. Try again ${when}.`,
    details: { retryAfterMs },
  });
}
