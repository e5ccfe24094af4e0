import { describe, expect, test } from "vitest";
import type { ApprovalRequest, InterruptAnswer, InterruptRequest, NewEntry } from "../../log/entry.ts";
import { call, entries, modelSays, runStarts, toolEnds, toolStarts } from "../../testing/log-builder.ts";
import { answeredWords, questionBlock, questionWords } from "./question.ts";
import { createRunView } from "./render.ts";

const style = (_style: unknown, text: string) => text;
const marked = (name: unknown, text: string) => `<${String(name)}>${text}</>`;

const push: ApprovalRequest = {
  kind: "approval",
  message: "builder wants to run shell: a rule asks",
  call: {
    callId: "c1",
    tool: "shell",
    input: { command: "git push --force" },
    risk: { reversibility: "hard", reach: "outside", why: ["git push --force rewrites history"] },
  },
  permission: { layer: "rules", by: "ask: shell(git push*) (harness.json)" },
  binding: "b",
};

const block = (request: ApprovalRequest, more: object = {}) =>
  questionBlock(request, { style, width: 100, now: 0, ...more });

describe("a question in words", () => {
  test("what, risk, why, and on which terms", () => {
    const terms = {
      approvers: ["ada", "bob"],
      excluded: ["eve"],
      quorum: 2,
      expiresAt: 7_380_000,
      onExpire: "escalate",
      round: 1,
    } as const;
    expect(block({ ...push, ...terms })).toBe(
      [
        "⏸ builder wants to run shell: a rule asks",
        "  │ shell  git push --force",
        "  │ risk: hard to take back, reaches outside: git push --force rewrites history",
        '  │ asked by the rule "ask: shell(git push*) (harness.json)"',
        "  │ may be answered by ada, bob",
        "  │ not by eve, who asked for it",
        "  │ 2 people have to approve",
        "  │ open for 2 h 3 min, then others are asked",
        "  │ asked once before, without an answer",
        "",
      ].join("\n"),
    );
  });

  test("a rule that the message names is not named again", () => {
    const message = `builder wants to run shell: the rule "${push.permission.by}" asks`;
    expect(block({ ...push, message })).not.toContain("asked by");
  });

  test("a diff, with colours where there are any, and not endless", () => {
    const text = "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-old\n+new\n same\n";
    const preview = { type: "diff", text } as const;
    expect(block({ ...push, preview })).toContain("  │ -old\n  │ +new\n  │  same\n");
    const coloured = questionBlock({ ...push, preview }, { style: marked, width: 100, now: 0 });
    expect(coloured).toContain("<green>+new</>");
    expect(coloured).toContain("<red>-old</>");
    expect(coloured).toContain("<bold>+++ b/f</>");
    expect(block({ ...push, preview }, { previewLines: 2 })).toMatch(/\+\+\+ b\/f\n {2}│ … 4 more lines\n$/);
  });

  test("the rule that 'always' writes, where it can be approved for good", () => {
    const permission = { layer: "mode", by: "mode default" } as const;
    const rule = '"always" writes: allow shell(git push --force)\n';
    expect(block({ ...push, permission })).toContain(rule);
    expect(block(push)).not.toContain("always");
    expect(block({ ...push, permission, quorum: 2 })).not.toContain("always");
  });

  test("where there is no call to deny, none is said to be denied", () => {
    const { call: about } = push;
    const terms = { expiresAt: 60_000, onExpire: "deny" } as const;
    const asked = (request: InterruptRequest) => questionBlock(request, { style, width: 100, now: 0 });
    expect(asked({ kind: "question", message: "?", call: about, ...terms })).toContain(
      "open for 1 min, then the tool hears that nobody answered\n",
    );
    expect(asked({ kind: "outcome", message: "?", call: about, ...terms })).toContain(
      "then its outcome stays unknown",
    );
    expect(asked({ ...push, ...terms })).toContain("then it is denied");
    const expired = { action: "expired", onExpire: "deny" } as const;
    expect(answeredWords(expired, null, 5, "question")).toBe("nobody answered in time: the tool heard so");
  });

  test("a command stands for the call", () => {
    const preview = { type: "command", text: "cd x &&\n  make\n" } as const;
    expect(block({ ...push, preview })).toMatch(/asks\n {2}│ risk[\s\S]*│ \$ cd x &&\n {2}│ {3}make\n$/);
  });

  test("what others wrote cannot speak to the terminal", () => {
    const evil = "a\u001b[2J\u009b31m\r\u202eb";
    const shown = block({
      ...push,
      message: evil,
      call: { ...push.call, tool: evil, input: { command: evil }, risk: { ...push.call.risk, why: [evil] } },
      permission: { layer: "hook", by: `hook ${evil}` },
      preview: { type: "text", text: evil },
      approvers: [evil],
    });
    expect(shown).not.toMatch(/[\0-\x08\x0b-\x1f\x7f-\x9f\u202e]/);
  });

  test("in a few words", () => {
    expect(questionWords(push)).toBe("shell  git push --force");
    const budget = { scope: "run", key: "r", limitUsd: 1, spentUsd: 0.9, neededUsd: 0.3 } as const;
    expect(questionWords({ kind: "budget", message: "", budget })).toBe("budget of the run: $0.90 of $1.00");
  });
});

