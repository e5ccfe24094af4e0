import type { AssistantMessage } from "../../log/entry.ts";
import { plain, plainStream } from "./plain.ts";

function textOf(blocks: AssistantMessage["blocks"]): string {
  return blocks.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("");
}

/**
 * The model's text: streamed as it comes, and completed from the entry where deltas were missed. Ends every answer with
 * one line break.
 */
export function answerView(style: (style: "dim", text: string) => string) {
  let clean = plainStream();
  /** What was streamed of the answer under way, as it came. */
  let streamed = "";
  /** The line breaks at the end of what was printed: held back, so that an answer ends with one. */
  let breaks = "";
  let isLineOpen = false;
  let needsGap = false;

  function print(text: string): string {
    const whole = breaks + text.replaceAll("\r", "");
    const body = whole.replace(/\n+$/, "");
    breaks = whole.slice(body.length);
    if (body === "") return "";
    isLineOpen = true;
    const gap = needsGap ? "\n" : "";
    needsGap = false;
    return gap + body;
  }

  function close(): string {
    breaks = "";
    if (!isLineOpen) return "";
    isLineOpen = false;
    return "\n";
  }

  function reset(): void {
    streamed = "";
    clean = plainStream();
  }

  return {
    delta(text: string): string {
      streamed += text;
      const shown = clean(text);
      // Models like to begin with empty lines.
      return print(isLineOpen ? shown : shown.replace(/^\s+/, ""));
    },
    /** Ends the line that is being written, so that something else can be printed. */
    close,
    isLineOpen: () => isLineOpen,
    /** Something else was printed: an empty line sets the next answer apart from it. */
    setApart(): void {
      needsGap = true;
    },
    retracted(): string {
      const text = close();
      reset();
      return `${text}${style("dim", "↻ the answer broke off there and is asked for again")}\n`;
    },
    /** A part of the answer is known, while the rest is still being written. */
    reached(blocks: AssistantMessage["blocks"]): string {
      const whole = textOf(blocks);
      if (!whole.startsWith(streamed)) return "";
      const missed = whole.slice(streamed.length);
      streamed = whole;
      return print(isLineOpen ? clean(missed) : clean(missed).replace(/^\s+/, ""));
    },
    finished({ blocks }: AssistantMessage): string {
      const whole = textOf(blocks);
      const missed = whole.startsWith(streamed) ? whole.slice(streamed.length) : null;
      const inFull = () =>
        `${close()}${style("dim", "… the answer in full:")}\n${print(plain(whole).trim())}`;
      const text = missed === null ? inFull() : print(isLineOpen ? clean(missed) : plain(missed).trim());
      reset();
      return text + close();
    },
  };
}
