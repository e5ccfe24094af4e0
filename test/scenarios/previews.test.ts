import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { AgentDefinition, Session } from "../../src/index.ts";
import type { ApprovalRequest } from "../../src/log/entry.ts";
import type { InterruptRecord } from "../../src/run/session/interrupts.ts";
import type { Script } from "../../src/testing/testing.ts";
import { atRest, ofType, openQuestion, openQuestions, results, sendTo } from "./asking.ts";
import { type Scenario, startScenario } from "./in-process.ts";

/** What a person sees of a call before they let it start, and that they see it again when it is not the same any more. */

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "holdfast-previews-"));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const edit = { path: "notes.txt", oldText: "two", newText: "2" };

function start(...calls: readonly (readonly [string, Record<string, unknown>])[]): Promise<Scenario> {
  const script: Script = {
    turns: [{ calls: calls.map(([tool, input]) => ({ tool, input })) }, { times: "any", text: "Done." }],
  };
  const agent: Partial<AgentDefinition> = {
    sandbox: { isolation: "none" },
    permissions: { ask: ["write", "edit", "shell"] },
  };
  return startScenario(script, { dataDir, agent });
}

/** A session whose workspace has this file. */
async function sessionWith(scenario: Scenario, text: string): Promise<Session> {
  const session = await scenario.session();
  await overwrite(scenario, session, text);
  return session;
}

async function overwrite({ runtime }: Scenario, { id }: Session, text: string): Promise<void> {
  const execution = await runtime.sessions.exec(id, { command: `printf '${text}' > notes.txt` });
  for await (const _ of execution.output);
  expect(await execution.result).toMatchObject({ exitCode: 0 });
}

async function contentOf({ runtime }: Scenario, { id }: Session): Promise<string> {
  const sandbox = await runtime.sessions.sandbox(id);
  return Buffer.from((await sandbox.readFile("notes.txt"))?.bytes ?? []).toString();
}

function approval({ request }: InterruptRecord): ApprovalRequest {
  if (request.kind !== "approval") throw new Error(`it is a ${request.kind}`);
  return request;
}

test("an edit is shown as a diff; what has changed since is asked about again", async () => {
  await using scenario = await start(["edit", edit]);
  const session = await sessionWith(scenario, "one\\ntwo\\n");
  await sendTo(scenario, "change it", session);
  const first = await openQuestion(scenario, session);
  expect(approval(first).preview).toMatchObject({
    type: "diff",
    text: expect.stringContaining("\n one\n-two\n+2\n"),
  });
  expect(await contentOf(scenario, session)).toBe("one\ntwo\n");

  await overwrite(scenario, session, "ONE\\ntwo\\n");
  await session.answer(first.id, { action: "approve" });
  await atRest(scenario, session);
  expect(await contentOf(scenario, session)).toBe("ONE\ntwo\n");
  const second = await openQuestion(scenario, session);
  expect(second.id).not.toBe(first.id);
  expect(second.request).toMatchObject({
    changedSince: true,
    message: expect.stringContaining("has changed since"),
  });
  expect(approval(second).preview?.text).toContain("\n ONE\n-two\n+2\n");

  await session.answer(second.id, { action: "approve" });
  await atRest(scenario, session);
  expect(await contentOf(scenario, session)).toBe("ONE\n2\n");
  const log = await scenario.log(session);
  expect(results(log)).toMatchObject([{ outcome: "ok" }]);
  expect(ofType(log, "toolStarted")).toHaveLength(1);
});

test("nothing is asked again where nothing has changed, or where a person has written the arguments", async () => {
  await using scenario = await start(["edit", edit], ["write", { path: "notes.txt", content: "all new" }]);
  const session = await sessionWith(scenario, "two");
  await sendTo(scenario, "change it", session);
  const [first, second] = await openQuestions(scenario, session);
  await session.answer(first?.id ?? "", { action: "approve" });
  await session.answer(second?.id ?? "", { action: "edit", input: { path: "notes.txt", content: "mine" } });
  await atRest(scenario, session);
  expect(await openQuestions(scenario, session)).toEqual([]);
  expect(await contentOf(scenario, session)).toBe("mine");
});

test("two edits of one file are approved together, as long as they do not touch each other", async () => {
  const place = (n: number) => ({ path: "notes.txt", oldText: `line ${n}\n`, newText: `LINE ${n}\n` });
  await using scenario = await start(["edit", place(1)], ["edit", place(9)], ["edit", place(8)]);
  const lines = Array.from({ length: 9 }, (_, i) => `line ${i + 1}\\n`).join("");
  const session = await sessionWith(scenario, lines);
  await sendTo(scenario, "change it", session);
  for (const { id } of await openQuestions(scenario, session))
    await session.answer(id, { action: "approve" });
  await atRest(scenario, session);
  const again = await openQuestions(scenario, session);
  expect(again.map(({ request }) => "call" in request && request.call.input)).toEqual([place(8)]);
  expect(await contentOf(scenario, session)).toMatch(/^LINE 1\n.*line 8\nLINE 9\n$/s);
});

test("an edit that would fail says so, and one that still does not fit is not asked about for ever", async () => {
  await using scenario = await start(["edit", edit]);
  const session = await sessionWith(scenario, "three");
  await sendTo(scenario, "change it", session);
  const question = await openQuestion(scenario, session);
  expect(approval(question).preview).toMatchObject({
    type: "text",
    text: expect.stringContaining("the call fails"),
  });
  await session.answer(question.id, { action: "approve" });
  await atRest(scenario, session);
  expect(results(await scenario.log(session))).toMatchObject([{ outcome: "error" }]);
});

test("a command is shown as it would run", async () => {
  await using scenario = await start(["shell", { command: "rm -r build" }]);
  const session = await sendTo(scenario);
  expect(approval(await openQuestion(scenario, session)).preview).toMatchObject({
    type: "command",
    text: expect.stringContaining("rm -r build"),
  });
});

test("a tool whose preview fails, or has nothing to show, is asked about without one", async () => {
  await using scenario = await start(["write", { path: "../../outside", content: "x" }]);
  const session = await sendTo(scenario);
  const request = approval(await openQuestion(scenario, session));
  expect(request.preview).toBeUndefined();
});
