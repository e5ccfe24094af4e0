import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, it } from "vitest";
import { type Entry, fold, openSqliteStore } from "../../src/index.ts";
import type { SoakLine } from "./soak-node.ts";

/** `npm run bench -- --case soak` does the same with 2,000 turns, and says what they cost. */
const TURNS = 400;
/** At least; each start lasts for one run of 20 turns or a little more. */
const KILLS = 6;
/** Small enough for a compaction about every 40 turns. */
const WINDOW = 20_000;

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** Works until the session has had all its turns (then true), or is killed soon after its first run. */
async function work(directory: string, starts: SoakLine[]): Promise<boolean> {
  const plan = JSON.stringify({ turns: TURNS, window: WINDOW, every: 1 });
  const child = spawn(process.execPath, [join(import.meta.dirname, "soak-node.ts"), directory, plan], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  let isFirst = true;
  for await (const line of createInterface(child.stdout)) {
    if (!isFirst) continue;
    isFirst = false;
    starts.push(JSON.parse(line));
    setTimeout(() => child.kill("SIGKILL"), Math.random() * 25);
  }
  const [code, signal] = await exited;
  expect([0, "SIGKILL"]).toContain(code ?? signal);
  return code === 0;
}

describe("a session that goes on for long", () => {
  it("is compacted again and again, killed again and again, and starts from its last compaction each time", async () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-soak-"));
    directories.push(directory);
    const starts: SoakLine[] = [];
    while (!(await work(directory, starts)));

    await using store = await openSqliteStore({ path: join(directory, "holdfast.db") });
    const log = await store.path("soak");
    const count = (type: Entry["type"]) => log.filter((entry) => entry.type === type).length;
    expect(count("compacted")).toBeGreaterThan(5);
    expect(count("compactionFailed")).toBe(0);
    expect(count("runResumed")).toBeGreaterThan(KILLS / 2);
    expect(starts.length).toBeGreaterThan(KILLS);
    expect(count("runFinished")).toBe(count("runStarted"));
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1));
    expect(fold(await store.tail("soak"))).toEqual(fold(log));

    // Once, so that no call is made twice, and of each it is known whether it was made.
    const effects = readFileSync(join(directory, "effects.txt"), "utf8").trim().split("\n");
    expect(new Set(effects).size).toBe(effects.length);
    expect(count("toolFinished")).toBeGreaterThanOrEqual(effects.length);

    const folded = starts.flatMap(({ foldedFrom }) => foldedFrom ?? []);
    expect(Math.max(...folded)).toBeLessThan(log.length / 4);
  });
});
