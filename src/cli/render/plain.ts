import { liveText } from "../../tools/clean-text.ts";

/**
 * Text from models and tools as it may be printed: without control sequences, which could move the cursor, rewrite what
 * stands on the screen or set the terminal's title, also where a sequence is cut into pieces.
 */
export function plainStream(): (piece: string) => string {
  const strip = liveText();
  let held = "";
  return (piece) => {
    const text = held + piece;
    // Half of a character beyond 16 bits: its other half comes with the next piece.
    held = /[\ud800-\udbff]$/.test(text) ? text.slice(-1) : "";
    return strip(Buffer.from(text.slice(0, text.length - held.length))).replaceAll(BIDI_OVERRIDES, "");
  };
}

/** A whole text, which may have several lines. */
export function plain(text: string): string {
  return plainStream()(text).replaceAll(/\r\n?/g, "\n");
}

/** A text that is quoted because of what is in it: each control character as a sign that is one column wide. */
export function withVisibleControls(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll(/\p{Cc}/gu, (character) => {
    const code = character.charCodeAt(0);
    if (character === "\n" || character === "\t") return character;
    return code < 0x20 ? String.fromCharCode(CONTROL_PICTURES + code) : "\ufffd";
  });
}

/** The block of Unicode with "␀", "␁" and so on. */
const CONTROL_PICTURES = 0x2400;

/** The characters that make text read in another order than it runs. */
const BIDI_OVERRIDES = /[\u202a-\u202e\u2066-\u2069]/g;

/** A text as one line: the first that says something, and how many there are besides. */
export function oneLine(text: string): string {
  const lines = plain(text)
    .split("\n")
    .map((line) => line.replaceAll(/\s+/g, " ").trim())
    .filter((line) => line !== "");
  const more = lines.length - 1;
  return `${lines[0] ?? ""}${more > 0 ? ` … +${more} ${more === 1 ? "line" : "lines"}` : ""}`;
}

/** At most `width` columns of a line, the end cut off where it is longer. */
export function cut(line: string, width: number): string {
  if (line.length <= width && !WIDE.test(line)) return line;
  let used = 0;
  let end = 0;
  for (const character of line) {
    const columns = columnsOf(character);
    if (used + columns > width - 1) break;
    used += columns;
    end += character.length;
  }
  const rest = [...line.slice(end)].reduce((sum, character) => sum + columnsOf(character), 0);
  return used + rest <= width ? line : `${line.slice(0, end)}…`;
}

const WIDE =
  /[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u;

function columnsOf(character: string): number {
  if (character === "\t") return 8;
  if (/\p{Mark}/u.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}
