#!/usr/bin/env node
import type { Terminal } from "./terminal.ts";

/**
 * The program. Checks first that this Node can load the rest, which an older one would refuse with a message about syntax
 * or a missing module.
 */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `error: Holdfast needs Node 22.19 or newer; this is ${process.versions.node}\nSee https://nodejs.org, or in a project: npm install --save-dev node@24\n`,
  );
  process.exitCode = 3;
} else {
  const { runCli } = await import("./cli.ts");
  const { exitCodes } = await import("./exit.ts");
  const leaving = leaveQuietlyWhenNobodyReads(exitCodes.unread);
  process.exitCode = await stayingAlive(() => runCli(process.argv.slice(2), realTerminal(leaving)));
}

/** Timers and connections that wait for something do not keep a process alive; a command that waits does. */
async function stayingAlive<Result>(work: () => Promise<Result>): Promise<Result> {
  const alive = setInterval(() => {}, 2 ** 30);
  try {
    return await work();
  } finally {
    clearInterval(alive);
  }
}

function realTerminal(leaving: Leaving): Terminal {
  let interruption: AbortController | undefined;
  return {
    cwd: process.cwd(),
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    interruption() {
      interruption ??= onInterrupt();
      return interruption.signal;
    },
    interrupt: () => process.kill(process.pid, "SIGINT"),
    whenNobodyReads(cleanUp) {
      leaving.cleanUp = cleanUp;
    },
  };
}

function onInterrupt(): AbortController {
  const controller = new AbortController();
  for (const [signal, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
  ] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(128 + number);
      controller.abort();
    });
  }
  return controller;
}

interface Leaving {
  cleanUp: () => Promise<unknown>;
}

/** `holdfast ... | head` closes the pipe while there is more to say: a command that was at its end keeps its exit code. */
function leaveQuietlyWhenNobodyReads(exitCode: number): Leaving {
  const leaving: Leaving = { cleanUp: async () => {} };
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      leaving.cleanUp().finally(() => process.exit(process.exitCode ?? exitCode));
    });
  }
  return leaving;
}
