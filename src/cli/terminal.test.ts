import { expect, test } from "vitest";
import { columnsOf, hasColour, isLive, printJson, stylerFor } from "./terminal.ts";

const tty = { write: () => {}, isTTY: true };
const pipe = { write: () => {} };

test.each([
  { stream: tty, env: {}, colour: true, live: true },
  { stream: pipe, env: {}, colour: false, live: false },
  { stream: tty, env: { NO_COLOR: "1" }, colour: false, live: true },
  { stream: tty, env: { NO_COLOR: "" }, colour: true, live: true },
  { stream: pipe, env: { FORCE_COLOR: "1" }, colour: true, live: false },
  { stream: tty, env: { FORCE_COLOR: "0" }, colour: false, live: true },
  { stream: pipe, env: { FORCE_COLOR: "1", NO_COLOR: "1" }, colour: false, live: false },
  { stream: tty, env: { TERM: "dumb" }, colour: false, live: false },
  { stream: tty, env: { CI: "true" }, colour: true, live: false },
  { stream: tty, env: { CI: "false" }, colour: true, live: true },
])("$stream.isTTY with $env: colour $colour, live $live", ({ stream, env, colour, live }) => {
  expect(hasColour(stream, env)).toBe(colour);
  expect(isLive(stream, env)).toBe(live);
});

test("text is styled only where colours are", () => {
  expect(stylerFor(pipe, {})("red", "x")).toBe("x");
  expect(stylerFor(tty, {})("red", "x")).toBe("\u001b[31mx\u001b[39m");
});

test("JSON is one line in a pipe", () => {
  let text = "";
  printJson({ stdout: { write: (piece) => (text += piece) } }, { a: [1] });
  expect(text).toBe('{"a":[1]}\n');
});

test("a terminal that does not know its width has the usual one", () => {
  expect([{ columns: 0 }, {}, { columns: 120 }].map(columnsOf)).toEqual([80, 80, 120]);
});
