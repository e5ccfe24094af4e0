import { AppError } from "../../lib/errors.ts";
import type { Entry, InterruptAnswer, InterruptRequest } from "../../log/entry.ts";
import type { InterruptFilter, InterruptRecord, InterruptStatus } from "../../run/session/interrupts.ts";
import type { Command } from "../../run/worker/queue.ts";
import type { Database } from "./database.ts";
import { raiseBudget } from "./spend.ts";

interface InterruptRow {
  readonly id: string;
  readonly session_id: string;
  readonly agent: string;
  readonly run: string;
  readonly at: number;
  readonly request: string;
  readonly answer: string | null;
  readonly actor: string | null;
  readonly answered_at: number | null;
  readonly closed_at: number | null;
}

/** Takes note of what is asked and answered. Inside the transaction that appends the entries. */
export function noteInterrupts(database: Database, session: number, entries: readonly Entry[]): void {
  for (const entry of entries) {
    switch (entry.type) {
      case "interrupted":
        database.run(
          "INSERT INTO interrupt (session, id, run, at, request) VALUES (?, ?, ?, ?, ?)",
          session,
          entry.interruptId,
          entry.runId,
          entry.at,
          JSON.stringify(entry.request),
        );
        break;
      case "interruptResolved":
        noteAnswer(database, session, entry);
        break;
      case "runFinished":
      case "runFailed":
        database.run(
          "UPDATE interrupt SET closed_at = ? WHERE session = ? AND run = ? AND closed_at IS NULL",
          entry.at,
          session,
          entry.runId,
        );
        break;
    }
  }
}

/** A budget that other sessions share is raised for all of them. */
function noteAnswer(
  database: Database,
  session: number,
  { interruptId, answer, at }: Extract<Entry, { readonly type: "interruptResolved" }>,
): void {
  const row = database.get<{ request: string }>(
    "SELECT request FROM interrupt WHERE session = ? AND id = ?",
    session,
    interruptId,
  );
  if (row === undefined || answer.action !== "raise") return;
  const { scope, key } = (JSON.parse(row.request) as InterruptRequest).budget;
  if (scope === "agent" || scope === "tenant") raiseBudget(database, { scope, key }, answer.limitUsd, at);
}

/**
 * The first answer counts. Inside the transaction that puts it into the inbox.
 * @throws AppError `not_found`; `conflict` when it was answered (with who and when), or its run has ended.
 */
export function takeAnswer(
  database: Database,
  session: { readonly key: number; readonly id: string },
  { interruptId, answer, actor }: Extract<Command, { readonly type: "answer" }>,
  at: number,
): void {
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
      "The run that asked this has ended; nothing waits for an answer any more.",
    );
  }
  database.run(
    "UPDATE interrupt SET answer = ?, actor = ?, answered_at = ?, closed_at = ? WHERE session = ? AND id = ?",
    JSON.stringify(answer),
    actor ?? null,
    at,
    at,
    session.key,
    interruptId,
  );
}

function answeredBefore({ answer, actor }: InterruptRow, at: number): AppError {
  const who = actor ?? "somebody";
  return new AppError("conflict", `${who} has answered this already, at ${new Date(at).toISOString()}.`, {
    details: { actor, at, answer: answer === null ? null : JSON.parse(answer) },
  });
}

const CONDITIONS: Readonly<Record<InterruptStatus, string>> = {
  open: "interrupt.closed_at IS NULL",
  answered: "interrupt.answered_at IS NOT NULL",
  closed: "interrupt.closed_at IS NOT NULL AND interrupt.answered_at IS NULL",
};

/** The latest first. */
export function listInterrupts(database: Database, filter: InterruptFilter): readonly InterruptRecord[] {
  const condition = filter.status === undefined ? "TRUE" : CONDITIONS[filter.status];
  // Whoever waits for one session asks for it often: found by its index, however many others were ever asked something.
  const ofSession =
    filter.sessionId === undefined ? "TRUE" : "interrupt.session = (SELECT key FROM session WHERE id = ?3)";
  return database
    .all<InterruptRow>(
      `SELECT interrupt.*, session.id AS session_id, session.agent
       FROM interrupt JOIN session ON session.key = interrupt.session
       WHERE ${condition} AND ${ofSession}
         AND (?1 IS NULL OR session.agent = ?1) AND (?2 IS NULL OR session.tenant = ?2) AND (?3 IS NULL OR session.id = ?3)
       ORDER BY interrupt.at DESC, interrupt.key DESC LIMIT ?4`,
      filter.agent ?? null,
      filter.tenant ?? null,
      filter.sessionId ?? null,
      Math.min(filter.limit ?? 100, 1_000),
    )
    .map(interruptRecord);
}

function interruptRecord(row: InterruptRow): InterruptRecord {
  const { answer, answered_at: answeredAt } = row;
  const answered =
    answer === null || answeredAt === null
      ? null
      : { answer: JSON.parse(answer) as InterruptAnswer, actor: row.actor, at: answeredAt };
  return {
    id: row.id,
    sessionId: row.session_id,
    agent: row.agent,
    runId: row.run,
    at: row.at,
    request: JSON.parse(row.request) as InterruptRequest,
    status: answered !== null ? "answered" : row.closed_at === null ? "open" : "closed",
    answered,
  };
}
