import { describe, expect, it } from "vitest";
import {
  answerPart,
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
} from "../testing/log-builder.ts";
import { type Message, noUsage } from "./content.ts";
import type { Delivery, Entry, NewEntry } from "./entry.ts";
import { fold } from "./fold.ts";
import { carriedState, isSteered, leftMessages, type SessionState } from "./state.ts";

/** "user: hi | assistant: call a, call b | tool: a=1 b=2", so that a transcript can be read in a test. */
function transcript(...facts: readonly NewEntry[]): string {
  return fold(entries(...facts))
    .messages.map((message) => `${message.role}: ${contentOf(message)}`)
    .join(" | ");
}

function contentOf(message: Message): string {
  if (message.role === "tool") {
    return message.results.map((result) => `${result.callId}=${textOf(result.blocks)}`).join(" ");
  }
  return message.blocks
    .map((block) => (block.type === "toolCall" ? `call ${block.callId}` : textOf([block])))
    .join(", ");
}

function textOf(blocks: readonly { readonly type: string; readonly text?: string }[]): string {
  return blocks.map((block) => block.text ?? block.type).join("");
}

const twoCalls = [
  created(),
  userSays("hi"),
  runStarts(),
  modelIsCalled(),
  modelSays([call("a", "x"), call("b", "y")]),
];

describe("the transcript", () => {
  it("has results in the order of the calls, in whatever order they arrived", () => {
    expect(transcript(...twoCalls, toolEnds("b", "y", "2"), toolEnds("a", "x", "1"))).toBe(
      "user: hi | assistant: call a, call b | tool: a=1 b=2",
    );
  });

  it("has no results before all are there", () => {
    expect(transcript(...twoCalls, toolEnds("b", "y", "2"))).toBe("user: hi | assistant: call a, call b");
  });

  it("leaves out an answer without content, which providers refuse", () => {
    expect(transcript(created(), userSays("hi"), runStarts(), modelIsCalled(), modelSays([]))).toBe(
      "user: hi",
    );
  });

  it("puts a message that arrives between a call and its result behind the result", () => {
    expect(transcript(...twoCalls, userSays("wait"), toolEnds("a", "x", "1"), toolEnds("b", "y", "2"))).toBe(
      "user: hi | assistant: call a, call b | tool: a=1 b=2 | user: wait",
    );
  });

  it("puts a message that arrives while the model answers behind the answer", () => {
    const facts = [
      created(),
      userSays("hi"),
      runStarts(),
      modelIsCalled(),
      userSays("and?"),
      modelSays([text("ok")]),
    ];
    expect(transcript(...facts)).toBe("user: hi | assistant: ok | user: and?");
  });

  it("shows a message that arrived during a lost request to the next try", () => {
    const facts = [
      created(),
      userSays("hi"),
      runStarts(),
      modelIsCalled(),
      userSays("and?"),
      modelIsCalled(2),
    ];
    expect(transcript(...facts)).toBe("user: hi | user: and?");
  });
});

describe("a message that steers a run", () => {
  const steered = [created(), userSays("hi"), runStarts(), userSays("b", "b")];
  const ends = (left?: readonly string[]): NewEntry => ({
    ...runEnds("turnLimit"),
    ...(left === undefined ? {} : { left }),
  });

  it("is left to the next run where no request has held it", () => {
    expect(leftMessages(fold(entries(...steered)))).toEqual(["b"]);
    expect(fold(entries(...steered, ends(["b"]))).unanswered).toMatchObject({ messages: ["b"] });
    expect(
      fold(entries(...steered, ends(["b"]), runStarts("r2"), runEnds("timeLimit"))).unanswered,
    ).toBeNull();
  });

  it("is not, where a request has held it, a stop came after it, or an earlier release has ended the run", () => {
    expect(leftMessages(fold(entries(...steered, modelIsCalled())))).toEqual([]);
    expect(leftMessages(fold(entries(...steered, stopIsAsked())))).toEqual([]);
    expect(fold(entries(...steered, ends())).unanswered).toBeNull();
  });
});

