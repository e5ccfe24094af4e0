import { expect, test } from "vitest";
import { noUsage } from "../../log/content.ts";
import type { HookDecided, NewEntry } from "../../log/entry.ts";
import {
  call,
  entries,
  modelIsCalled,
  modelSays,
  text,
  toolEnds,
  toolStarts,
  userSays,
} from "../../testing/log-builder.ts";
import { createRunView } from "./render.ts";

const runId = "r1";
const spent = { usage: noUsage, costUsd: 0.02 };
const budget = { scope: "run", key: "r1", limitUsd: 1, spentUsd: 0.9, neededUsd: 0.3 } as const;

function hook(more: Partial<HookDecided>): NewEntry {
  return {
    type: "hookDecided",
    runId,
    hook: "lint",
    point: "beforeTool",
    subject: "c",
    decision: "allow",
    blocks: false,
    durationMs: 1,
    ...more,
  };
}

const cases: readonly (readonly [facts: readonly NewEntry[], shown: string])[] = [
  [
    [
      {
        type: "resultsCleared",
        runId,
        results: [
          { callId: "a", file: "x" },
          { callId: "b", file: null },
        ],
        tokensBefore: 120_000,
        tokensAfter: 40_000,
      },
    ],
    "⌁ 2 old results put aside to make room: 120k → 40k tokens\n",
  ],
  [
    [
      {
        type: "compacted",
        runId,
        tier: "summary",
        messages: [],
        carried: {},
        tokensBefore: 150_000,
        tokensAfter: 9_000,
        ...spent,
      },
    ],
    "⌁ older messages summarised to make room: 150k → 9k tokens, $0.0200\n",
  ],
  [
    [
      {
        type: "compacted",
        runId,
        tier: "emergency",
        messages: [],
        carried: {},
        tokensBefore: 150_000,
        tokensAfter: 9_000,
        ...spent,
      },
    ],
    "⌁ the oldest messages left out to make room: 150k → 9k tokens\n",
  ],
  [
    [{ type: "compactionFailed", runId, tier: "summary", reason: "it was\nrefused", tokens: 5, ...spent }],
    "⌁ summarising older messages did not help: it was … +1 line\n",
  ],
  [
    [
      {
        type: "modelFailed",
        runId,
        model: "acme/one",
        attempt: 1,
        failure: { kind: "overloaded", message: "busy", status: 529 },
        durationMs: 1,
        purpose: "summary",
      },
    ],
    "⌁ no summary: acme/one: overloaded (HTTP 529)\n",
  ],
  [
    [{ type: "modelSwitched", runId, from: "acme/one", to: "acme/two", why: "overloaded" }],
    "⇢ going on with acme/two instead of acme/one\n",
  ],
  [[hook({})], ""],
  [[hook({ context: "It is\nFriday." })], "+ hook lint tells the model: It is … +1 line\n"],
  [
    [hook({ decision: "change", input: { path: "a\u001b[2J" }, reason: "safer" })],
    '+ hook lint changes the arguments of a call to {"path":"a\\u001b[2J"}: safer\n',
  ],
  [
    [hook({ decision: "failed", blocks: true, point: "runEnd", reason: "exit 1" })],
    "⊘ hook lint failed, and the run ends all the same: exit 1\n",
  ],
  [
    [hook({ decision: "timedOut", blocks: true, point: "afterTool" })],
    "⊘ hook lint did not answer in time, and the call has been made all the same\n",
  ],
  [[hook({ decision: "veto", blocks: true, reason: "not today" })], "⊘ hook lint says no: not today\n"],
  [
    [hook({ decision: "veto", point: "runEnd", reason: "tests fail" })],
    "⊘ hook lint lets the run go on: tests fail\n",
  ],
  [[hook({ decision: "end", blocks: true })], "⊘ hook lint ends the run\n"],
  [[hook({ decision: "timedOut" })], "+ hook lint did not answer in time, and is passed over\n"],
  [
    [hook({ decision: "failed", blocks: true, reason: "exit 1" })],
    "⊘ hook lint failed, which counts as no: exit 1\n",
  ],
  [
    [{ type: "contextAdded", source: "environment", text: "A new day." }],
    "+ environment tells the model: A new day.\n",
  ],
  [
    [
      {
        type: "interrupted",
        runId,
        interruptId: "i",
        request: { kind: "budget", message: "It costs $1.20.", budget },
      },
      {
        type: "interruptResolved",
        interruptId: "i",
        inboxId: "in",
        answer: { action: "raise", limitUsd: 5 },
        actor: "ada",
      },
    ],
    "⏸ It costs $1.20.\n▸ raised to $5.00 by ada\n",
  ],
  [[{ type: "interruptResolved", interruptId: "i", inboxId: "in", answer: { action: "end" } }], "▸ ended\n"],
  [
    [{ ...userSays("and then"), delivery: "followUp", actor: "ada\u001b[2J" } as NewEntry],
    "\n› and then\n  ada, answered by a run of its own\n\n",
  ],
  [
    [
      { type: "answerPart", runId, model: "m", blocks: [text("I look."), call("a", "read", { path: "f" })] },
      toolStarts("a", "read", "readonly"),
      toolEnds("a", "read"),
      modelSays([text("I look."), call("a", "read", { path: "f" }), call("b", "read", { path: "g" })]),
      toolStarts("b", "read", "readonly"),
      toolEnds("b", "read"),
    ],
    "I look.\n✓ read  f · done in 1 ms\n✓ read  g · done in 1 ms\n",
  ],
  [
    [
      { type: "answerPart", runId, model: "m", blocks: [call("a", "read", { path: "f" })] },
      toolStarts("a", "read", "readonly"),
      { ...modelSays([call("a", "read", { path: "f" })]), brokeOff: true } as NewEntry,
      toolEnds("a", "read"),
    ],
    "… the answer broke off there\n✓ read  f · done in 1 ms\n",
  ],
];

test.each(cases)("%#", (facts, shown) => {
  const view = createRunView({
    style: (_style, plainText) => plainText,
    width: 100,
    output: { head: 3, tail: 1 },
  });
  const lines = entries(...facts).map((entry) => view.add({ type: "entry", entry }));
  expect(lines.join("") + view.close()).toBe(shown);
});

test("a summary that is being written is what goes on", () => {
  const view = createRunView({ style: (_style, words) => words, width: 80, output: { head: 3, tail: 1 } });
  const [asked] = entries({ ...modelIsCalled(), purpose: "summary" } as NewEntry);
  if (asked !== undefined) view.add({ type: "entry", entry: asked });
  expect(view.activity()).toBe("summarising older messages with scripted");
});
