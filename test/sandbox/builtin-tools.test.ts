import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { processDriver } from "../../src/sandboxes/process/process.ts";
import { virtualDriver } from "../../src/sandboxes/virtual/virtual.ts";
import { testBuiltinTools } from "../builtin-tools.ts";

const registryDir = mkdtempSync(join(tmpdir(), "holdfast-registry-"));
afterAll(() => rm(registryDir, { recursive: true, force: true }));

for (const driver of [virtualDriver(), processDriver({ registryDir })]) {
  const { available, problem } = await driver.probe();
  if (available) testBuiltinTools(driver);
  else console.warn(`the tools are not tested in the sandbox ${driver.kind}: ${problem?.reason}`);
}