describe("a fork", () => {
  const fork: NewEntry = {
    type: "sessionCreated",
    agent: "tester",
    forkedFrom: { sessionId: "p", entryId: "e5" },
  };

  it("leaves what was under way to the session that it came from, with a result for every call", () => {
    const state = fold(entries(...twoCalls, toolEnds("b", "y", "2"), userSays("late"), fork));
    expect(state).toMatchObject({ run: null, openCalls: [], deferred: [], unanswered: null });
    expect(transcript(...twoCalls, toolEnds("b", "y", "2"), userSays("late"), fork)).toMatch(
      /call a, call b \| tool: a=No result.* b=2 \| user: late$/,
    );
  });

  it("still has hooks asked about what no model has seen", () => {
    const state = fold(entries(...twoCalls, userSays("late"), toolEnds("b", "y", "2"), fork));
    expect(state.inputs.map(({ inboxId }) => inboxId)).toEqual(["in-late"]);
    expect(fold(entries(created(), userSays("hi"), fork)).inputs).toHaveLength(1);
  });
});

describe("the files of the workspace", () => {
  const saved = (snapshot: string): NewEntry => {
    const counts = { files: 1, bytes: 1, added: 1, changed: 0, removed: 0 };
    return { type: "workspaceSaved", snapshot, ...counts, skipped: [], durationMs: 1 };
  };
  const begun = [created(), userSays("hi"), runStarts(), modelSays([call("1", "write"), call("2", "read")])];
  const wrote = [...begun, toolStarts("1", "write", "once"), toolEnds("1", "write")];
  const workspaceAfter = (...facts: readonly NewEntry[]) => fold(entries(...facts)).workspace;

  it("are as they were kept until a call starts that can change them", () => {
    expect(workspaceAfter(...begun, toolStarts("2", "read", "readonly"))).toEqual({
      snapshot: null,
      changedAt: null,
    });
    expect(workspaceAfter(...wrote)).toEqual({ snapshot: null, changedAt: 5 });
    expect(workspaceAfter(...wrote, saved("one"))).toEqual({ snapshot: "one", changedAt: null });
    expect(workspaceAfter(...wrote, saved("one"), toolStarts("2", "write", "reconcile"))).toEqual({
      snapshot: "one",
      changedAt: 8,
    });
  });

  it.each([
    [
      { from: "snapshot", snapshot: "then", skipped: 0 },
      { snapshot: "then", changedAt: null },
    ],
    [
      { from: "template", skipped: 0 },
      { snapshot: null, changedAt: null },
    ],
    [
      { from: "now", snapshot: "now", skipped: 0 },
      { snapshot: "now", changedAt: null },
    ],
    [
      { from: "now", skipped: 0 },
      { snapshot: null, changedAt: 7 },
    ],
  ] as const)("are what a fork or a move of the head has made them: %j", (files, expected) => {
    const forkedFrom = { sessionId: "s", entryId: "e6" };
    expect(workspaceAfter(...wrote, { type: "sessionCreated", agent: "tester", forkedFrom, files })).toEqual(
      expected,
    );
    const spent = { usage: noUsage, costUsd: 0, unpricedCalls: 0, lostUsd: 0 };
    expect(workspaceAfter(...wrote, { type: "headMoved", from: "e6", spent, files })).toEqual(expected);
  });

  it("are known after a compaction, and taken as changed after one of a release that knew nothing of them", () => {
    const state = fold(entries(...wrote, saved("one")));
    const compactedWith = (carried: unknown): NewEntry => ({
      ...{ type: "compacted", tier: "summary", messages: [], tokensBefore: 2, tokensAfter: 1 },
      ...{ carried, usage: noUsage, costUsd: null },
    });
    expect(workspaceAfter(compactedWith(carriedState(state)))).toEqual({ snapshot: "one", changedAt: null });
    const { workspace: _, ...earlier } = carriedState(state);
    expect(workspaceAfter(compactedWith(earlier))).toEqual({ snapshot: null, changedAt: 1 });
  });
});

