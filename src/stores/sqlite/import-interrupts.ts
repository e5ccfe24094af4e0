import type { Entry, Interrupted, InterruptResolved } from "../../log/entry.ts";
import { forkedInterrupt } from "../../log/fold-branches.ts";
import type { OpenInterrupt } from "../../log/state.ts";
import type { Vote } from "../../run/session/interrupts.ts";
import type { Database } from "./database.ts";
import { openInterrupt } from "./interrupts.ts";

/** What a session has asked people, made out from its log, where nothing else of it is known. */
export interface Asked {
  /** To be told each entry, in order. */
  note(entry: Entry): void;
  /** The ids of those that wait for an answer. */
  open(): readonly string[];
  /** Inside a transaction. */
  store(database: Database, session: number): void;
}

interface Question {
  readonly asked: OpenInterrupt & Pick<Interrupted, "runId">;
  votes: readonly Vote[];
  answered: (Entry & InterruptResolved) | null;
  /** When it was closed without an answer. */
  closedAt: number | null;
}

export function createAsked(): Asked {
  const questions = new Map<string, Question>();
  const isOpen = ({ answered, closedAt }: Question) => answered === null && closedAt === null;
  const closeAll = (at: number, runId?: string) => {
    for (const question of questions.values()) {
      if (!isOpen(question) || (runId !== undefined && question.asked.runId !== runId)) continue;
      question.closedAt = at;
    }
  };
  const ask = (asked: Question["asked"]) => {
    questions.set(asked.interruptId, { asked, votes: [], answered: null, closedAt: null });
  };
  return {
    note(entry) {
      switch (entry.type) {
        case "sessionCreated": {
          // What the session was forked from has asked is answered there; a fork may wait for the same under ids of its own.
          const open = entry.waits === true ? [...questions.values()].filter(isOpen) : [];
          questions.clear();
          for (const { asked } of open)
            ask({ ...forkedInterrupt(asked, entry.id, entry.at), runId: asked.runId });
          return;
        }
        case "interrupted":
          ask(entry);
          return;
        case "interruptVoted": {
          const question = questions.get(entry.interruptId);
          if (question !== undefined) {
            question.votes = [...question.votes, { actor: entry.actor, at: entry.at }];
          }
          return;
        }
        case "interruptResolved": {
          const question = questions.get(entry.interruptId);
          if (question !== undefined) question.answered = entry;
          return;
        }
        case "headMoved":
          closeAll(entry.at);
          return;
        case "runFinished":
        case "runFailed":
          closeAll(entry.at, entry.runId);
          return;
        default:
          return;
      }
    },
    open: () => [...questions.values()].filter(isOpen).map(({ asked }) => asked.interruptId),
    store(database, session) {
      for (const question of questions.values()) storeQuestion(database, session, question);
    },
  };
}

function storeQuestion(
  database: Database,
  session: number,
  { asked, votes, answered, closedAt }: Question,
): void {
  openInterrupt(database, session, asked);
  // One that the runtime withdrew by itself has no answer.
  const answer = answered?.inboxId === undefined ? null : answered;
  database.run(
    `UPDATE interrupt SET votes = ?, answer = ?, actor = ?, channel = ?, answered_at = ?, closed_at = ?
     WHERE session = ? AND id = ?`,
    votes.length === 0 ? null : JSON.stringify(votes),
    answer === null ? null : JSON.stringify(answer.answer),
    answer?.actor ?? null,
    answer?.channel ?? null,
    answer?.at ?? null,
    answered?.at ?? closedAt,
    session,
    asked.interruptId,
  );
}
