import { createInterface } from "node:readline";
import { printLine, type Style, stylerFor, type Terminal } from "../terminal.ts";

/** A talk with the person at the terminal, line by line. */
export interface Dialogue {
  /** What they type; null at the end of the input, at Ctrl-C, and when what they are asked is settled otherwise. */
  ask(prompt: string): Promise<string | null>;
  /** A line for them. Safe to print: what comes from elsewhere has been cleaned. */
  say(line: string): void;
  readonly style: (style: Style, text: string) => string;
  readonly terminal: Terminal;
}

/** `settled`: aborted when nobody needs to be asked any more. */
export function openDialogue(terminal: Terminal, settled: AbortSignal): Dialogue {
  const { stdout, env } = terminal;
  const style = stylerFor(stdout, env);
  const ended = AbortSignal.any([terminal.interruption(), settled]);
  return {
    async ask(prompt) {
      stdout.write(style("bold", prompt));
      const line = await readLine(terminal, ended);
      // The cursor stands behind the prompt.
      if (line === null) printLine(stdout);
      return line;
    },
    say: (line) => printLine(stdout, line),
    style,
    terminal,
  };
}

function readLine({ stdin }: Terminal, ended: AbortSignal): Promise<string | null> {
  const reader = createInterface({ input: stdin, terminal: false });
  return new Promise((resolve) => {
    const onEnd = () => reader.close();
    reader.once("line", (line) => {
      resolve(line);
      reader.close();
    });
    reader.once("close", () => {
      ended.removeEventListener("abort", onEnd);
      resolve(null);
    });
    ended.addEventListener("abort", onEnd, { once: true });
    if (ended.aborted) reader.close();
  });
}
