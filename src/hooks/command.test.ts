import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { askCommand } from "./command.ts";
import type { HookAnswer, HookQuestion } from "./hook.ts";

const question: HookQuestion = {
  point: "beforeTool",
  agent: "tester",
  sessionId: "s1",
  runId: "r1",
  tool: "shell",
  input: { command: "ls 'a b'" },
};
const never = new AbortController().signal;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-hook-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ask = (command: string, signal = never, point = question.point) =>
  askCommand(command, folder, { ...question, point }, signal);

test.each<[string, HookAnswer]>([
  ["true", {}],
  ["cat > /dev/null", {}],
  ["echo '{}'", {}],
  [`echo '{"decision": "veto", "reason": "no"}'`, { decision: "veto", reason: "no" }],
  [`echo '{"input": {"command": "ls"}, "context": "c"}'`, { input: { command: "ls" }, context: "c" }],
  ["echo remark >&2; echo '{}'", {}],
  ["echo 'not on Fridays' >&2; exit 2", { decision: "veto", reason: "not on Fridays" }],
  ["exit 2", { decision: "veto" }],
])("%s", async (command, answer) => {
  expect(await ask(command)).toEqual(answer);
});

test.each([
  ["echo oops >&2; exit 1", "it ended with exit status 1: oops"],
  ["no-such-command-here", /exit status 127: .*not found/],
  ["echo hello", /not JSON/],
  [`echo '{"decision": "maybe"}'`, /cannot be understood.*decision/s],
  [`echo '{"verdict": "veto"}'`, /cannot be understood.*verdict/s],
  ["kill -9 $$", "it was killed"],
  ["yes", "it was killed"],
])("%s fails", async (command, message) => {
  await expect(ask(command)).rejects.toThrow(message);
});

test.each([
  [`echo '{"decision": "veto"}'`, "afterTool cannot veto"],
  ["exit 2", "afterTool cannot veto"],
  [`echo '{"input": {}}'`, "afterTool cannot change arguments"],
])("%s fails at afterTool, where it could have no effect", async (command, message) => {
  await expect(ask(command, never, "afterTool")).rejects.toThrow(message);
});

test("gets the question as one line of JSON, in the folder of the harness", async () => {
  await ask("cat > question.json");
  const text = readFileSync(join(folder, "question.json"), "utf8");
  expect(text.endsWith("\n")).toBe(true);
  expect(JSON.parse(text)).toEqual(question);
});

test("ends with everything that it started when it is given up", async () => {
  const controller = new AbortController();
  const asked = ask("(sleep 60; touch late) & echo started > started; wait", controller.signal);
  asked.catch(() => {});
  while (!existsSync(join(folder, "started"))) await new Promise((resolve) => setTimeout(resolve, 10));
  controller.abort();
  await expect(asked).rejects.toThrow("it was killed");
});
