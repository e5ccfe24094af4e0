import { AppError } from "../../lib/errors.ts";
import type {
  Entry,
  InterruptAnswer,
  InterruptRequest,
  InterruptResolved,
  RuleAdded,
} from "../../log/entry.ts";
import type { AddedRule } from "../../log/state.ts";
import type {
  InterruptFilter,
  InterruptRecord,
  InterruptStatus,
  Vote,
} from "../../run/session/interrupts.ts";
import type { Command } from "../../run/worker/queue.ts";
import type { Database } from "./database.ts";
import { raiseBudget } from "./spend.ts";

export interface InterruptRow {
  readonly id: string;
  readonly session_id: string;
  readonly agent: string;
  readonly run: string;
  readonly at: number;
  readonly request: string;
  readonly answer: string | null;
  readonly actor: string | null;
  readonly channel: string | null;
  readonly votes: string | null;
  readonly answered_at: number | null;
  readonly closed_at: number | null;
}

/** Takes note of what is asked and answered. Inside the transaction that appends the entries. */
export function noteInterrupts(
  database: Database,
  session: { readonly key: number; readonly agent: string },
  entries: readonly Entry[],
): void {
  for (const entry of entries) {
    switch (entry.type) {
      case "interrupted":
        openInterrupt(database, session.key, entry);
        break;
      case "interruptResolved":
        noteAnswer(database, session.key, entry);
        break;
      case "ruleAdded":
        if (entry.scope === "agent") addRule(database, session.agent, entry);
        break;
      case "runFinished":
      case "runFailed":
        database.run(
          "UPDATE interrupt SET closed_at = ? WHERE session = ? AND run = ? AND closed_at IS NULL",
          entry.at,
          session.key,
          entry.runId,
        );
        break;
    }
  }
}

/** A question of a session that nobody has answered. */
export function openInterrupt(
  database: Database,
  session: number,
  {
    interruptId,
    runId,
    at,
    request,
  }: Pick<Extract<Entry, { readonly type: "interrupted" }>, "interruptId" | "runId" | "at" | "request">,
): void {
  const { expiresAt = Infinity, abandonAt = Infinity } = request;
  const dueAt = Math.min(expiresAt, abandonAt);
  database.run(
    "INSERT INTO interrupt (session, id, run, at, request, due_at, tell_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    session,
    interruptId,
    runId,
    at,
    JSON.stringify(request),
    Number.isFinite(dueAt) ? dueAt : null,
    at,
  );
}

/** A budget that other sessions share is raised for all of them; a question that nobody needs to answer any more is closed. */
function noteAnswer(
  database: Database,
  session: number,
  { interruptId, inboxId, answer, at }: Entry & InterruptResolved,
): void {
  const row = database.get<{ request: string }>(
    "SELECT request FROM interrupt WHERE session = ? AND id = ?",
    session,
    interruptId,
  );
  if (row === undefined) return;
  if (inboxId === undefined) {
    database.run(
      "UPDATE interrupt SET closed_at = ? WHERE session = ? AND id = ? AND closed_at IS NULL",
      at,
      session,
      interruptId,
    );
  }
  const request = JSON.parse(row.request) as InterruptRequest;
  if (answer.action !== "raise" || request.kind !== "budget") return;
  const { scope, key } = request.budget;
  if (scope === "agent" || scope === "tenant") raiseBudget(database, { scope, key }, answer.limitUsd, at);
}

function addRule(database: Database, agent: string, { list, rule, actor, at }: Entry & RuleAdded): void {
  database.run(
    "INSERT INTO agent_rule (agent, list, rule, actor, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    agent,
    list,
    rule,
    actor ?? null,
    at,
  );
}

export function listRules(database: Database, agent: string): readonly AddedRule[] {
  return database
    .all<Pick<AddedRule, "list" | "rule">>(
      "SELECT list, rule FROM agent_rule WHERE agent = ? ORDER BY key",
      agent,
    )
    .map(({ list, rule }) => ({ scope: "agent", list, rule }));
}

export function dropRule(
  database: Database,
  agent: string,
  { list, rule }: Pick<AddedRule, "list" | "rule">,
): boolean {
  const gone = database.get(
    "DELETE FROM agent_rule WHERE agent = ? AND list = ? AND rule = ? RETURNING key",
    agent,
    list,
    rule,
  );
  return gone !== undefined;
}

type AnswerCommand = Extract<Command, { readonly type: "answer" }>;

/**
 * The first answer counts. Where several people have to approve, each approval but the last is a vote. Inside the transaction that
 * puts what is returned into the inbox.
 * @throws AppError `not_found`; `conflict` when it was answered (with who and when), its run has ended, or they have voted before.
 */
export function takeAnswer(
  database: Database,
  session: { readonly key: number; readonly id: string },
  command: AnswerCommand,
  at: number,
): Command {
  const { interruptId, answer, actor, channel } = command;
  const row = database.get<InterruptRow>(
    "SELECT * FROM interrupt WHERE session = ? AND id = ?",
    session.key,
    interruptId,
  );
  if (row === undefined) {
    throw new AppError("not_found", `The session "${session.id}" has no interrupt "${interruptId}".`);
  }
  if (row.answered_at !== null) throw answeredBefore(row, row.answered_at);
  if (row.closed_at !== null) {
    throw new AppError(
      "conflict",
      "Nothing waits for this answer any more: the run has ended, or a rule has decided it.",
    );
  }
  const { quorum = 1 } = JSON.parse(row.request) as InterruptRequest;
  if (quorum > 1 && answer.action === "approve") {
    const votes = withVote(votesOf(row), actor ?? "somebody", at);
    database.run(
      "UPDATE interrupt SET votes = ? WHERE session = ? AND id = ?",
      JSON.stringify(votes),
      session.key,
      interruptId,
    );
    if (votes.length < quorum) return { type: "vote", interruptId, actor: actor ?? "somebody" };
  }
  database.run(
    "UPDATE interrupt SET answer = ?, actor = ?, channel = ?, answered_at = ?, closed_at = ? WHERE session = ? AND id = ?",
    JSON.stringify(answer),
    actor ?? null,
    channel ?? null,
    at,
    at,
    session.key,
    interruptId,
  );
  return command;
}

