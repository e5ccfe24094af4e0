import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore } from "../src/index.ts";
import type { SoakLine } from "../test/crash/soak-node.ts";
import type { Figure } from "./cases.ts";
import { start } from "./measure.ts";

const PROGRAM = "../test/crash/soak-node.ts";
const TURNS = 2_000;
const EVERY = 200;
const KILLS = 20;
/** Five compactions in 2,000 turns. */
const WINDOW = 100_000;
const MB = 1_048_576;

/** One session of 2,000 turns and five compactions: in one process, and in 21, of which 20 are killed. */
export async function measureSoak(): Promise<readonly Figure[]> {
  return [...(await inOneProcess()), ...(await withKills())];
}

async function inOneProcess(): Promise<readonly Figure[]> {
  await using home = await temporaryHome();
  await using program = startNode(home.path, EVERY);
  const lines: SoakLine[] = [];
  while ((lines.at(-1)?.turns ?? 0) < TURNS) lines.push(await program.next<SoakLine>());
  const { compactions } = await readLog(home.path);
  const at = (index: number): SoakLine => {
    const line = lines.at(index);
    if (line === undefined) throw new Error(`there is no line ${index}`);
    return line;
  };
  const perTurn = (from: SoakLine, to: SoakLine) => (to.cpuMs - from.cpuMs) / (to.turns - from.turns);
  const early = perTurn(at(0), at(1));
  return [
    { what: "compactions in 2,000 turns", unit: "", value: compactions },
    { what: "heap in use after 200 turns", unit: "MB", value: at(0).heap / MB },
    {
      what: "heap in use after 2,000 turns",
      unit: "MB",
      value: at(-1).heap / MB,
      goal: (1.1 * at(0).heap) / MB,
    },
    { what: "process after 200 turns", unit: "MB", value: at(0).rss / MB },
    { what: "process after 2,000 turns", unit: "MB", value: at(-1).rss / MB, goal: (1.2 * at(0).rss) / MB },
    { what: "CPU per turn, turns 200 to 400", unit: "ms", value: early },
    { what: "CPU per turn, the last 200", unit: "ms", value: perTurn(at(-2), at(-1)), goal: 1.1 * early },
  ];
}

async function withKills(): Promise<readonly Figure[]> {
  await using home = await temporaryHome();
  const first: SoakLine[] = [];
  for (let kill = 1; kill <= KILLS; kill++) {
    await using program = startNode(home.path, 20);
    let isFirst = true;
    for (;;) {
      const line = await program.next<SoakLine>();
      if (isFirst) first.push(line);
      isFirst = false;
      if (line.turns >= (kill * TURNS) / (KILLS + 1)) break;
    }
    // Somewhere in the next few turns.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 50));
    await program.kill();
  }
  await using program = startNode(home.path, EVERY);
  for (let turns = 0; turns < TURNS; ) turns = (await program.next<SoakLine>()).turns;
  const { entries, compactions } = await readLog(home.path);
  const folded = first.flatMap(({ foldedFrom }) => (foldedFrom === null ? [] : [foldedFrom]));
  return [
    { what: "compactions with 20 kills", unit: "", value: compactions },
    { what: "entries in the log", unit: "", value: entries },
    { what: "entries folded at a start, at most", unit: "", value: Math.max(...folded), goal: entries / 4 },
    { what: "CPU of it, at most", unit: "ms", value: Math.max(...first.map(({ foldMs }) => foldMs)) },
    { what: "process, soon after its second start", unit: "MB", value: (first[1]?.rss ?? 0) / MB },
    {
      what: "process, soon after its 20th start",
      unit: "MB",
      value: (first.at(-1)?.rss ?? 0) / MB,
      goal: (1.1 * (first[1]?.rss ?? 0)) / MB,
    },
    { what: "calls that were made twice", unit: "", value: madeTwice(home.path), goal: 0 },
  ];
}

function startNode(dataDir: string, every: number) {
  const plan = JSON.stringify({ turns: TURNS, window: WINDOW, every });
  return start(PROGRAM, [dataDir, plan], { nodeArgs: ["--expose-gc"] });
}

async function readLog(dataDir: string): Promise<{ readonly entries: number; readonly compactions: number }> {
  await using store = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
  const entries = await store.path("soak");
  return {
    entries: entries.length,
    compactions: entries.filter(({ type }) => type === "compacted").length,
  };
}

function madeTwice(dataDir: string): number {
  const operations = readFileSync(join(dataDir, "effects.txt"), "utf8").trim().split("\n");
  return operations.length - new Set(operations).size;
}

async function temporaryHome(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "holdfast-soak-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
