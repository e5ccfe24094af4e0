import { systemClock } from "../../lib/clock.ts";
import { AppError, isAppError } from "../../lib/errors.ts";
import { nearest } from "../../lib/json.ts";
import type { InterruptKind } from "../../log/entry.ts";
import type { InterruptRecord } from "../../run/session/interrupts.ts";
import type { Sessions } from "../../run/session/sessions.ts";
import { ago } from "../render/figures.ts";
import { oneLine } from "../render/plain.ts";
import { answeredWords, questionWords } from "../render/question.ts";

/** Which question is meant: by its id or the beginning of it, or by the session that waits. */

/** More than wait anywhere at once, and the most that a store lists. */
const MOST = 1_000;

type Readable = Pick<Sessions, "get" | "interrupts">;

/**
 * The question that is meant, which may have been answered.
 * @throws AppError `not_found`; `conflict` for a session that has no open question, or several, with what they are.
 */
export async function findInterrupt(sessions: Readable, wanted: string): Promise<InterruptRecord> {
  const ofSession = await openOfSession(sessions, wanted);
  if (ofSession === null) return byPrefix(sessions, wanted);
  const [only, ...others] = ofSession;
  if (only !== undefined && others.length === 0) return only;
  throw new AppError("conflict", `the session ${wanted} asks ${ofSession.length} questions: which one?`, {
    hint: `${listing(ofSession)}\nName one by its id (its beginning is enough), or all of them with --all.`,
  });
}

/** All open questions of a session, the oldest first; with an id: that one. @throws as `findInterrupt` */
export async function findInterrupts(
  sessions: Readable,
  wanted: string,
): Promise<readonly InterruptRecord[]> {
  const ofSession = await openOfSession(sessions, wanted);
  return ofSession === null ? [await byPrefix(sessions, wanted)] : ofSession.toReversed();
}

/** Null for what is no session. @throws AppError `conflict` when it does not wait for anybody. */
async function openOfSession(sessions: Readable, wanted: string): Promise<readonly InterruptRecord[] | null> {
  const session = await sessions.get(wanted).catch((error: unknown) => {
    if (isAppError(error, "not_found") || isAppError(error, "invalid_input")) return null;
    throw error;
  });
  if (session === null) return null;
  const open = await sessions.interrupts({ sessionId: session.id, status: "open" });
  if (open.length > 0) return open;
  const [latest] = await sessions.interrupts({ sessionId: session.id, limit: 1 });
  const last = latest?.answered
    ? `; the last one: ${answeredText(latest.answered, latest.request.kind)}`
    : "";
  throw new AppError(
    "conflict",
    `the session ${session.id} does not wait for an answer (it is ${session.status})${last}`,
    { hint: "`holdfast approvals` shows those that do." },
  );
}

async function byPrefix(sessions: Readable, wanted: string): Promise<InterruptRecord> {
  const open = await sessions.interrupts({ status: "open", limit: MOST });
  const found = matching(open, wanted);
  // One that has been answered is found as well, to say who has.
  const all = found.length > 0 ? open : await sessions.interrupts({ limit: MOST });
  const [only, ...others] = found.length > 0 ? found : matching(all, wanted);
  if (only === undefined) {
    const near = nearest(
      wanted,
      all.flatMap(({ id, sessionId }) => [id, sessionId]),
    );
    throw new AppError("not_found", `there is no question, and no session, "${wanted}"`, {
      hint: near === undefined ? "`holdfast approvals` shows what waits." : `Did you mean "${near}"?`,
    });
  }
  if (others.length === 0) return only;
  throw new AppError("conflict", `several questions begin with "${wanted}"`, {
    hint: listing([only, ...others]),
  });
}

function matching(interrupts: readonly InterruptRecord[], prefix: string): readonly InterruptRecord[] {
  const exact = interrupts.filter(({ id }) => id === prefix);
  if (exact.length > 0 || prefix === "") return exact;
  return interrupts.filter(({ id }) => id.startsWith(prefix));
}

function listing(interrupts: readonly InterruptRecord[]): string {
  return interrupts
    .toReversed()
    .slice(0, 20)
    .map(({ id, request }) => `  ${id}  ${questionWords(request)}`)
    .join("\n");
}

/** "approved by ada, 3 min ago". */
export function answeredText(
  { answer, actor, at }: NonNullable<InterruptRecord["answered"]>,
  kind: InterruptKind,
): string {
  return `${oneLine(answeredWords(answer, actor, undefined, kind))}, ${ago(systemClock.now() - at)}`;
}
