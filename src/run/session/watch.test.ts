import { describe, expect, test } from "vitest";
import type { Delivery, Entry, NewEntry, RunEnd } from "../../log/entry.ts";
import { fold } from "../../log/fold.ts";
import type { SessionLog } from "../../log/session-log.ts";
import { leftMessages } from "../../log/state.ts";
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
  userSays,
} from "../../testing/log-builder.ts";
import type { RunEvent } from "./events.ts";
import type { InterruptRecord } from "./interrupts.ts";
import { createDeltaBus, fromMessage, isRunEnd, untilAnswered, untilRunEnds, watchSession } from "./watch.ts";

const [root, message, started, called] = entries(created(), userSays("hi"), runStarts(), modelIsCalled()) as [
  Entry,
  Entry,
  Entry,
  Entry,
];
const delta = (text: string) => ({ type: "textDelta", runId: "r1", text }) as const;

/** A log whose entries reach their followers when the test says so. */
function logInHand() {
  const given = Promise.withResolvers<void>();
  const follow: SessionLog["follow"] = async function* () {
    yield root;
    yield message;
    await given.promise;
    yield started;
    yield called;
  };
  return { log: { follow } as SessionLog, giveRest: given.resolve };
}

function nameOf(event: RunEvent): string {
  if (event.type === "entry") return event.entry.type;
  return event.type === "textDelta" ? event.text : event.type;
}

async function read(events: AsyncIterator<RunEvent>, count: number): Promise<readonly string[]> {
  const names: string[] = [];
  while (names.length < count) {
    const { value, done } = await events.next();
    if (done === true) break;
    names.push(nameOf(value));
  }
  return names;
}

test("a delta waits for the entries that were appended before it", async () => {
  const { log, giveRest } = logInHand();
  const bus = createDeltaBus();
  const reader = new AbortController();
  const events = watchSession(log, bus, "s", { after: 0, signal: reader.signal })[Symbol.asyncIterator]();
  expect(await read(events, 2)).toEqual(["sessionCreated", "userMessage"]);

  bus.publish("s", delta("behind the call"), called.seq);
  bus.publish("s", delta("at once"), message.seq);
  bus.publish("s", delta("behind it, too"), called.seq);
  expect(await read(events, 1)).toEqual(["at once"]);
  giveRest();
  expect(await read(events, 4)).toEqual(["runStarted", "modelCalled", "behind the call", "behind it, too"]);
  reader.abort();
});

