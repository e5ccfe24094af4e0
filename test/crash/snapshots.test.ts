import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openSqliteStore } from "../../src/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { diskSnapshots } from "../../src/snapshots/disk.ts";
import { startNode } from "./start-node.ts";

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "holdfast-crash-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

it.each([1, 2])(
  "a node that is killed between a call and the %j. snapshot after it: the next one takes it",
  async (dieAt) => {
    const directory = mkdtempSync(join(home, "data-"));
    const killed = startNode("snapshots-node.ts", directory, { dieAt });
    expect(await killed.ended, killed.output()).toBe("SIGKILL");
    const next = startNode("snapshots-node.ts", directory, {});
    expect(await next.ended, next.output()).toBe(0);

    await using store = await openSqliteStore({ path: join(directory, "holdfast.db") });
    const log = await store.path("s");
    const saved = log.flatMap((entry) => (entry.type === "workspaceSaved" ? [entry.snapshot] : []));
    const snapshots = diskSnapshots({ directory: join(directory, "snapshots"), clock: systemClock });
    const contents: string[] = [];
    for (const [i, id] of saved.entries()) {
      const into = join(directory, `restored-${i}`);
      await snapshots.restore(id, into);
      contents.push(readFileSync(join(into, "a.txt"), "utf8"));
    }
    expect(contents).toEqual(["1", "2"]);
    expect(log.at(-1)?.type).toBe("runFinished");
  },
);
