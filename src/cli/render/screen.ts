import { type Clock, systemClock } from "../../lib/clock.ts";
import { ERASE_LINE } from "../printable.ts";
import { columnsOf, isLive, stylerFor, type Terminal, type TextStream } from "../terminal.ts";
import { duration } from "./figures.ts";
import { cut } from "./plain.ts";

/**
 * Prints what stays, and below it, where a person watches, one line that is rewritten: what goes on and for how long.
 * That line is gone before anything else is printed, and when the screen is disposed of.
 */
export interface Screen extends Disposable {
  print(text: string): void;
  /** A line on standard error. */
  note(text: string): void;
  /**
   * The line that a person types stands in the place of the rewritten one. While there is one, only whole lines are printed
   * above it; what comes of a line that is not complete follows when it is, or when nothing is typed any more.
   */
  typing(line: string): void;
}

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;
const FRAME_MS = 100;
/** What is over sooner than this is not worth a line that flickers. */
const PATIENCE_MS = 150;

export function openScreen(
  terminal: Pick<Terminal, "stdout" | "stderr" | "env">,
  activity: () => string | null,
  clock: Pick<Clock, "monotonic"> = systemClock,
): Screen {
  const { stdout, stderr, env } = terminal;
  if (!isLive(stdout, env)) {
    return {
      print: (text) => write(stdout, text),
      note: (text) => write(stderr, `${text}\n`),
      typing() {},
      [Symbol.dispose]() {},
    };
  }
  const style = stylerFor(stdout, env);
  let isDrawn = false;
  let frame = 0;
  /** What the line is about, without figures that grow. */
  let shown: string | null = null;
  let since = clock.monotonic();
  let typed = "";
  /** Printed when it is a whole line. */
  let held = "";
  let isLineOpen = false;

  function erase(): void {
    if (isDrawn) stdout.write(ERASE_LINE);
    isDrawn = false;
  }

  function put(text: string): void {
    if (text === "") return;
    stdout.write(text);
    isLineOpen = !text.endsWith("\n");
  }

  function drawTyped(): void {
    // The rest of an answer that is being written goes on below what was typed.
    if (isLineOpen) put("\n");
    const room = columnsOf(stdout) - 4;
    const end = [...typed].slice(-room).join("");
    stdout.write(`${ERASE_LINE}${style(["bold", "blue"], "›")} ${style("bold", end)}`);
    isDrawn = true;
  }

  function draw(): void {
    if (typed !== "") return;
    const words = activity();
    const subject = words?.replace(/ \(.*$/, "") ?? null;
    if (subject !== shown) since = clock.monotonic();
    shown = subject;
    if (words === null) {
      erase();
      return;
    }
    const elapsed = clock.monotonic() - since;
    if (elapsed < PATIENCE_MS && !isDrawn) return;
    frame = (frame + 1) % FRAMES.length;
    const time = elapsed < 1_000 ? "" : ` · ${duration(Math.floor(elapsed / 1_000) * 1_000)}`;
    const room = columnsOf(stdout) - time.length - 4;
    const line = `${style("cyan", FRAMES[frame] ?? "")} ${style("dim", `${cut(words, room)}${time}`)}`;
    stdout.write(`${ERASE_LINE}${line}`);
    isDrawn = true;
  }

  const timer = setInterval(draw, FRAME_MS);
  timer.unref();
  return {
    print(text) {
      if (text === "") return;
      const whole = held + text;
      const end = typed === "" ? whole.length : whole.lastIndexOf("\n") + 1;
      held = whole.slice(end);
      if (end === 0) return;
      erase();
      put(whole.slice(0, end));
      if (typed !== "") drawTyped();
    },
    note(text) {
      erase();
      stderr.write(`${text}\n`);
      if (typed !== "") drawTyped();
    },
    typing(line) {
      erase();
      typed = line;
      if (typed !== "") {
        drawTyped();
        return;
      }
      put(held);
      held = "";
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      erase();
      put(held);
      held = "";
      typed = "";
    },
  };
}

function write(stream: TextStream, text: string): void {
  if (text !== "") stream.write(text);
}
