import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import type { ApprovalRequest, InterruptAnswer, QuestionRequest } from "../../log/entry.ts";
import { askAboutBudget } from "./budget.ts";
import { askAboutCall } from "./call.ts";
import type { Dialogue } from "./dialogue.ts";
import { askAboutOutcome } from "./outcome.ts";
import { askForValue } from "./value.ts";

/** A person who types these lines, and then leaves. */
function person(lines: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const left = [...lines];
  const said: string[] = [];
  const dialogue: Dialogue = {
    async ask(prompt) {
      said.push(prompt);
      return left.shift() ?? null;
    },
    say: (line) => said.push(line),
    style: (_style, text) => text,
    terminal: {
      cwd: "/",
      env,
      stdin: new PassThrough(),
      stdout: { write: () => true },
      stderr: { write: () => true },
      interruption: () => new AbortController().signal,
    },
  };
  return { dialogue, said };
}

const call = {
  callId: "c",
  tool: "refund",
  input: { amount: 120 },
  risk: { reversibility: "irreversible", reach: "outside", why: [] },
} as const;
const approval: ApprovalRequest = {
  kind: "approval",
  message: "?",
  call,
  permission: { layer: "mode", by: "mode default" },
  binding: "b",
};

describe("whether a call may start", () => {
  test.each<[readonly string[], InterruptAnswer | null]>([
    [["y"], { action: "approve" }],
    [["a"], { action: "approve", always: "session" }],
    [["A"], { action: "approve", always: "agent" }],
    [["what", "?", " y "], { action: "approve" }],
    [["r", ""], { action: "reject" }],
    [["r", "too much "], { action: "reject", feedback: "too much" }],
    [["s", "paid already"], { action: "respond", value: "paid already" }],
    [["s", "", "y"], { action: "approve" }],
    [["e", '{"amount":70}'], { action: "edit", input: { amount: 70 } }],
    [["e", '{"amount":120}', ""], null],
    [["e", "{", "y"], { action: "approve" }],
    [[""], null],
    [[], null],
  ])("%j", async (lines, answer) => {
    expect(await askAboutCall(approval, person(lines).dialogue)).toEqual(answer);
  });

  test("a breakpoint is never approved for good, and several people do not edit", async () => {
    const { dialogue, said } = person(["a", ""]);
    expect(await askAboutCall({ ...approval, kind: "breakpoint" }, dialogue)).toBeNull();
    expect(said[0]).toBe(
      "[y] once  [e] edit  [r] reject  [s] say the result yourself  [enter] later  [?] all of it: ",
    );
    const several = person([""]);
    await askAboutCall({ ...approval, quorum: 2 }, several.dialogue);
    expect(several.said[0]).toBe("[y] once  [r] reject  [enter] later  [?] all of it: ");
  });

  test.each([
    { layer: "rules", by: "ask: refund (harness.json)" },
    { layer: "hook", by: "limits" },
  ] as const)("what %j asks every time is never approved for good", async (permission) => {
    const { dialogue, said } = person(["A", ""]);
    expect(await askAboutCall({ ...approval, permission }, dialogue)).toBeNull();
    expect(said[0]).not.toContain("always");
  });

  test("arguments are changed in the person's editor", async () => {
    const folder = await mkdtemp(join(tmpdir(), "holdfast-editor-"));
    const editor = join(folder, "editor.sh");
    await writeFile(editor, '#!/bin/sh\nsed -i "$1" "$2"\n');
    await chmod(editor, 0o755);
    const edit = person(["e"], { EDITOR: `${editor} s/120/70/` });
    expect(await askAboutCall(approval, edit.dialogue)).toEqual({ action: "edit", input: { amount: 70 } });
    const broken = person(["e", ""], { VISUAL: "false", EDITOR: editor });
    expect(await askAboutCall(approval, broken.dialogue)).toBeNull();
    expect(broken.said).toContain("The editor (false) ended with 1: nothing was changed.");
    await rm(folder, { recursive: true });
  });
});

const question: QuestionRequest = { kind: "question", message: "Which day?", call };
const fields = {
  type: "object",
  properties: {
    day: { type: "string" },
    count: { type: "integer", description: "how many" },
    sure: { type: "boolean" },
    why: {},
  },
  required: ["day", "count"],
};

describe("what a tool asks", () => {
  test.each<[Partial<QuestionRequest>, readonly string[], InterruptAnswer | null]>([
    [{}, ["Monday"], { action: "respond", value: "Monday" }],
    [{}, ["r", "no idea"], { action: "reject", feedback: "no idea" }],
    [{}, [""], null],
    [{ schema: { type: "number" } }, ["much", "2.5"], { action: "respond", value: 2.5 }],
    [{ schema: { enum: ["a", 2] } }, ["b", "2"], { action: "respond", value: 2 }],
    [
      { schema: fields },
      ["Monday", "some", "1.5", "3", "perhaps", "yes", '{"because":1}'],
      { action: "respond", value: { day: "Monday", count: 3, sure: true, why: { because: 1 } } },
    ],
    [{ schema: fields }, ["Monday", "3", "", ""], { action: "respond", value: { day: "Monday", count: 3 } }],
    [{ schema: fields }, ["Monday", ""], null],
    [{ schema: fields }, ["Monday", "r", ""], { action: "reject" }],
    [{ kind: "auth", url: "https://login.example.test" }, [""], { action: "respond", value: "done" }],
    [{ kind: "auth", url: "https://login.example.test" }, ["1234"], { action: "respond", value: "1234" }],
    [{ kind: "auth", url: "https://login.example.test" }, ["l"], null],
  ])("%j, typed %j", async (more, lines, answer) => {
    expect(await askForValue({ ...question, ...more }, person(lines).dialogue)).toEqual(answer);
  });

  test("says where to log in", async () => {
    const { dialogue, said } = person(["r", ""]);
    await askForValue({ ...question, kind: "auth", url: "https://login.example.test/\u001b[2J" }, dialogue);
    expect(said[0]).toBe("Go to https://login.example.test/, then come back here.");
  });
});

test.each<[readonly string[], InterruptAnswer | null]>([
  [["d", "receipt 7"], { action: "done", note: "receipt 7" }],
  [["d", ""], { action: "done" }],
  [["x", "t"], { action: "retry" }],
  [["s"], { action: "skip" }],
  [[""], null],
])("a call whose outcome nobody knows: %j", async (lines, answer) => {
  expect(await askAboutOutcome(person(lines).dialogue)).toEqual(answer);
});

test.each<[readonly string[], InterruptAnswer | null]>([
  [["1", "$5"], { action: "raise", limitUsd: 5 }],
  [["much", ""], { action: "end" }],
  [[], null],
])("a budget: %j", async (lines, answer) => {
  const budget = { scope: "run", key: "r", limitUsd: 2, spentUsd: 1.9, neededUsd: 0.5 } as const;
  expect(await askAboutBudget({ kind: "budget", message: "", budget }, person(lines).dialogue)).toEqual(
    answer,
  );
});
