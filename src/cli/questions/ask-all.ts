import type { InterruptRecord } from "../../run/session/interrupts.ts";
import { questionWords } from "../render/question.ts";
import { printLine, type Terminal } from "../terminal.ts";
import { type Asking, askPerson } from "./question.ts";

export interface AskingAll extends Omit<Asking, "after"> {
  readonly sessionId: string;
  readonly after: () => number;
  /** Shows a question, unless that was done before. */
  readonly shown: { question(interrupt: InterruptRecord): void };
  /** Those that were left open; they are not asked again. */
  readonly left: Set<string>;
}

/** Asks what a session waits for, the oldest question first. False when nothing was answered. */
export async function askAll(
  { sessionId, shown, left, ...asking }: AskingAll,
  terminal: Terminal,
): Promise<boolean> {
  const open = await asking.sessions.interrupts({ sessionId, status: "open" });
  const due = open.toReversed().filter(({ id }) => !left.has(id));
  let isAnswered = false;
  for (const [i, interrupt] of due.entries()) {
    shown.question(interrupt);
    if (due.length > 1) {
      printLine(terminal.stdout, `${i + 1} of ${due.length}: ${questionWords(interrupt.request)}`);
    }
    if (await askPerson(interrupt, { ...asking, after: asking.after() }, terminal)) isAnswered = true;
    else left.add(interrupt.id);
    if (terminal.interruption().aborted) return true;
  }
  return isAnswered;
}
