import { describe, expect, test } from "vitest";
import type { Entry, NewEntry, ToolFinished } from "../../log/entry.ts";
import type { RunEvent } from "../../run/session/events.ts";
import {
  call,
  created,
  entries,
  modelIsCalled,
  modelSays,
  runEnds,
  runStarts,
  stopIsAsked,
  text,
  toolEnds,
  toolStarts,
  userSays,
} from "../../testing/log-builder.ts";
import { createRunView } from "./render.ts";

const runId = "r1";
const options = {
  style: (_style: unknown, plainText: string) => plainText,
  width: 60,
  output: { head: 3, tail: 1 },
};

/** Facts become entries, a second apart; deltas stay what they are. */
function events(...items: readonly (NewEntry | Exclude<RunEvent, { type: "entry" }>)[]): readonly RunEvent[] {
  const facts = items.filter(isFact);
  const numbered = entries(...facts);
  return items.map((item) => {
    const entry = isFact(item) ? numbered[facts.indexOf(item)] : undefined;
    return entry === undefined ? (item as RunEvent) : { type: "entry", entry };
  });
}

function isFact(item: { readonly type: string }): item is NewEntry {
  return !/Delta$|^(?:toolCallStarted|toolOutput|toolProgress|notice|retracted)$/.test(item.type);
}

function render(given: readonly RunEvent[]): string {
  const view = createRunView(options);
  return given.map(view.add).join("") + view.close();
}

const delta = (piece: string) => ({ type: "textDelta", runId, text: piece }) as const;
const output = (callId: string, piece: string) =>
  ({ type: "toolOutput", runId, callId, stream: "stdout", text: piece }) as const;
const shell = (callId: string, command: string) => call(callId, "shell", { command });
const ended = (callId: string, name: string, more: Partial<ToolFinished> = {}): NewEntry =>
  ({ ...toolEnds(callId, name), ...more }) as NewEntry;

function failure(attempt: number, more: object = {}): NewEntry {
  return {
    type: "modelFailed",
    runId,
    model: "acme/one",
    attempt,
    failure: { kind: "overloaded", message: "busy", status: 529, ...more },
    durationMs: 5,
  };
}

const cases: readonly (readonly [name: string, given: readonly RunEvent[], expected: string])[] = [
  [
    "a text that streams, once",
    events(delta("\nHel"), delta("lo\n\n"), modelSays([text("\nHello\n\n")]), runEnds()),
    "Hello\n",
  ],
  ["a text whose pieces were not seen", events(modelSays([text("Hello")])), "Hello\n"],
  ["the rest of a text that was seen in part", events(delta("Hel"), modelSays([text("Hello")])), "Hello\n"],
  [
    "a text whose beginning was missed",
    events(delta("lo"), modelSays([text("Hello")])),
    "lo\n… the answer in full:\nHello\n",
  ],
  [
    "a text without what could take over the terminal",
    events(
      delta("a\u001b[2"),
      delta("Jb\u001b]0;x\u0007c"),
      modelSays([text("a\u001b[2Jb\u001b]0;x\u0007c")]),
    ),
    "abc\n",
  ],
  [
    "an answer that broke off",
    events(delta("Hel"), { type: "retracted", runId }, failure(1), delta("Hi"), modelSays([text("Hi")])),
    "Hel\n↻ the answer broke off there and is asked for again\n↻ acme/one: overloaded (HTTP 529), trying again in 500 ms at the latest\nHi\n",
  ],
  [
    "a failure that is not tried again",
    events(failure(1, { kind: "authentication", status: 401 })),
    "✗ acme/one: key not accepted (HTTP 401)\n",
  ],
  [
    "a command with its output",
    events(
      delta("Look:"),
      modelSays([text("Look:"), shell("a", "ls\npwd")]),
      toolStarts("a", "shell", "reconcile"),
      output("a", "one\ntw"),
      output("a", "o\n"),
      ended("a", "shell", { durationMs: 1_500 }),
      delta("Fine."),
      modelSays([text("Fine.")]),
    ),
    "Look:\n▸ shell  ls … +1 line\n  │ one\n  │ two\n  ✓ done in 1.5 s\n\nFine.\n",
  ],
  [
    "a command that failed: its exit status, and nothing twice",
    events(
      modelSays([shell("a", "false")]),
      toolStarts("a", "shell", "reconcile"),
      output("a", "oh\n"),
      ended("a", "shell", {
        outcome: "error",
        details: { exitCode: 1 },
        blocks: [{ type: "text", text: "oh\n[exit status 1]" }],
      }),
    ),
    "▸ shell  false\n  │ oh\n  ✗ exit status 1 after 1 ms\n",
  ],
  [
    "a command whose output was not seen live, from its result",
    events(
      modelSays([shell("a", "seq 9")]),
      toolStarts("a", "shell", "reconcile"),
      ended("a", "shell", { blocks: [{ type: "text", text: "1\n2\n3\n4\n5\n6\n7\n8\n9" }] }),
    ),
    "▸ shell  seq 9\n  │ 1\n  │ 2\n  │ 3\n  │ … 5 more lines …\n  │ 9\n  ✓ done in 1 ms\n",
  ],
  [
    "quick tools in one line each",
    events(
      modelSays([
        call("a", "write", { path: "a.md", content: "héllo" }),
        call("b", "read", { path: "a.md", offset: 3, limit: 4 }),
      ]),
      toolStarts("a", "write", "idempotent"),
      toolStarts("b", "read", "readonly"),
      ended("a", "write"),
      ended("b", "read"),
    ),
    "✓ write  a.md (6 bytes) · done in 1 ms\n✓ read  a.md (from line 3 to 6) · done in 1 ms\n",
  ],
  [
    "any other tool with its arguments as JSON, cut to the width",
    events(
      modelSays([call("a", "refund", { order: 7, why: "x".repeat(80) })]),
      toolStarts("a", "refund", "keyed"),
      ended("a", "refund"),
    ),
    `▸ refund  {"order":7,"why":"${"x".repeat(31)}…\n  ✓ done in 1 ms\n`,
  ],
  [
    "calls at the same time, one after the other in the order of the calls",
    events(
      modelSays([shell("a", "first"), shell("b", "second")]),
      toolStarts("a", "shell", "reconcile"),
      toolStarts("b", "shell", "reconcile"),
      output("b", "from b\n"),
      ended("b", "shell"),
      output("a", "from a\n"),
      ended("a", "shell"),
    ),
    "▸ shell  first\n  │ from a\n  ✓ done in 1 ms\n▸ shell  second\n  │ from b\n  ✓ done in 1 ms\n",
  ],
  [
    "calls that did not run, with the reason",
    events(
      modelSays([shell("a", "rm -rf /"), call("b", "nope", {}), shell("c", "ls")]),
      toolEnds("a", "shell", "Denied by the rule shell(rm*)", "denied"),
      toolEnds("b", "nope", 'There is no tool named "nope".', "invalid"),
      toolEnds("c", "shell", "Not started: the run was stopped.", "cancelled"),
    ),
    [
      "▸ shell  rm -rf /\n  │ Denied by the rule shell(rm*)\n  ⊘ not started: not allowed",
      '▸ nope  {}\n  │ There is no tool named "nope".\n  ✗ not started: the call was not valid',
      "⊘ shell  ls · not started\n",
    ].join("\n"),
  ],
  [
    "a resumed run with a call of which nobody knows",
    events(
      modelSays([call("a", "pay", { euro: 5 })]),
      toolStarts("a", "pay", "once"),
      { type: "runResumed", runId, nodeId: "n", epoch: 2 },
      toolEnds("a", "pay", "Unknown outcome: pay had been started", "unknown"),
    ),
    '▸ pay  {"euro":5}\n⟳ resumed after an interruption (1 s without a process)\n  │ Unknown outcome: pay had been started\n  ? unknown outcome; not repeated\n',
  ],
  [
    "a stop, a notice, and what somebody else says",
    events(
      created(),
      userSays("mine"),
      runStarts(),
      modelIsCalled(),
      userSays("wait\nfor me"),
      { type: "notice", code: "x", message: "disk \u001b[1mnearly full" },
      stopIsAsked(),
      runEnds("stopped"),
    ),
    "\n› wait\n› for me\n\n! disk nearly full\n⊘ stopping\n",
  ],
];

