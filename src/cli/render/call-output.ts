import type { OutputLimits } from "./options.ts";
import { plainStream } from "./plain.ts";

/** A line of a command is cut there, so that a program that prints none does not fill memory. */
const MAX_LINE = 4_000;

/** Makes whole lines of live output, the first of them to be shown at once. Lines that overwrite themselves count once. */
export function callOutput({ head, tail }: OutputLimits) {
  const streams = { stdout: openLine(), stderr: openLine() };
  const last: string[] = [];
  let lines = 0;

  function show(line: string): readonly string[] {
    lines += 1;
    if (lines <= head) return [line];
    last.push(line);
    if (last.length > tail) last.shift();
    return [];
  }

  return {
    /** The lines to show now. */
    add(stream: "stdout" | "stderr", text: string): readonly string[] {
      return streams[stream].add(text).flatMap(show);
    },
    /** What is left to show when the call has ended. */
    end(): readonly string[] {
      const unfinished = [...streams.stdout.end(), ...streams.stderr.end()].flatMap(show);
      const hidden = lines - head - last.length;
      const gap = hidden > 0 ? [`… ${hidden} more ${hidden === 1 ? "line" : "lines"} …`] : [];
      return [...unfinished, ...gap, ...last];
    },
    isEmpty: () => lines === 0,
  };
}

/** Cuts a stream into lines. A carriage return starts the line anew, as on a terminal. */
function openLine() {
  const clean = plainStream();
  let line = "";
  let returned = false;

  function put(text: string): void {
    if (text === "") return;
    if (returned) line = "";
    returned = false;
    line = (line + text).slice(0, MAX_LINE);
  }

  return {
    add(text: string): readonly string[] {
      const complete: string[] = [];
      for (const part of clean(text).split(/(\r|\n)/)) {
        if (part === "\r") returned = true;
        else if (part === "\n") {
          complete.push(line);
          line = "";
          returned = false;
        } else put(part);
      }
      return complete;
    },
    end(): readonly string[] {
      const rest = line === "" ? [] : [line];
      line = "";
      return rest;
    },
  };
}
