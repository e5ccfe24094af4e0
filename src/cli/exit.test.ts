import { expect, test } from "vitest";
import { AppError, type ErrorCode } from "../lib/errors.ts";
import { reportError } from "./exit.ts";

async function report(error: unknown, json = false): Promise<{ code: number; text: string }> {
  let text = "";
  const code = await reportError(error, { stderr: { write: (piece) => (text += piece) }, env: {} }, { json });
  return { code, text };
}

test.each<[ErrorCode, number]>([
  ["invalid_input", 2],
  ["invalid_config", 3],
  ["not_found", 4],
  ["unauthorized", 5],
  ["conflict", 6],
  ["unavailable", 7],
  ["timeout", 7],
  ["no_space", 8],
  ["cancelled", 130],
])("the code %s ends with %i", async (errorCode, exitCode) => {
  expect((await report(new AppError(errorCode, "x"))).code).toBe(exitCode);
});

test("an error is told with its hint and without a stack", async () => {
  const error = new AppError("not_found", 'no agent is named "x"', { hint: 'Did you mean "y"?' });
  expect((await report(error)).text).toBe('error: no agent is named "x"\nDid you mean "y"?\n');
});

test("what somebody else wrote into an error does not reach the terminal as a command", async () => {
  const error = new AppError("conflict", "\u001b]0;owned\u0007taken", { hint: "Use \u001b[2Janother." });
  expect((await report(error)).text).toBe("error: taken\nUse another.\n");
});

test("with --json an error is one line of JSON", async () => {
  const error = new AppError("conflict", "taken", { hint: "Use another.", details: { files: ["a"] } });
  const { text } = await report(error, true);
  expect(text.trimEnd()).not.toContain("\n");
  expect(JSON.parse(text)).toEqual({
    error: { code: "conflict", message: "taken", hint: "Use another.", details: { files: ["a"] } },
  });
  expect(JSON.parse((await report(new TypeError("oops"), true)).text)).toEqual({
    error: { code: "internal", message: "oops" },
  });
});

test("a defect is told as one, with its stack", async () => {
  const { code, text } = await report(new TypeError("oops"));
  expect(code).toBe(1);
  expect(text).toMatch(/^error: oops\nThis is a defect in Holdfast\..*\nTypeError: oops\n {4}at /);
});

test.each([
  ["EACCES", "mkdir", 5, "cannot make the folder /data: this user may not do that there"],
  ["EROFS", "open", 5, "cannot open /data: the file system is read-only"],
  ["EEXIST", "mkdir", 6, "cannot make the folder /data: something else has that name"],
  ["ENOTDIR", "mkdir", 6, "cannot make the folder /data: a part of the path is a file, not a folder"],
  ["ENOENT", "mkdir", 5, "cannot make the folder /data: the file system there is read-only, or gone"],
  ["ENOENT", "scandir", 4, "cannot list /data: a part of the path does not exist"],
  ["ENOSPC", "write", 8, "cannot write /data: the disk is full"],
])("%s of the file system is no defect", async (code, syscall, exitCode, message) => {
  const error = Object.assign(new Error("x"), { code, syscall, path: "/data" });
  expect(await report(error)).toEqual({
    code: exitCode,
    text: `error: ${message}\nChoose another place with --data-dir or HOLDFAST_DATA_DIR.\n`,
  });
});

test("a program that cannot be started is not a matter of the file system", async () => {
  const error = Object.assign(new Error("x"), { code: "ENOENT", syscall: "spawn node", path: "node" });
  expect((await report(error)).text).toContain("This is a defect in Holdfast.");
});
