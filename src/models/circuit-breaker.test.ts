import { describe, expect, test } from "vitest";
import type { ModelFailure, ModelFailureKind } from "../log/entry.ts";
import { createFakeClock, type FakeClock } from "../testing/fake-clock.ts";
import { createCircuitBreakers, withCircuitBreaker } from "./circuit-breaker.ts";
import type { Model, ModelEvent, ModelRequest } from "./model.ts";

const request: ModelRequest = { system: "", tools: [], messages: [], sessionId: "s1" };
const never = new AbortController().signal;
const text: ModelEvent = { type: "textDelta", text: "hi" };
const finished: ModelEvent = {
  type: "finished",
  answer: {
    blocks: [{ type: "text", text: "hi" }],
    stopReason: "endTurn",
    usage: { input: 1, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 },
  },
};

function failed(kind: ModelFailureKind = "overloaded", more: Partial<ModelFailure> = {}): ModelEvent {
  return { type: "failed", failure: { kind, message: "Overloaded", ...more } };
}

/** A model that answers as it is told, behind a breaker. */
function setUp(clock: FakeClock = createFakeClock()) {
  let plays: readonly (readonly ModelEvent[])[] = [];
  let asked = 0;
  const model: Model = {
    id: "acme/model",
    async *stream() {
      asked++;
      const [play = [finished], ...rest] = plays;
      plays = rest;
      yield* play;
    },
  };
  const breaker = createCircuitBreakers(clock)("acme");
  const guarded = withCircuitBreaker(model, breaker);
  return {
    clock,
    breaker,
    guarded,
    get asked() {
      return asked;
    },
    /** What the next requests get. */
    play(...answers: readonly (readonly ModelEvent[])[]) {
      plays = answers;
    },
    /** The last event of each of these answers, one request after the other. */
    async ask(...answers: readonly (readonly ModelEvent[])[]) {
      plays = answers;
      const last: (ModelEvent | undefined)[] = [];
      for (const _ of answers) last.push((await collect(guarded.stream(request, never))).at(-1));
      return last;
    },
    /** Leaves the circuit open for 15 seconds. */
    async trip() {
      await this.ask(...Array.from({ length: 5 }, () => [failed()]));
    },
  };
}

/** Thinks, and shows nothing of it. */
const thinking: Model = {
  id: "acme/thinking",
  async *stream() {
    await new Promise(() => {});
  },
};