test.each<[InterruptAnswer, string | null, number | undefined, string]>([
  [{ action: "approve" }, "ada", 7_380_000, "approved by ada after 2 h 3 min"],
  [{ action: "approve", always: "session" }, null, undefined, "approved for the rest of the session"],
  [{ action: "reject", feedback: "not on Friday" }, "ada", undefined, "rejected by ada: not on Friday"],
  [{ action: "edit", input: { a: 1 } }, "ada", undefined, 'changed by ada: {"a":1}'],
  [{ action: "respond", value: "yes\u001b[2J" }, "ada", undefined, "answered by ada: yes"],
  [{ action: "expired", onExpire: "deny" }, "clock", 5, "nobody answered in time: denied"],
  [{ action: "abandoned" }, null, 5, "nobody answered for so long that the run is given up"],
  [{ action: "withdrawn" }, null, undefined, "nobody has to be asked any more"],
])("%j by %j after %j: %s", (answer, actor, waited, words) => {
  expect(answeredWords(answer, actor, waited)).toBe(words);
});

describe("while a run goes on", () => {
  const runId = "r1";
  const ask = (interruptId: string, callId: string): NewEntry => ({
    type: "interrupted",
    runId,
    interruptId,
    request: { ...push, call: { ...push.call, callId } },
  });
  const answers = (interruptId: string, answer: InterruptAnswer): NewEntry => ({
    type: "interruptResolved",
    interruptId,
    inboxId: `in-${interruptId}`,
    answer,
    actor: "ada",
    waitedMs: 3_000,
  });

  function show(...facts: readonly NewEntry[]): string {
    const view = createRunView({ style, width: 100, output: { head: 3, tail: 1 } });
    const lines = entries(...facts).map((entry) => view.add({ type: "entry", entry }));
    return lines.join("") + view.close();
  }

  test("calls behind one that waits are told, and of several answers which is which", () => {
    const shown = show(
      runStarts(),
      modelSays([
        call("a", "shell", { command: "x" }),
        call("b", "shell", { command: "y" }),
        call("c", "look"),
      ]),
      ask("i1", "a"),
      ask("i2", "b"),
      toolStarts("c", "look", "readonly"),
      toolEnds("c", "look"),
      { type: "runPaused", runId },
      answers("i1", { action: "reject" }),
      answers("i2", { action: "approve" }),
    );
    expect(shown).toContain(
      "▸ look  {}\n  ✓ done in 1 ms\n▸ rejected by ada after 3 s (shell  git push --force)\n",
    );
    expect(shown).toContain("▸ approved by ada after 3 s (shell  git push --force)\n");
  });

  test.each<[NewEntry, string]>([
    [{ type: "modeChanged", mode: "plan", inboxId: "i", actor: "ada" }, "▸ mode plan from here on, by ada\n"],
    [
      { type: "ruleAdded", scope: "agent", list: "allow", rule: "shell(ls)", actor: "ada" },
      "▸ new rule in all sessions of the agent: allow shell(ls), by ada\n",
    ],
    [
      { type: "interruptVoted", interruptId: "i", inboxId: "x", actor: "ada" },
      "▸ approved by ada; others have to, too\n",
    ],
    [saved([]), ""],
    [saved([{ path: "big.bin", why: "too large" }]), "⌁ not in the snapshot: big.bin (too large)\n"],
    [
      {
        type: "headMoved",
        from: "e9",
        files: { from: "snapshot", snapshot: "s", skipped: 2 },
        spent: {
          usage: { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
          costUsd: 0,
          unpricedCalls: 0,
          lostUsd: 0,
        },
      },
      "↶ left at e9, and back behind #1, files as they were then, without 2 files\n",
    ],
  ])("%j", (fact, shown) => expect(show(runStarts(), fact)).toBe(shown));

  test("a changed call is shown as it runs", () => {
    const shown = show(
      runStarts(),
      modelSays([call("a", "shell", { command: "git push --force" })]),
      ask("i1", "a"),
      answers("i1", { action: "edit", input: { command: "git push" } }),
      toolStarts("a", "shell", "reconcile"),
      toolEnds("a", "shell"),
    );
    expect(shown).toContain("▸ shell  git push (changed by ada)\n");
  });

  test("a refused call says who refused it", () => {
    const refused = {
      ...toolEnds("a", "shell", "no", "denied"),
      details: { permission: { layer: "rules", by: "deny: shell(rm *) (harness.json)" } },
    } as NewEntry;
    expect(show(modelSays([call("a", "shell", { command: "rm x" })]), refused)).toContain(
      'not started: not allowed by the rule "deny: shell(rm *) (harness.json)"',
    );
  });
});

function saved(skipped: readonly { readonly path: string; readonly why: string }[]): NewEntry {
  return {
    type: "workspaceSaved",
    snapshot: "s",
    files: 1,
    bytes: 1,
    added: 1,
    changed: 0,
    removed: 0,
    skipped,
    durationMs: 1,
  };
}
