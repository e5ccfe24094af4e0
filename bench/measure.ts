import { type ChildProcess, spawn } from "node:child_process";
import { on } from "node:events";
import { fileURLToPath } from "node:url";

/**
 * Runs measured code in processes of its own, and makes figures of what they print. A measured program writes one line of
 * JSON when it has its result (or, when it serves, when it is ready) and ends with its standard input.
 */
export interface Program extends AsyncDisposable {
  readonly pid: number;
  /** The next line of JSON. Rejects when the program ends without one. */
  next<T>(): Promise<T>;
  kill(signal?: NodeJS.Signals): Promise<void>;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** For Node itself, for example `--cpu-prof`. */
  readonly nodeArgs?: readonly string[];
}

/** @param file relative to this folder. */
export function start(file: string, args: readonly (string | number)[], options: StartOptions = {}): Program {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, [...(options.nodeArgs ?? []), path, ...args.map(String)], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...options.env },
  });
  const lines = linesOf(child);
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  const kill = async (signal: NodeJS.Signals = "SIGKILL") => {
    child.kill(signal);
    await ended;
  };
  return {
    pid: child.pid ?? -1,
    kill,
    async next<T>() {
      for (;;) {
        const { value, done } = await lines.next();
        if (done)
          throw new Error(`${file} ${args.join(" ")} ended without a result (exit ${child.exitCode})`);
        // Other lines are for people.
        if (value.startsWith("{")) return JSON.parse(value) as T;
      }
    },
    async [Symbol.asyncDispose]() {
      child.stdin?.end();
      const impatience = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await ended;
      clearTimeout(impatience);
    },
  };
}

/** Starts a program, takes its one result, and ends it. */
export async function run<T>(
  file: string,
  args: readonly (string | number)[],
  options?: StartOptions,
): Promise<T> {
  await using program = start(file, args, options);
  return await program.next<T>();
}

/**
 * A and B in turn, so that what else happens on the machine touches both.
 * @returns the median of each.
 */
export async function interleave<Name extends string>(
  rounds: number,
  subjects: Readonly<Record<Name, () => Promise<number>>>,
): Promise<Record<Name, number>> {
  const names = Object.keys(subjects) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < rounds; round++) {
    for (const name of names) samples[name].push(await subjects[name]());
  }
  return Object.fromEntries(names.map((name) => [name, median(samples[name])])) as Record<Name, number>;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/**
 * Loops of 50 turns before one is measured: what is asked about is a process that serves, not one whose code is still being
 * compiled beside it.
 */
export const WARM_UP = 40;

/** How often the measured loop is run; the figure is the mean. */
export const REPEATS = 5;

/** Growth of this process's memory while something is done, at its peak, in bytes. */
export async function peakGrowth(work: () => Promise<unknown>): Promise<number> {
  const before = process.memoryUsage.rss();
  let peak = before;
  const sampler = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 20);
  try {
    await work();
  } finally {
    clearInterval(sampler);
  }
  return peak - before;
}

/** CPU of this process, user and system, since `since`, in milliseconds. */
export function cpuMs(since?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

async function* linesOf(child: ChildProcess): AsyncGenerator<string, void> {
  if (child.stdout === null) return;
  let rest = "";
  for await (const [piece] of on(child.stdout, "data", { close: ["end"] })) {
    const lines = (rest + String(piece)).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
