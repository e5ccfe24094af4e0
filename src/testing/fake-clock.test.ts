import { expect, test } from "vitest";
import { createFakeClock } from "./fake-clock.ts";

test("time moves only when told to, and sleeps end in the order of their time", async () => {
  const clock = createFakeClock(1_000);
  const woken: string[] = [];
  const sleepers = [
    clock.sleep(20).then(() => woken.push(`b at ${clock.now()}`)),
    clock.sleep(10).then(async () => {
      woken.push(`a at ${clock.now()}`);
      await clock.sleep(15);
      woken.push(`c at ${clock.now()}`);
    }),
  ];
  expect(clock.sleeping).toBe(2);
  await clock.advance(30);
  expect(woken).toEqual(["a at 1010", "b at 1020", "c at 1025"]);
  expect([clock.now(), clock.monotonic(), clock.sleeping]).toEqual([1_030, 30, 0]);
  await Promise.all(sleepers);
});

test("an aborted sleep rejects with the signal's reason", async () => {
  const clock = createFakeClock();
  const controller = new AbortController();
  const sleep = clock.sleep(10, controller.signal);
  controller.abort(new Error("stop"));
  await expect(sleep).rejects.toThrow("stop");
  await expect(clock.sleep(1, controller.signal)).rejects.toThrow("stop");
  expect(clock.sleeping).toBe(0);
});
