import { expect, it } from "vitest";
import type { Clock } from "../lib/clock.ts";
import { isAppError } from "../lib/errors.ts";
import { fold } from "../log/fold.ts";
import { agentWith } from "../testing/agent-builder.ts";
import { createFakeClock } from "../testing/fake-clock.ts";
import { created, entries, runStarts, userSays } from "../testing/log-builder.ts";
import type { SessionWriter } from "./session-writer.ts";
import { withTimeLimit } from "./time-limit.ts";

/** A run that began when the clock did, and may take a minute. `clock` can be told to be something else. */
function setUp(changes: Partial<Clock> = {}) {
  const clock = Object.assign(createFakeClock(2_000), changes);
  const writer = { state: fold(entries(created(), userSays("hi"), runStarts())) } as SessionWriter;
  const stop = new AbortController();
  const outside = {
    cancelSignal: () => stop.signal,
    abandoned: new AbortController().signal,
    draining: () => false,
  };
  return { clock, writer, stop, control: withTimeLimit(outside, writer, agentWith(), clock) };
}

it("what can be cancelled is cancelled when the time is up, and says why", async () => {
  const { clock, control } = setUp();
  const signal = control.cancelSignal();
  await clock.advance(59_999);
  expect(signal.aborted).toBe(false);
  await clock.advance(1);
  expect(isAppError(signal.reason, "timeout")).toBe(true);
});

it("a stop cancels as before, and one signal serves all steps until then", () => {
  const { stop, control } = setUp();
  const signal = control.cancelSignal();
  expect(control.cancelSignal()).toBe(signal);
  stop.abort("stopped");
  expect(signal.reason).toBe("stopped");
});

it("the end moves with what does not count", async () => {
  const { clock, writer, control } = setUp();
  control.cancelSignal();
  await clock.advance(30_000);
  const { run } = writer.state;
  if (run !== null) Object.assign(run, { startedAt: run.startedAt + 30_000 });
  const signal = control.cancelSignal();
  await clock.advance(59_999);
  expect(signal.aborted).toBe(false);
  await clock.advance(1);
  expect(signal.aborted).toBe(true);
});

it("stands still while people are asked, also for what was begun before, and for what begins then", async () => {
  const { clock, writer, control } = setUp();
  const before = control.cancelSignal();
  await clock.advance(30_000);
  const { run } = writer.state;
  if (run === null) throw new Error("there is no run");
  Object.assign(run, { askingSince: clock.now() });
  await clock.advance(3_600_000);
  expect(control.cancelSignal().aborted).toBe(false);
  expect(before.aborted).toBe(false);
  Object.assign(run, { startedAt: run.startedAt + 3_600_000, askingSince: null });
  await clock.advance(29_000);
  expect(before.aborted).toBe(false);
  await clock.advance(2_000);
  expect(before.aborted).toBe(true);
});

it("an early timer does not cancel what the decision would begin again", async () => {
  const { now, sleep } = createFakeClock(2_000);
  const early: number[] = [];
  const { control } = setUp({
    now,
    sleep: (ms, signal) => (early.push(ms) < 3 ? Promise.resolve() : sleep(ms, signal)),
  });
  const signal = control.cancelSignal();
  await new Promise(setImmediate);
  expect(early).toEqual([60_000, 60_000, 60_000]);
  expect(signal.aborted).toBe(false);
});

it("a wall clock that is set back gives a step its time again", async () => {
  let back = 0;
  const { clock, control } = setUp();
  const { now } = clock;
  Object.assign(clock, { now: () => now() - back });
  const signal = control.cancelSignal();
  await clock.advance(60_000);
  back = 10_000;
  expect(signal.aborted).toBe(true);
  const again = control.cancelSignal();
  expect(again.aborted).toBe(false);
  await clock.advance(10_000);
  expect(again.aborted).toBe(true);
});

it("no timer outlives the loop", () => {
  const { clock, control } = setUp();
  control.cancelSignal();
  expect(clock.sleeping).toBe(1);
  control[Symbol.dispose]();
  expect(clock.sleeping).toBe(0);
});
