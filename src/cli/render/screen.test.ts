import { expect, test } from "vitest";
import { openScreen } from "./screen.ts";

/** What a terminal that people look at is sent; "⌫" for the erasing of the last line. */
function screen() {
  let sent = "";
  const write = (text: string | Uint8Array) => {
    sent += String(text);
  };
  const stream = { write, isTTY: true, columns: 20 };
  const env = { TERM: "xterm", NO_COLOR: "1" };
  const opened = openScreen({ stdout: stream, stderr: stream, env }, () => null);
  return {
    ...opened,
    sent() {
      const text = sent.replaceAll("\r\u001b[2K", "⌫");
      sent = "";
      return text;
    },
  };
}

test("a line that is typed stands below what is printed, and whole lines go above it", () => {
  const { print, typing, sent } = screen();
  print("one\n");
  typing("h");
  typing("hi");
  expect(sent()).toBe("one\n⌫› h⌫⌫› hi");
  print("two\nthr");
  expect(sent()).toBe("⌫two\n⌫› hi");
  print("ee\nfour");
  expect(sent()).toBe("⌫three\n⌫› hi");
  typing("");
  expect(sent()).toBe("⌫four");
});

test("a line that was being written goes on below what was typed", () => {
  const { print, typing, sent } = screen();
  print("once upon");
  typing("n");
  print(" a time");
  typing("");
  print(", it was\n");
  expect(sent()).toBe("once upon\n⌫› n⌫ a time, it was\n");
});

test("of a long line its end is shown", () => {
  const { typing, sent } = screen();
  typing("a very long line that is typed");
  expect(sent()).toBe("⌫› ne that is typed");
});

test("notices come above it, and at the end nothing is left of it or held back", () => {
  const { print, note, typing, sent, [Symbol.dispose]: close } = screen();
  typing("half");
  note("note: disk");
  print("rest");
  expect(sent()).toBe("⌫› half⌫note: disk\n⌫› half");
  close();
  expect(sent()).toBe("⌫rest");
});