async function collect(events: AsyncIterable<ModelEvent>): Promise<ModelEvent[]> {
  const all: ModelEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

function refused(retryAfterMs: number) {
  const failure = expect.objectContaining({ kind: "overloaded", retryAfterMs });
  return { type: "failed", failure };
}

describe.each<{ name: string; before: readonly (readonly ModelEvent[])[]; opens: boolean }>([
  { name: "five that are overloaded", before: Array(5).fill([failed()]), opens: true },
  { name: "four", before: Array(4).fill([failed()]), opens: false },
  {
    name: "several kinds of outage",
    before: [
      [failed("network")],
      [failed("timeout")],
      [failed("unknown", { status: 599 })],
      [failed()],
      [failed()],
    ],
    opens: true,
  },
  { name: "those that break in the middle", before: Array(5).fill([text, failed("network")]), opens: true },
  {
    name: "a success between them",
    before: [[failed()], [failed()], [failed()], [finished], [failed()], [failed()]],
    opens: false,
  },
  {
    name: "a refusal between them, which says nothing",
    before: [[failed()], [failed()], [failed()], [failed("badRequest")], [failed()], [failed()]],
    opens: true,
  },
  ...(
    ["rateLimited", "badRequest", "authentication", "quota", "contextOverflow", "refused", "unknown"] as const
  ).map((kind) => ({
    name: `failures that are ${kind}`,
    before: Array(9).fill([failed(kind)]),
    opens: false,
  })),
])("$name", ({ before, opens }) => {
  test(opens ? "open the circuit" : "leave it closed", async () => {
    const model = setUp();
    await model.ask(...before);
    expect(await model.ask([finished])).toEqual(opens ? [refused(15_000)] : [finished]);
    expect(model.asked).toBe(before.length + (opens ? 0 : 1));
  });
});

test("failures that are a minute old do not count", async () => {
  const model = setUp();
  await model.ask([failed()], [failed()], [failed()], [failed()]);
  await model.clock.advance(60_001);
  expect(await model.ask([failed()], [finished])).toEqual([failed(), finished]);
});

test("an aborted request says nothing", async () => {
  const model = setUp();
  for (let i = 0; i < 9; i++) {
    model.play([failed("network")]);
    await collect(model.guarded.stream(request, AbortSignal.abort()));
  }
  expect(await model.ask([finished])).toEqual([finished]);
});

test("what it says while it is open", async () => {
  const model = setUp();
  await model.trip();
  await model.clock.advance(4_500);
  expect(await model.ask([finished])).toEqual([
    {
      type: "failed",
      failure: {
        kind: "overloaded",
        message:
          "acme failed 5 times in a row, at last with: Overloaded. Not asked: the circuit is open since 2026-01-01T00:00:00.000Z, the next try is in 11 s.",
        retryAfterMs: 10_500,
      },
    },
  ]);
});

test("a probe that is answered closes it", async () => {
  const model = setUp();
  await model.trip();
  await model.clock.advance(15_000);
  expect(await model.ask([finished], [finished], [failed()], [finished])).toEqual([
    finished,
    finished,
    failed(),
    finished,
  ]);
});

test("so does one that is refused: the provider is there", async () => {
  const model = setUp();
  await model.trip();
  await model.clock.advance(15_000);
  expect(await model.ask([failed("rateLimited")], [finished])).toEqual([failed("rateLimited"), finished]);
});

test("each probe that fails doubles the time, up to two minutes", async () => {
  const model = setUp();
  await model.trip();
  let openMs = 15_000;
  for (const next of [30_000, 60_000, 120_000, 120_000]) {
    await model.clock.advance(openMs - 1);
    expect(await model.ask([finished])).toEqual([refused(1000)]);
    await model.clock.advance(1);
    expect(await model.ask([failed()], [finished])).toEqual([failed(), refused(next)]);
    openMs = next;
  }
  await model.clock.advance(openMs);
  await model.ask([finished]);
  await model.trip();
  expect(await model.ask([finished])).toEqual([refused(15_000)]);
});

describe("one request at a time tries it", () => {
  test("others wait until the first piece has come", async () => {
    const model = setUp();
    await model.trip();
    await model.clock.advance(15_000);
    model.play([text, finished]);
    const probe = model.guarded.stream(request, never)[Symbol.asyncIterator]();
    const piece = probe.next();
    const [second] = await collect(model.guarded.stream(request, never));
    expect(second).toMatchObject({
      type: "failed",
      failure: {
        kind: "overloaded",
        retryAfterMs: 1000,
        message: expect.stringMatching(/one request tries it now/),
      },
    });
    expect(await piece).toEqual({ done: false, value: text });
    expect(await model.ask([finished])).toEqual([finished]);
  });

  test("one that is silent for as long as the circuit stays open at first makes room for the next", async () => {
    const model = setUp();
    await model.trip();
    await model.clock.advance(15_000);
    const silent = withCircuitBreaker(thinking, model.breaker);
    void silent.stream(request, never)[Symbol.asyncIterator]().next();
    expect(await model.ask([finished])).toEqual([refused(1000)]);
    await model.clock.advance(15_000);
    expect(await model.ask([finished], [finished])).toEqual([finished, finished]);
  });

  test("one that is aborted makes room for the next", async () => {
    const model = setUp();
    await model.trip();
    await model.clock.advance(15_000);
    model.play([failed("unknown")]);
    await collect(model.guarded.stream(request, AbortSignal.abort()));
    expect(await model.ask([failed()], [finished])).toEqual([failed(), refused(30_000)]);
  });

  test("one whose reader leaves closes it when a piece had come", async () => {
    const model = setUp();
    await model.trip();
    await model.clock.advance(15_000);
    model.play([text, text, finished]);
    for await (const _ of model.guarded.stream(request, never)) break;
    expect(await model.ask([finished], [finished])).toEqual([finished, finished]);
  });
});

test("what was sent before it opened does not close it", async () => {
  const model = setUp();
  model.play([text, finished]);
  const early = model.guarded.stream(request, never)[Symbol.asyncIterator]();
  await early.next();
  await model.trip();
  expect(await early.next()).toEqual({ done: false, value: finished });
  expect(await model.ask([finished])).toEqual([refused(15_000)]);
});

test("providers do not share a breaker", () => {
  const breakers = createCircuitBreakers(createFakeClock());
  expect(breakers("a")).toBe(breakers("a"));
  expect(breakers("a")).not.toBe(breakers("b"));
});
