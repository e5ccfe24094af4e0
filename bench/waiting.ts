import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Figure } from "./cases.ts";
import { median, run } from "./measure.ts";
import type { Filled, Served } from "./waiting-node.ts";

const PROGRAM = "./waiting-node.ts";
const SESSIONS = 1_000;
const ANSWERS = 100;

/** A thousand sessions that wait for a person: rows of a database, and nothing else. The floor is a server that has none. */
export async function measureWaiting(): Promise<readonly Figure[]> {
  const [few, many] = [await withSessions(1), await withSessions(SESSIONS)];
  const { filled, served } = many;
  const floor = few.served;
  const of = (key: keyof Omit<Served, "resumeMs">) => ({ value: served[key], floor: floor[key] });
  const [first = Number.NaN] = floor.resumeMs;
  return [
    { what: "rows in the database, each", unit: "", value: filled.rows },
    { what: "bytes in the database, each", unit: "B", value: filled.bytes },
    { what: "start of a server over them", unit: "ms", ...of("startMs"), goal: 1.5 * floor.startMs },
    { what: "its process", unit: "MB", ...of("rssMb"), goal: 1.1 * floor.rssMb },
    { what: "its heap in use", unit: "MB", ...of("heapMb"), goal: 1.1 * floor.heapMb },
    { what: "its CPU in 10 s", unit: "ms", ...of("idleCpuMs"), goal: 1.5 * floor.idleCpuMs },
    {
      what: "from the answer to the start of the call, median",
      unit: "ms",
      value: median(served.resumeMs),
      floor: first,
    },
    { what: "the same, 95 of 100", unit: "ms", value: percentile(served.resumeMs, 0.95) },
  ];
}

async function withSessions(count: number): Promise<{ readonly filled: Filled; readonly served: Served }> {
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-bench-waiting-"));
  try {
    const filled = await run<Filled>(PROGRAM, ["fill", dataDir, count]);
    const served = await run<Served>(PROGRAM, ["serve", dataDir, Math.min(count, ANSWERS)], {
      nodeArgs: ["--expose-gc"],
    });
    return { filled, served };
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
