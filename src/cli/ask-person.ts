import { createInterface } from "node:readline";
import { isAppError } from "../lib/errors.ts";
import type { InterruptAnswer } from "../log/entry.ts";
import type { InterruptRecord } from "../run/session/interrupts.ts";
import type { Sessions } from "../run/session/sessions.ts";
import { enoughFor } from "../run/turn/budget.ts";
import { dollars } from "./render/figures.ts";
import { oneLine } from "./render/plain.ts";
import { isLive, printLine, stylerFor, type Terminal } from "./terminal.ts";

/** Whether a person sits here who can be asked. */
export function canAsk({ stdin, stdout, env }: Terminal, json: boolean): boolean {
  return !json && stdin.isTTY === true && isLive(stdout, env);
}

/** Asks what the run waits for. False when the person leaves it open. */
export async function askPerson(
  { id, sessionId, request }: InterruptRecord,
  { sessions, actor }: { readonly sessions: Pick<Sessions, "answer">; readonly actor: string | undefined },
  terminal: Terminal,
): Promise<boolean> {
  const { stdout, env } = terminal;
  const style = stylerFor(stdout, env);
  const { limitUsd } = request.budget;
  for (;;) {
    stdout.write(style("bold", "New limit in dollars, or nothing to end the run: "));
    const line = await readLine(terminal);
    // Ctrl-C stops the run, of which there is something to read.
    if (line === null) return terminal.interruption().aborted;
    const answer = answerOf(line);
    if (answer !== null) {
      try {
        await sessions.answer(sessionId, id, answer, actor === undefined ? {} : { actor });
        return true;
      } catch (error) {
        if (isAppError(error, "conflict")) {
          printLine(stdout, oneLine(error.message));
          return true;
        }
        if (isAppError(error, "forbidden")) {
          printLine(stdout, oneLine(`${error.message}. ${error.hint ?? ""}`));
          continue;
        }
        if (!isAppError(error, "invalid_input")) throw error;
      }
    }
    printLine(
      stdout,
      `That is not an amount above ${dollars(limitUsd)}. Write it like ${enoughFor(request.budget)}.`,
    );
  }
}

function answerOf(line: string): InterruptAnswer | null {
  const text = line.trim().replace(/^\$/, "");
  if (text === "") return { action: "end" };
  const limitUsd = Number(text);
  return /^\d+(?:\.\d+)?$/.test(text) && limitUsd > 0 ? { action: "raise", limitUsd } : null;
}

/** Null at the end of the input, and at Ctrl-C. */
function readLine(terminal: Terminal): Promise<string | null> {
  const reader = createInterface({ input: terminal.stdin, terminal: false });
  const interruption = terminal.interruption();
  return new Promise((resolve) => {
    const onInterrupt = () => reader.close();
    reader.once("line", (line) => {
      resolve(line);
      reader.close();
    });
    reader.once("close", () => {
      interruption.removeEventListener("abort", onInterrupt);
      resolve(null);
    });
    interruption.addEventListener("abort", onInterrupt, { once: true });
    if (interruption.aborted) reader.close();
  });
}
