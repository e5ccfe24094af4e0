import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, test } from "vitest";
import { sandboxContract } from "../../testing/sandbox-contract.ts";
import { processDriver } from "./process.ts";

const directory = mkdtempSync(join(tmpdir(), "holdfast-process-"));
afterAll(() => rm(directory, { recursive: true, force: true }));

const driver = processDriver({ registryDir: join(directory, "registry") });
const probe = await driver.probe();
if (!probe.available)
  console.warn(`process sandbox not tested: ${probe.problem?.reason} (${probe.problem?.fix})`);

describe.skipIf(!probe.available)("process sandbox", () => {
  for (const { name, skip, run } of sandboxContract) {
    const reason = skip?.(probe.capabilities);
    test.skipIf(reason !== undefined)(reason === undefined ? name : `${name} (${reason})`, () =>
      run({ driver, directory }),
    );
  }
});