describe("the run that answers a message", () => {
  const m = (id: string, delivery?: Delivery): NewEntry => ({
    ...userSays(id, id),
    ...(delivery === undefined ? {} : { delivery }),
  });
  const begins = (runId: string) => runStarts(runId);
  const ends = (runId: string, reason: RunEnd = "endTurn"): NewEntry => ({
    type: "runFinished",
    runId,
    reason,
  });
  const fails = (runId: string): NewEntry => ({
    type: "runFailed",
    runId,
    error: { code: "model_network", message: "lost" },
  });
  const asks = modelIsCalled();
  const answers = modelSays([text("done")]);
  const calls = [modelIsCalled(), modelSays([call("c", "shell")])];
  const result = toolEnds("c", "shell");
  const stop = stopIsAsked();
  const stopForMessage: NewEntry = { type: "stopRequested", reason: "a message interrupted it" };

  const stories: readonly (readonly [string, readonly NewEntry[], Readonly<Record<string, string>>])[] = [
    ["the one that it starts", [m("a"), begins("r1"), asks, answers, ends("r1")], { a: "r1" }],
    [
      "the one that it steers",
      [m("a"), begins("r1"), ...calls, m("b"), result, asks, answers, ends("r1")],
      { a: "r1", b: "r1" },
    ],
    [
      "the one that it steers in its last answer, which then was not its last",
      [m("a"), begins("r1"), asks, m("b"), answers, asks, answers, ends("r1")],
      { a: "r1", b: "r1" },
    ],
    [
      "the next one, where the request under way fails for good",
      [m("a"), begins("r1"), asks, m("b"), fails("r1"), begins("r2"), asks, answers, ends("r2")],
      { a: "r1", b: "r2" },
    ],
    [
      "the next one, where the one that was to see it fails before its next request",
      [m("a"), begins("r1"), m("b"), fails("r1"), m("c"), begins("r2"), asks, answers, ends("r2")],
      { a: "r1", b: "r2", c: "r2" },
    ],
    [
      "the next one, where the one that was to see it ends at a limit before its next request",
      [
        ...[m("a"), begins("r1"), ...calls, m("b"), result, ends("r1", "turnLimit")],
        ...[begins("r2"), asks, answers, ends("r2")],
      ],
      { a: "r1", b: "r2" },
    ],
    [
      "each its own, for messages that follow up",
      [
        ...[m("a"), begins("r1"), asks, m("b", "followUp"), m("c", "followUp"), answers, ends("r1")],
        ...[begins("r2"), asks, answers, ends("r2"), begins("r3"), asks, answers, ends("r3")],
      ],
      { a: "r1", b: "r2", c: "r3" },
    ],
    [
      "the one that is under way, for what steers it while others wait for their own",
      [
        ...[m("a"), begins("r1"), asks, m("b", "followUp"), m("c"), answers, asks, answers, ends("r1")],
        ...[begins("r2"), asks, m("d"), answers, asks, answers, ends("r2")],
      ],
      { a: "r1", b: "r2", c: "r1", d: "r2" },
    ],
    [
      "the first, for a message that follows up on nothing",
      [m("a", "followUp"), begins("r1"), asks, answers, ends("r1")],
      { a: "r1" },
    ],
    [
      "the second, for a message that follows up on one that no run has taken yet",
      [m("a"), m("b", "followUp"), begins("r1"), asks, answers, ends("r1"), begins("r2"), asks, ends("r2")],
      { a: "r1", b: "r2" },
    ],
    [
      "the one after the one that it stops",
      [
        ...[
          m("a"),
          begins("r1"),
          ...calls,
          stopForMessage,
          m("b", "interrupt"),
          result,
          ends("r1", "stopped"),
        ],
        ...[begins("r2"), asks, answers, ends("r2")],
      ],
      { a: "r1", b: "r2" },
    ],
    [
      "the stopped one, for all that came before the stop",
      [
        ...[m("a"), begins("r1"), asks, m("b"), m("c", "followUp"), stop, ends("r1", "stopped")],
        ...[m("d"), begins("r2"), asks, answers, ends("r2")],
      ],
      { a: "r1", b: "r1", c: "r1", d: "r2" },
    ],
    [
      "the next one, for what came after the stop",
      [
        ...[m("a"), begins("r1"), ...calls, stop, m("b"), m("c", "followUp"), result, ends("r1", "stopped")],
        ...[begins("r2"), asks, answers, ends("r2"), begins("r3"), asks, answers, ends("r3")],
      ],
      { a: "r1", b: "r2", c: "r3" },
    ],
    [
      "one that does nothing, where it was stopped before it began",
      [m("a"), stop, begins("r1"), ends("r1", "stopped"), m("b"), begins("r2"), asks, ends("r2")],
      { a: "r1", b: "r2" },
    ],
  ];

  test.each(stories)("is %s", async (_name, facts, expected) => {
    const log = entries(...withLeft([created(), ...facts]));
    for (const [messageId, runId] of Object.entries(expected)) {
      const events = fromMessage(streamOf(log), messageId);
      const seen = await Array.fromAsync(
        untilAnswered(events, messageId, { openInterrupts: async () => [] }),
      );
      const last = seen.at(-1);
      expect(last?.type === "entry" && isRunEnd(last.entry) && last.entry.runId, messageId).toBe(runId);
    }
  });

  /** What the runs' ends leave, as the loop writes it. */
  function withLeft(facts: readonly NewEntry[]): readonly NewEntry[] {
    return facts.map((fact, i) => {
      if (fact.type !== "runFinished" && fact.type !== "runFailed") return fact;
      const left = leftMessages(fold(entries(...facts.slice(0, i))));
      return left.length === 0 ? fact : { ...fact, left };
    });
  }

  async function* streamOf(log: readonly Entry[]): AsyncGenerator<RunEvent> {
    for (const entry of log) yield { type: "entry", entry };
  }
});

