/** A piece of a page that is safe to stand in it. Made by `html` only. */
export interface Html {
  readonly html: string;
}

type Value = Html | string | number | readonly Html[];

/** A template whose values are escaped, and in which nothing that a reader would not see stays hidden. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  const text = parts.map((part, i) => part + (i < values.length ? inserted(values[i] ?? "") : ""));
  return { html: text.join("") };
}

export const nothing: Html = { html: "" };

function inserted(value: Value): string {
  if (typeof value === "string") return withVisible(escaped(value));
  if (typeof value === "number") return String(value);
  return "html" in value ? value.html : value.map(({ html }) => html).join("");
}

/** Text for an attribute or a text field, where nothing can be marked. */
export function fieldText(text: string): Html {
  return { html: escaped(text) };
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n/g, "\n")
    .replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char);
}

/**
 * What shows nothing, or changes how other characters show: controls, direction marks, joiners, fillers, odd spaces. Not what
 * makes a picture of a character (U+FE0F).
 */
const HIDDEN = /(?!\n|\t| |\ufe0f)[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}\p{Zs}\p{Default_Ignorable_Code_Point}]/gu;

function withVisible(text: string): string {
  return text.replace(HIDDEN, (char) => `<span class="hidden">${codePoint(char)}</span>`);
}

function codePoint(char: string): string {
  return `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** JSON for people, in which what hides is written as an escape: still the same JSON. */
export function visibleJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2) ?? "null";
  return text.replace(HIDDEN, (char) =>
    Array.from({ length: char.length }, (_, i) => unitEscape(char.charCodeAt(i))).join(""),
  );
}

function unitEscape(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, "0")}`;
}
