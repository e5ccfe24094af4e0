import { errorMessage } from "../lib/errors.ts";
import type { Notices } from "./notices.ts";
import type { Terminal } from "./terminal.ts";
import { readTypedLines } from "./typed-lines.ts";

/** Lines that a person types while a run goes on. */
export interface SteeringLines extends Disposable {
  /** The message id of the last line that was sent since the last call, once it is durable; null when there is none. */
  last(): Promise<string | null>;
  /** The same function, with the keyboard for itself while it works. */
  besides<Argument, Result>(
    ask: (argument: Argument) => Promise<Result>,
  ): (argument: Argument) => Promise<Result>;
}

export interface Steering {
  /** Sends a line, and resolves with its message's id when it is durable. */
  readonly send: (line: string) => Promise<string>;
  /** Shows the line that is being typed. */
  readonly typing: (line: string) => void;
  readonly notices: Notices;
  readonly terminal: Terminal;
}

/** A line that is typed steers the run. It is shown again where it stands in the log. */
export function steerByTyping({ send, typing, notices, terminal }: Steering): SteeringLines {
  let last: Promise<string | null> = Promise.resolve(null);

  /** In the order in which they were typed. */
  async function sendAfter(before: Promise<string | null>, line: string): Promise<string | null> {
    const earlier = await before;
    try {
      return await send(line);
    } catch (error) {
      notices.tell(`"${line}" was not sent: ${errorMessage(error)}`);
      return earlier;
    }
  }

  const typed = readTypedLines(terminal, {
    change: typing,
    line(line) {
      last = sendAfter(last, line);
    },
  });
  return {
    last() {
      const sent = last;
      last = Promise.resolve(null);
      return sent;
    },
    besides: (ask) => async (argument) => {
      typed.pause();
      try {
        return await ask(argument);
      } finally {
        typed.resume();
      }
    },
    [Symbol.dispose]: () => typed[Symbol.dispose](),
  };
}
