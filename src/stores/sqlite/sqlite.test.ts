import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "vitest";
import { storeContract } from "../../testing/store-contract.ts";
import { openSqliteStore } from "./sqlite.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("store contract", () => {
  for (const { name, run } of storeContract) {
    test(name, () => run({ open: () => openSqliteStore({ path: join(folder, "test.db") }) }));
  }
});