describe("the run", () => {
  it("goes on when a message arrived while the model had the last word", () => {
    const state = fold(
      entries(
        created(),
        userSays("hi"),
        runStarts(),
        modelIsCalled(),
        userSays("b"),
        modelSays([text("ok")]),
      ),
    );
    expect(state.run?.answered).toBeNull();
  });

  it("takes a message before a stop with it, and leaves one after it to the next run", () => {
    const stopped = [...twoCalls, userSays("before"), stopIsAsked(), userSays("after")];
    const results = [toolEnds("a", "x"), toolEnds("b", "y"), runEnds("stopped")];
    const state = fold(entries(...stopped, ...results));
    expect(state.run).toBeNull();
    expect(state.unanswered).toMatchObject({
      messages: ["in-after"],
      model: undefined,
      stopRequested: false,
    });
    expect(transcript(...stopped, ...results)).toMatch(/user: before \| user: after$/);
  });

  it("leaves nothing unanswered when the stop was the last word", () => {
    const state = fold(
      entries(
        ...twoCalls,
        userSays("before"),
        stopIsAsked(),
        toolEnds("a", "x"),
        toolEnds("b", "y"),
        runEnds("stopped"),
      ),
    );
    expect(state.unanswered).toBeNull();
  });

  it("is stopped before it begins when the stop came first", () => {
    const state = fold(entries(created(), userSays("hi"), stopIsAsked(), runStarts()));
    expect(state.run?.stopRequested).toBe(true);
  });

  it("counts a turn once, however often it was tried", () => {
    const facts = [
      created(),
      userSays("hi"),
      runStarts(),
      modelIsCalled(),
      modelIsCalled(2),
      modelIsCalled(3),
    ];
    expect(fold(entries(...facts)).run).toMatchObject({ turns: 1, attempts: 3 });
  });

  it("knows of a started call what it was started as", () => {
    const state = fold(entries(...twoCalls, toolStarts("a", "x", "once")));
    expect(state.openCalls[0]?.started).toEqual({
      operationId: "op-a",
      effect: "once",
      attempt: 1,
      at: 5_000,
    });
  });
});

describe("an answer whose calls start before it is complete", () => {
  const written = [call("a", "x"), call("b", "y"), text("and so on")];
  const begun = [
    created(),
    userSays("hi"),
    runStarts(),
    modelIsCalled(),
    answerPart(written.slice(0, 1)),
    toolStarts("a", "x", "once"),
  ];

  it("is not in the transcript before it is complete, nor are its results", () => {
    const facts = [...begun, toolEnds("a", "x", "1")];
    expect(transcript(...facts)).toBe("user: hi");
    expect(fold(entries(...facts)).openCalls).toMatchObject([{ callId: "a", result: { isError: false } }]);
  });

  it("stands before the results of calls that had ended before it did", () => {
    const facts = [...begun, toolEnds("a", "x", "1"), modelSays(written), toolEnds("b", "y", "2")];
    expect(transcript(...facts)).toBe("user: hi | assistant: call a, call b, and so on | tool: a=1 b=2");
  });

  it("goes on at once when all its calls had ended before it did", () => {
    const state = fold(entries(...begun, toolEnds("a", "x", "1"), modelSays(written.slice(0, 1))));
    expect(state.openCalls).toEqual([]);
    expect(state.run).toMatchObject({ part: null, answered: null, attempts: 0 });
  });

  it("knows which of its calls have started, through later parts and to the end", () => {
    const later = [...begun, answerPart(written.slice(0, 2))];
    const started = { operationId: "op-a", effect: "once", attempt: 1 };
    for (const facts of [later, [...later, modelSays(written)]]) {
      expect(fold(entries(...facts)).openCalls).toMatchObject([
        { callId: "a", started },
        { callId: "b", started: null },
      ]);
    }
  });

  it("keeps its place when it breaks off: what was complete is the answer", () => {
    const settled = { ...modelSays(written.slice(0, 1)), brokeOff: true } as NewEntry;
    const failed: NewEntry = {
      type: "modelFailed",
      runId: "r1",
      model: "scripted",
      attempt: 1,
      failure: { kind: "network", message: "gone" },
      durationMs: 1,
    };
    const facts = [...begun, failed, settled, toolEnds("a", "x", "1")];
    expect(transcript(...facts)).toBe("user: hi | assistant: call a | tool: a=1");
    expect(fold(entries(...facts))).toMatchObject({ openCalls: [], run: { failures: [], part: null } });
  });

  it("shows a message that came meanwhile behind the results", () => {
    const facts = [...begun, userSays("wait"), toolEnds("a", "x", "1"), modelSays(written.slice(0, 1))];
    expect(transcript(...facts)).toBe("user: hi | assistant: call a | tool: a=1 | user: wait");
  });

  it("is left to a fork as far as it was complete, with a result for every call", () => {
    const fork: NewEntry = {
      type: "sessionCreated",
      agent: "tester",
      forkedFrom: { sessionId: "p", entryId: "e6" },
    };
    expect(transcript(...begun, fork)).toMatch(/^user: hi \| assistant: call a \| tool: a=No result/);
  });
});

