import { emitKeypressEvents, type Key } from "node:readline";
import type { Terminal } from "./terminal.ts";

/** What a person types while something else is being shown. Whoever shows that shows the line as well, as it grows. */
export interface TypedLines extends Disposable {
  /** Leaves the keyboard to somebody else. What was typed of a line is kept. */
  pause(): void;
  resume(): void;
}

export interface TypedLinesListener {
  /** The line that is being typed; empty when it was sent or taken back. */
  change(line: string): void;
  /** A line that was finished, and says something. */
  line(line: string): void;
}

/**
 * Reads keys instead of lines, since what the terminal itself echoes would be in the way of a line that is rewritten. Ctrl-C
 * still interrupts; Ctrl-U, and Escape, take the line back.
 */
export function readTypedLines(
  { stdin, interrupt }: Pick<Terminal, "stdin" | "interrupt">,
  listener: TypedLinesListener,
): TypedLines {
  let typed = "";
  let listening = false;

  function set(line: string): void {
    if (line === typed) return;
    typed = line;
    listener.change(line);
  }

  function onKey(text: string | undefined, key: Key): void {
    if (key.ctrl === true && key.name === "c") interrupt?.();
    else if (key.name === "return" || key.name === "enter") finish();
    else if (key.name === "backspace") set([...typed].slice(0, -1).join(""));
    else if (key.name === "escape" || (key.ctrl === true && key.name === "u")) set("");
    else if (key.ctrl === true && key.name === "w") set(typed.replace(/\S+\s*$/, ""));
    else if (text !== undefined && key.ctrl !== true && key.meta !== true && isText(text)) set(typed + text);
  }

  function finish(): void {
    const line = typed.trim();
    set("");
    if (line !== "") listener.line(line);
  }

  function resume(): void {
    if (listening) return;
    listening = true;
    stdin.setRawMode?.(true);
    stdin.on("keypress", onKey);
    stdin.resume();
  }

  function pause(): void {
    if (!listening) return;
    listening = false;
    stdin.off("keypress", onKey);
    stdin.setRawMode?.(false);
    stdin.pause();
  }

  emitKeypressEvents(stdin);
  resume();
  return { pause, resume, [Symbol.dispose]: pause };
}

function isText(text: string): boolean {
  return !/[\p{Cc}\p{Cf}]/u.test(text);
}
