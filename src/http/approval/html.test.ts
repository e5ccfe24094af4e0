import { expect, test } from "vitest";
import { fieldText, html, visibleJson } from "./html.ts";

test("values are escaped, pieces of a page are not", () => {
  const piece = html`<b>${'<i a="b">&amp;'}</b>`;
  expect(html`${piece}${[piece, html`.`]}${1}`.html).toBe(
    "<b>&lt;i a=&quot;b&quot;&gt;&amp;amp;</b><b>&lt;i a=&quot;b&quot;&gt;&amp;amp;</b>.1",
  );
});

test.each([
  ["a right-to-left override", "a\u202eb", "U+202E"],
  ["an isolate", "\u2066", "U+2066"],
  ["an escape", "\u001b[2J", "U+001B"],
  ["a carriage return alone", "rm -rf /\rls", "U+000D"],
  ["a zero-width space", "pay\u200bpal", "U+200B"],
  ["a no-break space", "a\u00a0b", "U+00A0"],
  ["a filler", "\u3164", "U+3164"],
  ["a tag", "\u{e0041}", "U+E0041"],
  ["a separator of lines", "\u2028", "U+2028"],
])("%s is seen", (_, text, name) => {
  const shown = html`${text}`.html;
  expect(shown).toContain(`<span class="hidden">${name}</span>`);
});

test("lines, tabs, letters and pictures stay as they are", () => {
  const text = "eins\r\n\tzwei 三 ש 👍 ⚠️ é";
  expect(html`${text}`.html).toBe("eins\n\tzwei 三 ש 👍 ⚠️ é");
});

test("half of a character is none", () => {
  expect(html`${"\ud83d"}`.html).toBe("\ufffd");
  expect(fieldText("\ud83d").html).toBe("\ufffd");
});

test("JSON shows what hides as escapes, and means the same", () => {
  const value = { "\u200b": ["\u202e\u{e0041}", "👍", "\n"] };
  const text = visibleJson(value);
  expect(text).toContain("\\u200b");
  expect(text).toContain("\\u202e\\udb40\\udc41");
  expect(text).toContain("👍");
  expect(JSON.parse(text)).toEqual(value);
  expect(visibleJson(undefined)).toBe("null");
});