describe("a model that is given up", () => {
  it("is not used again in this run, and its failures are its own", () => {
    const failed: NewEntry = {
      type: "modelFailed",
      runId: "r1",
      model: "scripted",
      attempt: 1,
      failure: { kind: "quota", message: "used up" },
      durationMs: 1,
    };
    const switched: NewEntry = {
      type: "modelSwitched",
      runId: "r1",
      from: "scripted",
      to: "second",
      why: "quota",
    };
    const { run } = fold(entries(created(), userSays("hi"), runStarts(), modelIsCalled(), failed, switched));
    expect(run).toMatchObject({ model: "second", givenUp: ["scripted"], failures: [], attempts: 1 });
  });
});

describe("messages by their delivery", () => {
  const said = (delivery: Delivery, what: string = delivery) => ({ ...userSays(what), delivery }) as NewEntry;

  it("steer: joins the transcript behind the results, and the run answers it", () => {
    const facts = [...twoCalls, said("steer"), toolEnds("a", "x", "1"), toolEnds("b", "y", "2")];
    expect(transcript(...facts)).toMatch(/tool: a=1 b=2 \| user: steer$/);
    expect(isSteered(fold(entries(...facts.slice(0, -1))))).toBe(true);
    expect(isSteered(fold(entries(...facts)))).toBe(false);
  });

  it("followUp: waits for the end of the run, and is answered by the next one", () => {
    const during = [...twoCalls, said("followUp"), toolEnds("a", "x", "1"), toolEnds("b", "y", "2")];
    expect(transcript(...during)).toMatch(/tool: a=1 b=2$/);
    expect(isSteered(fold(entries(...during)))).toBe(false);
    const after = [...during, modelIsCalled(), modelSays([text("ok")]), runEnds()];
    expect(transcript(...after)).toMatch(/assistant: ok \| user: followUp$/);
    expect(fold(entries(...after)).unanswered).not.toBeNull();
  });

  it("followUp: each has a run of its own, in their order", () => {
    const after = [...twoCalls, said("followUp", "one"), said("followUp", "two")];
    const ended = [
      ...after,
      toolEnds("a", "x"),
      toolEnds("b", "y"),
      modelIsCalled(),
      modelSays([]),
      runEnds(),
    ];
    expect(transcript(...ended)).toMatch(/user: one$/);
    const next = [...ended, runStarts("r2"), modelIsCalled(), modelSays([text("1")]), runEnds()];
    const secondEnds = next.slice(0, -1).concat({ type: "runFinished", runId: "r2", reason: "endTurn" });
    expect(transcript(...secondEnds)).toMatch(/user: one \| assistant: 1 \| user: two$/);
  });

  it("interrupt: is answered by the run after the one that was stopped for it", () => {
    const facts = [...twoCalls, stopIsAsked(), said("interrupt"), toolEnds("a", "x"), toolEnds("b", "y")];
    expect(fold(entries(...facts)).run?.stopRequested).toBe(true);
    const state = fold(entries(...facts, runEnds("stopped")));
    expect(state.unanswered).toMatchObject({ stopRequested: false });
    expect(state.messages.at(-1)).toMatchObject({ role: "user", blocks: [{ text: "interrupt" }] });
  });
});