function withVote(votes: readonly Vote[], actor: string, at: number): readonly Vote[] {
  const before = votes.find((vote) => vote.actor === actor);
  if (before === undefined) return [...votes, { actor, at }];
  throw new AppError(
    "conflict",
    `${actor} has approved this already, at ${new Date(before.at).toISOString()}.`,
    {
      hint: "Somebody else has to approve it, too.",
      details: { actor, at: before.at },
    },
  );
}

function votesOf({ votes }: Pick<InterruptRow, "votes">): readonly Vote[] {
  return votes === null ? [] : (JSON.parse(votes) as readonly Vote[]);
}

function answeredBefore({ answer, actor }: InterruptRow, at: number): AppError {
  const given = answer === null ? null : (JSON.parse(answer) as InterruptAnswer);
  const byTime = given?.action === "expired" || given?.action === "abandoned";
  const when = new Date(at).toISOString();
  const message = byTime
    ? `Nobody answered this in time; it was over at ${when}.`
    : `${actor ?? "Somebody"} has answered this already, at ${when}.`;
  return new AppError("conflict", message, { details: { actor, at, answer: given } });
}

interface DueRow {
  readonly id: string;
  readonly session_id: string;
  readonly request: string;
}

/** Looked for every second by every process: read from an index of those that time can answer, whatever else is open. */
export const DUE = `
  SELECT interrupt.id, interrupt.request, session.id AS session_id
  FROM interrupt JOIN session ON session.key = interrupt.session
  WHERE interrupt.closed_at IS NULL AND interrupt.due_at <= ? ORDER BY interrupt.due_at LIMIT ?`;

/** What time answers now, the longest overdue first: for which session, and how. */
export function dueInterrupts(
  database: Database,
  now: number,
  limit: number,
): readonly { readonly sessionId: string; readonly command: AnswerCommand }[] {
  return database.all<DueRow>(DUE, now, limit).map(({ id: interruptId, session_id: sessionId, request }) => ({
    sessionId,
    command: {
      type: "answer",
      interruptId,
      answer: answerOfTime(JSON.parse(request), now),
      channel: "clock",
    },
  }));
}

function answerOfTime({ abandonAt = Infinity, onExpire }: InterruptRequest, now: number): InterruptAnswer {
  return now >= abandonAt ? { action: "abandoned" } : { action: "expired", onExpire: onExpire ?? "deny" };
}

const CONDITIONS: Readonly<Record<InterruptStatus, string>> = {
  open: "interrupt.closed_at IS NULL",
  answered: "interrupt.answered_at IS NOT NULL",
  closed: "interrupt.closed_at IS NOT NULL AND interrupt.answered_at IS NULL",
};

/** By the person ?7, as `checkPerson` decides when they answer. */
const ANSWERABLE = `
  (json_type(interrupt.request, '$.approvers') IS NULL
     OR ?7 IN (SELECT value FROM json_each(interrupt.request, '$.approvers')))
  AND ?7 NOT IN (SELECT value FROM json_each(interrupt.request, '$.excluded'))`;

/** The latest first. */
export function listInterrupts(database: Database, filter: InterruptFilter): readonly InterruptRecord[] {
  const condition = filter.status === undefined ? "TRUE" : CONDITIONS[filter.status];
  // Whoever waits for one session asks for it often: found by its index, however many others were ever asked something.
  const ofSession =
    filter.sessionId === undefined ? "TRUE" : "interrupt.session = (SELECT key FROM session WHERE id = ?3)";
  const withId = filter.id === undefined ? "?5 IS NULL" : "interrupt.id = ?5";
  return database
    .all<InterruptRow>(
      `SELECT interrupt.*, session.id AS session_id, session.agent
       FROM interrupt JOIN session ON session.key = interrupt.session
       WHERE ${condition} AND ${ofSession}
         AND (?1 IS NULL OR session.agent = ?1) AND (?2 IS NULL OR session.tenant = ?2) AND (?3 IS NULL OR session.id = ?3)
         AND ${withId}
         AND (?6 IS NULL OR json_extract(interrupt.request, '$.kind') = ?6)
         AND (?7 IS NULL OR ${ANSWERABLE})
       ORDER BY interrupt.at DESC, interrupt.key DESC LIMIT ?4`,
      filter.agent ?? null,
      filter.tenant ?? null,
      filter.sessionId ?? null,
      Math.min(filter.limit ?? 100, 1_000),
      filter.id ?? null,
      filter.kind ?? null,
      filter.answerableBy ?? null,
    )
    .map(interruptRecord);
}

export function interruptRecord(row: InterruptRow): InterruptRecord {
  const { answer, answered_at: answeredAt } = row;
  const answered =
    answer === null || answeredAt === null
      ? null
      : {
          answer: JSON.parse(answer) as InterruptAnswer,
          actor: row.actor,
          channel: row.channel,
          at: answeredAt,
        };
  return {
    id: row.id,
    sessionId: row.session_id,
    agent: row.agent,
    runId: row.run,
    at: row.at,
    request: JSON.parse(row.request) as InterruptRequest,
    status: answered !== null ? "answered" : row.closed_at === null ? "open" : "closed",
    votes: votesOf(row),
    answered,
  };
}
