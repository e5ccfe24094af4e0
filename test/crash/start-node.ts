import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A process of a crash test, which says "ready" once it has begun. */
export interface Node {
  readonly process: ChildProcess;
  /** Resolves also when it ends before it is. */
  readonly ready: Promise<void>;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  readonly output: () => string;
}

/** @param file in this folder; gets the directory and the plan (as JSON) as its arguments. */
export function startNode(file: string, directory: string, plan: object): Node {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), directory, JSON.stringify(plan)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const { promise: ready, resolve: isReady } = Promise.withResolvers<void>();
  const collect = (chunk: Buffer) => {
    output += chunk;
    if (output.includes("ready\n")) isReady();
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const ended = new Promise<number | string>((resolve) => {
    child.on("close", (code, signal) => {
      isReady();
      resolve(code ?? signal ?? "unknown");
    });
  });
  return { process: child, ready, ended, output: () => output };
}

/** What a tool of a node really did: a line for each time, in a file outside of everything that Holdfast keeps. */
export interface EffectLine {
  readonly effect: string;
  readonly sessionId: string;
  readonly callId: string;
  readonly operationId: string;
  readonly amount?: number;
}

export function effectsIn(directory: string): readonly EffectLine[] {
  const file = join(directory, "effects.txt");
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as EffectLine);
}

export async function inParallel<T>(
  lanes: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (const item of rest) await work(item);
    }),
  );
}