it("is the same for a whole log as entry by entry, and ignores what a newer release added", () => {
  const unknown = { type: "somethingNew", payload: 1 } as unknown as NewEntry;
  const log: Entry[] = entries(...twoCalls, unknown, toolEnds("a", "x"), toolEnds("b", "y"));
  const state = fold(log);
  expect(state.headSeq).toBe(log.length);
  expect(state.messages).toHaveLength(3);
});

describe("a compaction", () => {
  const long = [
    ...twoCalls,
    toolEnds("a", "x", "old a"),
    toolEnds("b", "y", "old b"),
    modelIsCalled(),
    modelSays([call("c", "x")], { usage: { ...noUsage, input: 900, output: 100 } }),
    toolEnds("c", "x", "new c"),
  ];

  it("of results shows a marker in the place of each, where its file is or that there is none", () => {
    const cleared: NewEntry = {
      type: "resultsCleared",
      runId: "r1",
      results: [
        { callId: "a", file: ".holdfast/outputs/a.txt" },
        { callId: "b", file: null },
      ],
      tokensBefore: 1_000,
      tokensAfter: 400,
    };
    const story = transcript(...long, cleared);
    expect(story).toMatch(/tool: a=<holdfast-note.*outputs\/a\.txt.* b=<holdfast-note.*call y again.* \| /s);
    expect(story).toMatch(/tool: c=new c$/);
    const state = fold(entries(...long, cleared));
    expect(state).toMatchObject({
      measured: { tokens: 400 },
      compactedSince: true,
      compactionFailedAt: null,
    });
    expect(state.run?.compactions).toEqual(["results"]);
  });

  it("replaces the transcript, and keeps what else is known", () => {
    const before = fold(entries(...long, userSays("later")));
    const state = fold(entries(...long, userSays("later"), compactedAt(before, 2)));
    expect(state.messages).toMatchObject([
      { role: "user", blocks: [{ text: "the summary" }] },
      ...before.messages.slice(-2),
    ]);
    expect(state).toMatchObject({
      context: null,
      compactedSince: true,
      measured: { tokens: 77, messages: 3 },
    });
    expect(state.usage).toMatchObject({ input: before.usage.input + 10 });
    expect(state.run).toMatchObject({ id: "r1", turns: 2, compactions: ["summary"] });
    expect(state.callIds).toEqual(new Set());
  });

  it("that failed leaves the transcript, and the overflow that made it necessary", () => {
    const overflow: NewEntry = {
      type: "modelFailed",
      runId: "r1",
      model: "scripted",
      attempt: 1,
      failure: { kind: "contextOverflow", message: "too long" },
      durationMs: 1,
    };
    const failed: NewEntry = {
      type: "compactionFailed",
      runId: "r1",
      tier: "summary",
      reason: "no text",
      tokens: 1_000,
      usage: { ...noUsage, input: 10 },
      costUsd: 0.5,
    };
    const facts = [...long, modelIsCalled(), overflow];
    const state = fold(entries(...facts, failed));
    expect(state.messages).toEqual(fold(entries(...facts)).messages);
    expect(state).toMatchObject({ compactionFailedAt: 1_000, costUsd: 0.5, compactedSince: false });
    expect(state.run).toMatchObject({
      compactions: ["summary"],
      failures: [{ failure: { kind: "contextOverflow" } }],
    });

    const after = fold(entries(...facts, failed, compactedAt(fold(entries(...facts, failed)), 1)));
    expect(after.run).toMatchObject({ compactions: ["summary", "summary"], failures: [] });
  });

  const vetoOf = (subject: string): NewEntry => ({
    type: "hookDecided",
    runId: "r1",
    hook: "censor",
    point: "input",
    subject,
    decision: "veto",
    blocks: true,
    durationMs: 1,
  });

  it("leaves each of two messages of the same words to be withheld afterwards", () => {
    const twice = [userSays("secret", "1"), userSays("secret", "2")];
    const before = fold(entries(...long, ...twice));
    const log = stored(entries(...long, ...twice, compactedAt(before, 2), vetoOf("1"), vetoOf("2")));
    expect(JSON.stringify(fold(log).messages)).not.toContain("secret");
  });

  it("leaves a message that a hook withholds afterwards withheld, also when folding begins here", () => {
    const before = fold(entries(...long, userSays("secret")));
    const veto = vetoOf("in-secret");
    const log = stored(entries(...long, userSays("secret"), compactedAt(before, 1), veto));
    for (const part of [log, fromCompaction(log)]) {
      expect(JSON.stringify(fold(part).messages)).not.toContain("secret");
      expect(JSON.stringify(fold(part).messages)).toContain("was withheld");
    }
  });

  it("is where folding may begin: whatever happened before and after, the state is the same", () => {
    for (let seed = 1; seed <= 100; seed++) {
      const log = stored(entries(...anyLog(seed)));
      expect(fold(fromCompaction(log)), `log ${seed}`).toEqual(fold(log));
    }
  });
});

