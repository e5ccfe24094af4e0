import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openSqliteStore } from "../../src/index.ts";
import { inParallel, startNode } from "./start-node.ts";

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "holdfast-crash-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Runs a node to its end, which is that of its plan. */
async function run(directory: string, plan: { readonly dieAt?: number; readonly prepare?: boolean }) {
  const node = startNode("time-travel-node.ts", directory, plan);
  expect(await node.ended, node.output()).toBe(plan.dieAt === undefined ? 0 : "SIGKILL");
  return node.output();
}

it("a node is killed at each step of a move and a fork: the same requests once more finish both", async () => {
  const prepared = mkdtempSync(join(home, "prepared-"));
  await run(prepared, { prepare: true });
  const copy = (name: string) => {
    const directory = join(home, name);
    cpSync(prepared, directory, { recursive: true });
    return directory;
  };
  const { files, passed } = JSON.parse(await run(copy("whole"), {}));
  expect(files).toEqual({ s: "one", f: "two" });
  expect(passed).toBeGreaterThanOrEqual(12);

  const points = Array.from({ length: passed }, (_, i) => i + 1);
  await inParallel(2, points, async (dieAt) => {
    const directory = copy(`killed-${dieAt}`);
    await run(directory, { dieAt });
    const finished = JSON.parse(await run(directory, {}));
    expect(finished.files, `killed at ${dieAt}`).toEqual({ s: "one", f: "two" });

    await using store = await openSqliteStore({ path: join(directory, "holdfast.db") });
    const log = await store.read("s", 0);
    expect(log.filter(({ type }) => type === "headMoved")).toHaveLength(1);
    expect((await store.path("s")).at(-1)?.type).toBe("headMoved");
    expect((await store.sessions()).map(({ id }) => id).toSorted()).toEqual(["f", "s"]);
    for (const id of ["s", "f"]) expect(await store.files(id)).toEqual({ due: null, held: false });
  });
}, 300_000);
