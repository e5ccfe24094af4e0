import type { ToolCallBlock } from "../../log/content.ts";
import type { ToolFinished } from "../../log/entry.ts";
import { callLine, outcomeLine } from "./call-line.ts";
import { callOutput } from "./call-output.ts";
import type { OutputLimits, ViewOptions } from "./options.ts";
import { cut, oneLine, plain } from "./plain.ts";

/** Tools that answer at once: their line is printed when they are done, with what came of it. */
const QUICK = new Set(["read", "write", "edit", "list", "glob", "grep"]);
/** Lines of a result that explain why a call failed. */
const EXPLANATION_LINES = 6;
const INDENT = "  │ ";

interface Call {
  readonly name: string;
  /** As it is to run. */
  input: unknown;
  /** Who changed the arguments, in words; empty where they are the model's. */
  changed: string;
  readonly output: ReturnType<typeof callOutput>;
  /** Lines that wait until the calls before this one have been told. */
  readonly held: string[];
  announced: boolean;
  /** Its first line is not told before there is something to tell below it. */
  quiet: boolean;
  started: boolean;
  progress: string | null;
  finished: ToolFinished | null;
}

/**
 * Tells of calls one after the other, in the order in which the model asked for them, also when they run at the same time:
 * the first one that has not ended is told live, what the others print is held until it is their turn.
 */
export function callsView({ style, width, output: limits }: ViewOptions) {
  const calls = new Map<string, Call>();
  /** Whose end was printed. */
  const told = new Set<string>();

  function header(call: Call): string {
    const { name } = call;
    const words = argumentsOf(call, Math.max(20, width - name.length - 4));
    return `${style("cyan", "▸")} ${style("bold", oneLine(name))}  ${words}\n`;
  }

  function argumentsOf({ name, input, changed }: Call, room: number): string {
    const words = callLine(name, input);
    if (changed === "") return cut(words, room);
    return `${cut(words, Math.max(20, room - changed.length - 3))} ${style("dim", `(${changed})`)}`;
  }

  function announce(call: Call): string {
    if (call.announced) return "";
    call.announced = true;
    return header(call);
  }

  function indented(lines: readonly string[]): string {
    return lines.map((line) => `${style("dim", cut(`${INDENT}${line}`, width))}\n`).join("");
  }

  function foreground(): Call | undefined {
    return calls.values().next().value;
  }

  /** What can be told now: the first call as far as it is, and those behind it that have ended meanwhile. */
  function tell(): string {
    let text = "";
    for (const [callId, call] of calls) {
      if (call.held.length > 0) text += announce(call) + indented(call.held.splice(0));
      if (call.started && !call.quiet && !QUICK.has(call.name)) text += announce(call);
      if (call.finished === null) return text;
      text += ending(call, call.finished);
      calls.delete(callId);
      told.add(callId);
    }
    return text;
  }

  function ending(call: Call, finished: ToolFinished): string {
    const { sign, style: colour, words } = outcomeLine(finished, call.started);
    const lines = [...call.output.end(), ...explanation(call, finished)];
    if (!call.announced && lines.length === 0) {
      const room = Math.max(20, width - call.name.length - words.length - 7);
      return `${style(colour, sign)} ${style("bold", oneLine(call.name))}  ${argumentsOf(call, room)} ${style("dim", `· ${words}`)}\n`;
    }
    return `${announce(call)}${indented(lines)}  ${style(colour, `${sign} ${words}`)}\n`;
  }

  /** Lines of the result: where nothing was seen live, and where only they say what went wrong. */
  function explanation(
    { name, output }: Call,
    { outcome, blocks, details }: ToolFinished,
  ): readonly string[] {
    if (outcome === "cancelled") return [];
    const isCommand = name === "shell";
    const ran = outcome === "ok" || outcome === "error" || outcome === "timedOut";
    if (ran && !output.isEmpty()) return [];
    if (outcome === "ok" && (!isCommand || details?.outputBytes === 0)) return [];
    const text = blocks.flatMap((block) => (block.type === "text" ? [plain(block.text)] : [])).join("\n");
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    return excerpt(lines, isCommand ? limits : { head: EXPLANATION_LINES, tail: 0 });
  }

  function open(callId: string, name: string, input: unknown): Call {
    const known = calls.get(callId);
    if (known !== undefined) return known;
    const call: Call = {
      name,
      input,
      changed: "",
      output: callOutput(limits),
      held: [],
      announced: false,
      quiet: false,
      started: false,
      progress: null,
      finished: null,
    };
    calls.set(callId, call);
    return call;
  }

  return {
    asked(blocks: readonly ToolCallBlock[]): void {
      // Those that were started while the answer was being written may have ended before it was complete.
      for (const { callId, name, input, malformed } of blocks) {
        if (!told.has(callId)) open(callId, name, malformed ?? input);
      }
    },
    started(callId: string, name: string): string {
      open(callId, name, undefined).started = true;
      return tell();
    },
    /** Others than the model's arguments are to run: its line says which, and `by` whom. */
    changed(callId: string, input: unknown, by: string): void {
      const call = calls.get(callId);
      if (call === undefined) return;
      call.input = input;
      call.changed = by;
      call.announced = false;
    },
    output(callId: string, stream: "stdout" | "stderr", text: string): string {
      const call = calls.get(callId);
      if (call === undefined) return "";
      call.held.push(...call.output.add(stream, text));
      return call === foreground() ? tell() : "";
    },
    progress(callId: string, message: string, fraction: number | undefined): void {
      const call = calls.get(callId);
      if (call === undefined) return;
      const percent = fraction === undefined ? "" : ` (${Math.round(fraction * 100)} %)`;
      call.progress = `${oneLine(message)}${percent}`;
    },
    finished(entry: ToolFinished): string {
      open(entry.callId, entry.name, undefined).finished = entry;
      return tell();
    },
    /**
     * A person is asked about it: the calls behind it are told meanwhile. What was told of a call before the question stands too far
     * away to be gone on with.
     */
    waits(callId: string): string {
      const call = calls.get(callId);
      if (call !== undefined) {
        calls.delete(callId);
        calls.set(callId, call);
        // One that asks itself is started again when it has its answer.
        call.started = false;
        call.quiet = false;
      }
      for (const each of calls.values()) {
        each.quiet ||= each.announced;
        each.announced = false;
      }
      return tell();
    },
    /** The calls that have not ended begin anew with their first line: what was told of them so far, somebody else saw. */
    tellAgain(): void {
      for (const call of calls.values()) call.announced = false;
    },
    /** What runs now, for a line that is rewritten; null when nothing does. */
    activity(): string | null {
      const running = [...calls.values()].filter((call) => call.started && call.finished === null);
      const [first, ...others] = running;
      if (first === undefined) return null;
      if (others.length > 0) return `running ${running.map(({ name }) => oneLine(name)).join(", ")}`;
      const what = first.progress ?? (first.announced ? "" : callLine(first.name, first.input));
      return `running ${oneLine(first.name)}${what === "" ? "" : `: ${what}`}`;
    },
  };
}

function excerpt(lines: readonly string[], { head, tail }: OutputLimits): readonly string[] {
  const hidden = lines.length - head - tail;
  if (hidden <= 1) return lines;
  return [...lines.slice(0, head), `… ${hidden} more lines …`, ...lines.slice(lines.length - tail)];
}
