import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sandboxContract } from "../../testing/sandbox-contract.ts";
import { noneDriver } from "./none.ts";

const driver = noneDriver();
const { capabilities } = await driver.probe();
let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "holdfast-none-"));
});
afterAll(async () => {
  await driver[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

for (const { name, skip, run } of sandboxContract) {
  const reason = skip?.(capabilities);
  test.concurrent(name, async (context) => {
    if (reason !== undefined) context.skip(reason);
    await run({ driver, directory });
  });
}

test("without bash it says what is missing and how to get it", async () => {
  const probe = await noneDriver({ path: "/nowhere" }).probe();
  expect(probe.available).toBe(false);
  expect(probe.problem?.reason).toContain("bash");
  expect(probe.problem?.fix).toBe("apt-get install bash");
});
