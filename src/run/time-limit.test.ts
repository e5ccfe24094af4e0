import { expect, it } from "vitest";
import { isAppError } from "../lib/errors.ts";
import { fold } from "../log/fold.ts";
import { agentWith } from "../testing/agent-builder.ts";
import { createFakeClock } from "../testing/fake-clock.ts";
import { created, entries, runStarts, userSays } from "../testing/log-builder.ts";
import type { SessionWriter } from "./session-writer.ts";
import { withTimeLimit } from "./time-limit.ts";

/** A run that began when the clock did, and may take a minute. */
function setUp() {
  const clock = createFakeClock(2_000);
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

it("no timer outlives the loop", () => {
  const { clock, control } = setUp();
  control.cancelSignal();
  expect(clock.sleeping).toBe(1);
  control[Symbol.dispose]();
  expect(clock.sleeping).toBe(0);
});