test.each(cases)("%s", (name, given, expected) => {
  const view = createRunView({ ...options, hideMessage: "in-mine" });
  expect(given.map(view.add).join("") + view.close(), name).toBe(expected);
});

test("the same without deltas tells the same story", () => {
  const all = cases.flatMap(([, given]) => given);
  const durable = all.filter((event) => event.type === "entry");
  expect(render(durable)).not.toBe("");
});

test("calls of a run that is taken up begin with their first line", () => {
  const [asked, begun, resumed, finished] = entries(
    modelSays([shell("a", "sleep 9")]),
    toolStarts("a", "shell", "reconcile"),
    { type: "runResumed", runId, nodeId: "n", epoch: 2 },
    ended("a", "shell", { details: { outputBytes: 0 } }),
  ) as [Entry, Entry, Entry, Entry];
  const view = createRunView(options);
  view.skip(asked);
  view.skip(begun);
  const shown = [
    view.add({ type: "entry", entry: resumed }),
    view.add(output("a", "z\n")),
    view.add({ type: "entry", entry: finished }),
  ];
  expect(shown.join("")).toBe(
    "⟳ resumed after an interruption (1 s without a process)\n▸ shell  sleep 9\n  │ z\n  ✓ done in 1 ms\n",
  );
});

describe("the line that is rewritten", () => {
  function activities(...given: readonly RunEvent[]): readonly (string | null)[] {
    const view = createRunView(options);
    return given.map((event) => {
      view.add(event);
      return view.activity();
    });
  }

  test("says what goes on", () => {
    const given = events(
      runStarts(),
      modelIsCalled(),
      { type: "reasoningDelta", runId, text: "hm" },
      delta("Text"),
      { type: "toolCallStarted", runId, callId: "a", name: "write" },
      { type: "toolCallDelta", runId, callId: "a", text: "x".repeat(1_500) },
      modelSays([call("a", "write", { path: "f", content: "" }), shell("b", "make")]),
      toolStarts("a", "write", "idempotent"),
      toolStarts("b", "shell", "reconcile"),
      ended("a", "write"),
      { type: "toolProgress", runId, callId: "b", message: "linking", fraction: 0.5 },
      ended("b", "shell"),
      runEnds(),
    );
    expect(activities(...given)).toEqual([
      "starting",
      "waiting for scripted",
      "thinking",
      null,
      "preparing write",
      "preparing write (1.5k characters)",
      null,
      "running write: f (0 bytes)",
      "running write, shell",
      "running shell",
      "running shell: linking (50 %)",
      null,
      null,
    ]);
  });
});
