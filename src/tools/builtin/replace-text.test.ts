import { expect, test } from "vitest";
import { replaceText } from "./replace-text.ts";

const text = "alpha = 1\nbeta = 2\n  gamma = alpha + beta\nalpha = 3\n";

test("a unique piece is replaced", () => {
  expect(replaceText(text, "beta = 2", "beta = 20", { all: false })).toEqual({
    type: "replaced",
    text: text.replace("beta = 2", "beta = 20"),
    count: 1,
    lines: [2],
  });
});

test("every occurrence is replaced when asked for", () => {
  const replaced = replaceText(text, "alpha", "delta", { all: true });
  expect(replaced).toMatchObject({ type: "replaced", count: 3, lines: [1, 3, 4] });
});

test("the new text is taken literally", () => {
  expect(replaceText("a", "a", "$& $1 $$", { all: false })).toMatchObject({ text: "$& $1 $$" });
  expect(replaceText("a a", "a", "$&", { all: true })).toMatchObject({ text: "$& $&" });
});

test("Windows line ends stay", () => {
  const replaced = replaceText("a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\n", { all: false });
  expect(replaced).toMatchObject({ text: "x\r\ny\r\nc\r\n", lines: [1] });
});

test.each([
  ["several", "alpha", "x", /occurs 3 times \(lines 1, 3, 4\).*replaceAll/],
  ["the same", "alpha", "alpha", /the same/],
  ["other blanks", "gamma  =  alpha + beta", "x", /other blanks.*line 3.*\n {2}gamma = alpha \+ beta/],
  ["line numbers", "     1\talpha = 1", "x", /line numbers/],
  ["nearly", "gamma = alpha - delta", "x", /line 3:\n {2}gamma = alpha \+ beta/],
  ["nothing like it", "omega()", "x", /not found\. Read the file again/],
])("refused with a hint: %s", (_name, oldText, newText, complaint) => {
  const refused = replaceText(text, oldText, newText, { all: false });
  expect(refused).toMatchObject({
    type: "refused",
    complaint: expect.stringMatching(new RegExp(complaint, "s")),
  });
});
