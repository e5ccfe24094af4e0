import type { Clock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import { type Message, noUsage } from "../../log/content.ts";
import type { NewEntry } from "../../log/entry.ts";
import type { SessionLog } from "../../log/session-log.ts";
import { carriedState, isAtRest, type SessionState } from "../../log/state.ts";
import { repaired } from "../../log/transcript.ts";
import { openSessionWriter } from "../session-writer.ts";
import type { RunQueue } from "../worker/queue.ts";

/** What is wrong with the log of a session that no run works on, and what would put it right. */
export interface Diagnosis {
  /** For people, one sentence each. Empty: the session can go on as it is. */
  readonly problems: readonly string[];
  /** To be appended; null when nothing is wrong. What stands in the log is not changed. */
  readonly repair: NewEntry | null;
}

/** @pure */
export function diagnose(state: SessionState): Diagnosis {
  const { messages, problems } = repaired(withKnownResults(state));
  const sentences = problems.map(({ message, problem }) => `message ${message + 1}: ${problem}`);
  return problems.length === 0
    ? { problems: [], repair: null }
    : { problems: sentences, repair: mended(state, messages) };
}

/** Results join the transcript when all calls of an answer have one; of a run that ended before, they have to be taken. */
function withKnownResults({ messages, openCalls }: SessionState): readonly Message[] {
  const results = openCalls.flatMap(({ result }) => (result === null ? [] : [result]));
  return results.length === 0 ? messages : [...messages, { role: "tool", results }];
}

function mended(state: SessionState, messages: readonly Message[]): NewEntry {
  const tokens = state.measured?.tokens ?? 0;
  return {
    type: "compacted",
    tier: "repair",
    messages,
    carried: carriedState(state),
    tokensBefore: tokens,
    tokensAfter: tokens,
    usage: noUsage,
    costUsd: 0,
  };
}

/**
 * Looks at a session's log, and repairs it by appending.
 * @throws AppError `not_found`; `unavailable` while a process works on it.
 */
export async function examineSession(
  log: SessionLog & RunQueue,
  sessionId: string,
  options: { readonly repair: boolean; readonly clock: Clock },
): Promise<Diagnosis & { readonly entries: number; readonly repaired: boolean }> {
  const lease = await log.claim(sessionId);
  if (lease === undefined) throw busy(sessionId);
  try {
    const writer = await openSessionWriter(log, lease, options.clock);
    if (!isAtRest(writer.state)) throw busy(sessionId);
    const entries = writer.state.headSeq;
    const found = diagnose(writer.state);
    if (options.repair && found.repair !== null) writer.append(found.repair);
    await writer.durable();
    return { ...found, entries, repaired: writer.state.headSeq > entries };
  } finally {
    await log.release(lease);
  }
}

function busy(sessionId: string): AppError {
  return new AppError("unavailable", `session ${sessionId} is being worked on`, {
    hint: `Stop it first: holdfast sessions stop ${sessionId}`,
  });
}