/** One message in the place of all but the newest. */
function compactedAt(state: SessionState, kept: number): NewEntry {
  return {
    type: "compacted",
    runId: "r1",
    tier: "summary",
    messages: [
      { role: "user", blocks: [{ type: "text", text: "the summary" }] },
      ...(kept === 0 ? [] : state.messages.slice(-kept)),
    ],
    carried: carriedState(state),
    tokensBefore: 100,
    tokensAfter: 77,
    usage: { ...noUsage, input: 10, output: 1 },
    costUsd: 0.25,
  };
}

/** As a store gives them back. */
function stored(log: readonly Entry[]): readonly Entry[] {
  return JSON.parse(JSON.stringify(log));
}

function fromCompaction(log: readonly Entry[]): readonly Entry[] {
  return log.slice(log.findLastIndex(({ type }) => type === "compacted"));
}

/** What a runtime could have written, with at least one compaction in it; always the same for one seed. */
function anyLog(seed: number): readonly NewEntry[] {
  let random = seed;
  const below = (limit: number) => {
    random = (random * 48_271) % 2_147_483_647;
    return random % limit;
  };
  const facts: NewEntry[] = [created()];
  while (facts.length < 60 || !facts.some(({ type }) => type === "compacted")) {
    const name = `${facts.length}`;
    const state = fold(entries(...facts));
    facts.push(below(6) === 0 ? anybodySays(name, below) : runtimeDoes(name, state, below));
  }
  return facts;
}

type Below = (limit: number) => number;

function anybodySays(name: string, below: Below): NewEntry {
  const choice = below(5);
  if (choice === 0) return stopIsAsked(name);
  if (choice === 1) return { type: "contextAdded", source: "hook", text: name };
  const delivery = below(2) === 0 ? "steer" : "followUp";
  return { type: "userMessage", blocks: [{ type: "text", text: name }], inboxId: name, delivery };
}

function runtimeDoes(name: string, state: SessionState, below: Below): NewEntry {
  if (state.run === null) return state.unanswered === null ? userSays(name) : runStarts(name);
  const open = state.openCalls.find(({ result }) => result === null);
  if (open !== undefined) return toolEnds(open.callId, "x", name);
  if (state.run.calling)
    return modelSays(below(3) > 0 ? [call(name, "x"), call(`${name}b`, "x")] : [text(name)]);
  if (below(3) === 0) return compactedAt(state, below(4) === 0 ? 0 : keepable(state));
  return state.run.answered !== null && below(2) === 0 ? runEnds() : modelIsCalled();
}

/** What is unanswered, or the last group. */
function keepable({ messages }: SessionState): number {
  const unanswered = messages.length - 1 - messages.findLastIndex(({ role }) => role !== "user");
  return Math.max(unanswered, messages.at(-1)?.role === "tool" ? 2 : 1);
}
