import type { Agent } from "../../agents/agent.ts";
import type { SessionLog, SessionPosition, SessionRecord } from "../../log/session-log.ts";
import { riskOf } from "../../permissions/risk.ts";
import { policyCall } from "../calls/permit.ts";
import { type AuditSummary, type AuditTally, createAuditTally } from "./audit-summary.ts";
import { createDecisionReader, type DecidedCall } from "./decided-calls.ts";

export interface AuditQuery {
  readonly agent?: string;
  /** Decisions from then on. Milliseconds since 1970. Default: all. */
  readonly since?: number;
  readonly sessionId?: string;
  /** How many of the calls are listed, the latest ones. Default 100, at most 1,000. The summary is of all. */
  readonly limit?: number;
}

/** Who or what has decided whether calls may start. */
export interface PermissionAudit {
  readonly since: number | null;
  readonly summary: AuditSummary;
  /** The latest first. */
  readonly calls: readonly DecidedCall[];
  /** Calls that the limit left out of the list. */
  readonly omitted: number;
}

const SESSIONS_AT_ONCE = 200;
const ENTRIES_AT_ONCE = 1_000;

/**
 * Reads the logs of sessions, a page at a time: what it takes grows with their length, and its memory does not.
 * @param agents those that are served here: only their rules are known.
 */
export async function auditPermissions(
  query: AuditQuery & { readonly tenant?: string },
  log: Pick<SessionLog, "session" | "sessions" | "read">,
  agents: readonly Agent[],
): Promise<PermissionAudit> {
  const tally = createAuditTally();
  const limit = Math.min(query.limit ?? 100, 1_000);
  let latest: DecidedCall[] = [];
  const keepLatest = () => {
    latest = latest.sort((a, b) => b.at - a.at).slice(0, limit);
  };
  for await (const session of sessionsOf(query, log)) {
    tally.session();
    const agent = agents.find(({ name }) => name === session.agent);
    for await (const call of decisionsOf(session, query.since ?? 0, { log, agent, tally })) {
      tally.call(call);
      latest.push(call);
      if (latest.length > limit * 2) keepLatest();
    }
  }
  keepLatest();
  // What an agent may not do at all is not for a tenant to read.
  const known = query.tenant === undefined ? agents.filter(({ name }) => isAsked(name, query)) : [];
  const summary = tally.summary(
    known.map(({ name, permissions }) => ({ name, rules: permissions.ruleNames })),
  );
  return {
    since: query.since ?? null,
    summary,
    calls: latest,
    omitted: summary.calls - latest.length,
  };
}

function isAsked(agent: string, query: AuditQuery): boolean {
  return query.agent === undefined || agent === query.agent;
}

/** Those that have changed since then, the newest first. */
async function* sessionsOf(
  { agent, tenant, sessionId, since = 0 }: AuditQuery & { readonly tenant?: string },
  log: Pick<SessionLog, "session" | "sessions">,
): AsyncGenerator<SessionRecord> {
  if (sessionId !== undefined) {
    const session = await log.session(sessionId);
    if (session !== undefined) yield session;
    return;
  }
  const filter = { ...(agent === undefined ? {} : { agent }), ...(tenant === undefined ? {} : { tenant }) };
  let after: SessionPosition | undefined;
  for (;;) {
    const page = await log.sessions({
      ...filter,
      limit: SESSIONS_AT_ONCE,
      ...(after === undefined ? {} : { after }),
    });
    for (const session of page) {
      if (session.updatedAt < since) return;
      yield session;
    }
    after = page.at(-1);
    if (page.length < SESSIONS_AT_ONCE) return;
  }
}

async function* decisionsOf(
  session: SessionRecord,
  since: number,
  from: {
    readonly log: Pick<SessionLog, "read">;
    readonly agent: Agent | undefined;
    readonly tally: AuditTally;
  },
): AsyncGenerator<DecidedCall> {
  const reader = createDecisionReader(session, (name, input) => {
    const tool = from.agent?.tools.get(name);
    return tool === undefined ? null : riskOf(policyCall(tool, input));
  });
  for (let after = 0; ; ) {
    const page = await from.log.read(session.id, after, ENTRIES_AT_ONCE);
    for (const entry of page) {
      const decided = reader.add(entry);
      if (entry.at < since || entry.sessionId !== session.id) continue;
      if (entry.type === "callClassified") from.tally.classified(entry);
      if (decided !== null) yield decided;
    }
    const last = page.at(-1);
    if (last === undefined || page.length < ENTRIES_AT_ONCE) return;
    after = last.seq;
  }
}
