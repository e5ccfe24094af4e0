/** What may be printed: the rules of the gate before the terminal (`guarded` in `terminal.ts`). */
export interface Allowed {
  readonly colours: boolean;
  /** Going back to the start of a line and erasing it. */
  readonly erasing: boolean;
}

/** A text without anything that a terminal would obey, but for what is allowed. Usually the same string. @pure */
export function printable(text: string, allowed: Allowed): string {
  if (!OBEYED.test(text)) return text;
  return text.replace(SEQUENCE, (found) => (isOurs(found, allowed) ? found : ""));
}

/** Erases the line of the cursor, which then stands at its start. */
export const ERASE_LINE = "\r\u001b[2K";

function isOurs(found: string, { colours, erasing }: Allowed): boolean {
  if (found === ERASE_LINE) return erasing;
  return colours && OUR_COLOURS.test(found);
}

/** Bold, dim, the eight colours, and the end of each. Not: concealed, inverse, blinking. */
const OUR_COLOURS = /^\x1b\[(?:1|2|22|3[0-7]|39)m$/;

/** Control characters but tab and newline, and those that change the direction of reading. */
const OBEYED = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

/** In this order: our erasing, sequences of known forms as wholes, a return that overwrites, and any other character. */
const SEQUENCE =
  /\r\x1b\[2K|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x9c|\x1b\\)?|\r(?!\n)|[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** JSON in which everything that `printable` would take out is escaped: the same data, harmless where a person looks at it. */
export function jsonText(value: unknown, indent = 0): string {
  return JSON.stringify(value, null, indent).replace(
    NOT_ESCAPED,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const NOT_ESCAPED = /[\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;
