import { type AppError, isAppError } from "../../lib/errors.ts";
import type { Entry, InterruptAnswer } from "../../log/entry.ts";
import type { InterruptRecord } from "../../run/session/interrupts.ts";
import type { AnswerOptions, Sessions } from "../../run/session/sessions.ts";
import { isRunEnd } from "../../run/session/watch.ts";
import { oneLine, plain } from "../render/plain.ts";
import { answeredWords } from "../render/question.ts";
import { isLive, type Terminal } from "../terminal.ts";
import { askAboutBudget } from "./budget.ts";
import { askAboutCall } from "./call.ts";
import { type Dialogue, openDialogue } from "./dialogue.ts";
import { askAboutOutcome } from "./outcome.ts";
import { askForValue } from "./value.ts";

/** What a run asks the person who watches it, at the terminal. */

export interface Asking {
  readonly sessions: Pick<Sessions, "answer" | "interrupts" | "watch">;
  readonly actor: string | undefined;
  /** The last entry that was read: an answer from elsewhere comes after it. */
  readonly after: number;
}

/** Whether a person sits here who can be asked. */
export function canAsk({ stdin, stdout, env }: Terminal, json: boolean): boolean {
  return !json && stdin.isTTY === true && isLive(stdout, env);
}

/**
 * Asks one question until it has an answer: the person's, or one that comes from elsewhere meanwhile. False when they leave it open,
 * or others have to approve, too.
 */
export async function askPerson(
  interrupt: InterruptRecord,
  asking: Asking,
  terminal: Terminal,
): Promise<boolean> {
  using elsewhere = watchForAnswer(interrupt, asking);
  const dialogue = openDialogue(terminal, elsewhere.settled);
  for (;;) {
    const answer = await answerTo(interrupt, dialogue);
    if (elsewhere.settled.aborted) {
      dialogue.say(dialogue.style("yellow", elsewhere.words()));
      return true;
    }
    // Ctrl-C stops the run, of which there is something to read.
    if (answer === null) return terminal.interruption().aborted;
    const given = await give(answer, interrupt, asking, dialogue);
    if (given !== "again") return given === "settled";
  }
}

/** Null when it is left open. */
function answerTo(interrupt: InterruptRecord, dialogue: Dialogue): Promise<InterruptAnswer | null> {
  const { request } = interrupt;
  switch (request.kind) {
    case "approval":
    case "breakpoint":
      return askAboutCall(request, dialogue);
    case "question":
    case "auth":
      return askForValue(request, dialogue);
    case "outcome":
      return askAboutOutcome(dialogue);
    case "budget":
      return askAboutBudget(request, dialogue);
  }
}

/** `again`: the answer was not accepted, and another one may be. */
async function give(
  answer: InterruptAnswer,
  { id, sessionId }: InterruptRecord,
  { sessions, actor }: Asking,
  { say }: Dialogue,
): Promise<"settled" | "open" | "again"> {
  const options: AnswerOptions = { ...(actor === undefined ? {} : { actor }), channel: "cli" };
  try {
    const { status, request, votes } = await sessions.answer(sessionId, id, answer, options);
    if (status !== "open") return "settled";
    say(`${votes.length} of ${request.quorum ?? 1} approvals; somebody else has to approve it, too.`);
    return "open";
  } catch (error) {
    if (!isAppError(error)) throw error;
    // All lines: what does not fit stands behind the first one.
    say(plain(error.message));
    if (error.hint !== undefined) say(plain(error.hint));
    if (error.code === "conflict") return isOwnVote(error.details) ? "open" : "settled";
    if (error.code === "invalid_input" || error.code === "forbidden") return "again";
    throw error;
  }
}

/** They have approved before, and others have to. */
function isOwnVote(details: AppError["details"]): boolean {
  return details?.actor !== undefined && details.answer === undefined;
}

/** Another terminal, a link, a program, or the clock may be faster. */
function watchForAnswer({ id, sessionId }: InterruptRecord, { sessions, after }: Asking) {
  const settled = new AbortController();
  const leaving = new AbortController();
  let words = "";
  const read = async () => {
    for await (const event of sessions.watch(sessionId, { after, signal: leaving.signal })) {
      if (event.type !== "entry" || !settles(event.entry, id)) continue;
      words = settledWords(event.entry);
      settled.abort();
      return;
    }
  };
  // Without it the person answers, and is told when somebody else has.
  read().catch(() => {});
  return {
    settled: settled.signal,
    words: () => words,
    [Symbol.dispose]: () => leaving.abort(),
  };
}

function settles(entry: Entry, interruptId: string): boolean {
  return (entry.type === "interruptResolved" && entry.interruptId === interruptId) || isRunEnd(entry);
}

function settledWords(entry: Entry): string {
  if (entry.type !== "interruptResolved") return "The run has ended meanwhile.";
  const { channel, actor = null, answer } = entry;
  const how = channel === undefined || channel === "clock" ? "" : ` (${oneLine(channel)})`;
  return `Settled elsewhere${how}: ${answeredWords(answer, actor, undefined)}.`;
}