describe("a run that asks several questions", () => {
  const ask = (interruptId: string): NewEntry => ({
    type: "interrupted",
    runId: "r1",
    interruptId,
    request: {
      kind: "approval",
      message: "?",
      call: {
        callId: interruptId,
        tool: "shell",
        input: {},
        risk: { reversibility: "hard", reach: "outside", why: [] },
      },
      permission: { layer: "mode", by: "mode default" },
      binding: "b",
    },
  });
  const answered = (interruptId: string): NewEntry => ({
    type: "interruptResolved",
    interruptId,
    inboxId: `in-${interruptId}`,
    answer: { action: "approve" },
  });
  const pauses: NewEntry = { type: "runPaused", runId: "r1" };
  const begun = [created(), userSays("hi", "m"), runStarts()];

  async function readAll(
    facts: readonly NewEntry[],
    open: readonly string[],
    read: typeof untilAnswered | null = untilAnswered,
    ask?: () => Promise<boolean>,
  ): Promise<readonly string[]> {
    const log = entries(...facts);
    const events = (async function* () {
      for (const entry of log) yield { type: "entry", entry } as const;
    })();
    const people = {
      // The latest first, as a store lists them.
      openInterrupts: async () =>
        log
          .toReversed()
          .flatMap((entry): readonly InterruptRecord[] =>
            entry.type === "interrupted" && open.includes(entry.interruptId)
              ? [{ id: entry.interruptId, at: entry.at } as InterruptRecord]
              : [],
          ),
      ...(ask === undefined ? {} : { ask }),
    };
    const reading = read === null ? untilRunEnds(events, people) : read(events, "m", people);
    const names: string[] = [];
    for await (const event of reading) {
      names.push(event.type === "waiting" ? `waiting for ${event.interrupt.id}` : nameOf(event));
    }
    return names.slice(read === null ? 0 : begun.length);
  }

  test("is read on while other calls go on, and waits for the oldest when it comes to rest", async () => {
    const facts = [...begun, ask("a"), ask("b"), toolEnds("c", "read"), pauses];
    expect(await readAll(facts, ["a", "b"])).toEqual([
      "interrupted",
      "interrupted",
      "toolFinished",
      "runPaused",
      "waiting for a",
    ]);
  });

  test("passes by where it rested once: one of the questions of then has been answered since", async () => {
    const facts = [...begun, ask("a"), ask("b"), pauses, answered("a"), toolEnds("a", "shell"), pauses];
    expect((await readAll(facts, ["b"])).slice(3)).toEqual([
      "interruptResolved",
      "toolFinished",
      "runPaused",
      "waiting for b",
    ]);
  });

  test("asks whoever reads at each rest, and reads on when they have answered", async () => {
    let asked = 0;
    const facts = [...begun, ask("a"), pauses, answered("a"), runEnds()];
    const names = await readAll(facts, ["a"], untilAnswered, async () => {
      asked += 1;
      return true;
    });
    expect(asked).toBe(1);
    expect(names.at(-1)).toBe("runFinished");
  });

  test("is read from a rest on: at once where nobody is there, else to its end", async () => {
    const facts = [...begun, ask("a"), pauses];
    expect(await readAll(facts, ["a"], null)).toEqual(["waiting for a"]);
    expect((await readAll([...facts, runEnds()], ["a"], null, async () => true)).at(-1)).toBe("runFinished");
  });
});
