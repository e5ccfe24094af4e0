import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** What a command came to. */
export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `holdfast` that runs. */
export interface Running {
  readonly ended: Promise<Ended>;
  /** Resolves when standard output fits the expression, with the match. Rejects if it ends before. */
  until(pattern: RegExp): Promise<RegExpExecArray>;
  signal(signal: NodeJS.Signals): void;
  /** Closes the pipe of standard output, as `head` does. */
  stopReading(): void;
}

export interface StartOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: empty. */
  readonly stdin?: string;
}

/** The command line in a process of its own, with pipes, and without the keys of whoever runs the tests. */
export function startHoldfast(words: readonly string[], options: StartOptions): Running {
  const { cwd, env = {}, stdin = "" } = options;
  const child = spawn(process.execPath, [main, ...words], {
    cwd,
    env: { PATH: process.env.PATH, HOME: cwd, ...env },
  });
  child.stdin.on("error", () => {});
  child.stdin.end(stdin);
  return follow(child);
}

export function holdfast(words: readonly string[], options: StartOptions): Promise<Ended> {
  return startHoldfast(words, options).ended;
}

/** In a terminal of 80 columns, made by `script`; what it shows is in `stdout`. */
export function holdfastOnTerminal(words: readonly string[], options: StartOptions): Promise<Ended> {
  return startOnTerminal(words, options).ended;
}

export interface OnTerminal extends Running {
  /** Presses keys: "\r" is Enter, "\u0003" Ctrl-C. */
  type(keys: string): void;
}

export function startOnTerminal(words: readonly string[], { cwd }: StartOptions): OnTerminal {
  const quoted = [process.execPath, main, ...words].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  const command = `stty cols 80; ${quoted.join(" ")}`;
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    cwd,
    env: { PATH: process.env.PATH, HOME: cwd, TERM: "xterm-256color", SHELL: "/bin/sh" },
  });
  child.stdin.on("error", () => {});
  return { ...follow(child), type: (keys) => child.stdin.write(keys) };
}

function follow(child: ChildProcessWithoutNullStreams): Running {
  let stdout = "";
  let stderr = "";
  const listeners = new Set<() => void>();
  const changed = () => {
    for (const listener of [...listeners]) listener();
  };
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
    changed();
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const ended = once(child, "close").then(([exitCode]) => ({ exitCode, stdout, stderr }));

  return {
    ended,
    signal: (signal) => child.kill(signal),
    stopReading: () => child.stdout.destroy(),
    until(pattern) {
      return new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(stdout);
          if (match === null) return;
          listeners.delete(look);
          resolve(match);
        };
        listeners.add(look);
        look();
        ended.then(() => reject(new Error(`it ended without ${pattern}:\n${stdout}\n${stderr}`)));
      });
    },
  };
}
